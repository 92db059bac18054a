from __future__ import annotations

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing.outline import TEXT, TITLE, outline

SVG = '<svg xmlns="http://www.w3.org/2000/svg">{}</svg>'


@pytest.mark.parametrize("before", ["", '<?xml version="1.0"?>\n<!-- drawn -->\n<!DOCTYPE svg>\n'])
def test_a_drawing_is_the_text_in_it(before: str) -> None:
    inside = (
        "<title>Rates</title><style>.a { fill: red }</style><script>run()</script>"
        '<path d="M0 0"/><g><text x="1">Oslo <tspan>120</tspan></text><text>Rome</text></g>'
    )
    document = parse((before + SVG.format(inside)).encode(), "a.svg")
    assert document.media_type == "image/svg+xml"
    assert outline(document) == [
        (TITLE, "Rates", ()),
        (TEXT, "Oslo 120", ("Rates",)),
        (TEXT, "Rome", ("Rates",)),
    ]


def test_a_drawing_without_text_says_what_to_do() -> None:
    with pytest.raises(PermanentError, match="export it as PNG") as raised:
        parse(SVG.format('<path d="M0 0"/>').encode(), "a.svg")
    assert raised.value.kind is ErrorKind.EMPTY
