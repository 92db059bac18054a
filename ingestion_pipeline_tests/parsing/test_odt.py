from __future__ import annotations

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import ITEM, TABLE, TEXT, TITLE, outline, texts
from ingestion_pipeline_tests.parsing.samples import zipped


def test_a_text_becomes_typed_elements_in_reading_order() -> None:
    document = parse(samples.handbook_odt(), "a.odt")
    below = ("Travel Handbook", "Receipts")
    assert document.title == "Travel Handbook"
    assert outline(document) == [
        (TITLE, "Travel Handbook", ()),
        (TITLE, "Receipts", ("Travel Handbook",)),
        (TEXT, "The committee  approves.", below),
        (TEXT, "A note.", below),
        (ITEM, "Keep them", below),
        (TABLE, "City | Rate\nOslo | 120", below),
    ]
    html = document.elements[-1].html
    assert html is not None
    assert html.startswith("<table><tr><th>City</th>")


def test_a_table_with_one_cell_is_a_frame_and_text_boxes_follow_their_paragraph() -> None:
    body = (
        "<table:table><table:table-row><table:table-cell><text:p>one</text:p><text:p>two</text:p>"
        "</table:table-cell></table:table-row></table:table>"
        "<text:p>be<text:tab/>fore<draw:frame><draw:text-box><text:p>boxed</text:p>"
        "</draw:text-box></draw:frame></text:p>"
    )
    assert texts(parse(samples.odf("text", body), "a.odt")) == ["one", "two", "be\tfore", "boxed"]


def test_a_protected_text_is_encrypted() -> None:
    data = zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "META-INF/manifest.xml": "<m><encryption-data/></m>",
            "content.xml": "rubbish",
        }
    )
    with pytest.raises(PermanentError) as raised:
        parse(data, "a.odt")
    assert raised.value.kind is ErrorKind.ENCRYPTED
