from __future__ import annotations

from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import (
    CODE,
    ITEM,
    TABLE,
    TEXT,
    TITLE,
    outline,
    texts,
)


def test_an_outline_becomes_typed_elements() -> None:
    document = parse(samples.ORG, "a.org")
    below = ("Travel", "Receipts")
    assert document.title == "Travel Handbook"
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (TEXT, "The committee approves\nevery journey.", ("Travel",)),
        (TITLE, "Receipts", ("Travel",)),
        (ITEM, "Keep them", below),
        (ITEM, "Hand them in", below),
        (TABLE, "City | Rate\nOslo | 120", below),
        (CODE, "* rate = 120", below),
    ]
    html = document.elements[5].html
    assert html is not None
    assert html.startswith("<table><tr><th>City</th>")


def test_a_block_that_nobody_ends_is_kept() -> None:
    assert texts(parse(b"#+BEGIN_SRC sh\nls\n", "a.org")) == ["ls"]


def test_markup_within_a_line_is_left_out() -> None:
    source = "A *bold* and /slanted/ =code=, ~verbatim~; 2 * 3 * 4 and /usr/share/doc stay."
    assert texts(parse(source.encode(), "a.org")) == [
        "A bold and slanted code, verbatim; 2 * 3 * 4 and /usr/share/doc stay."
    ]


def test_lines_after_a_colon_are_as_they_stand() -> None:
    document = parse(b"Text\n: fixed\n:   width\nMore", "a.org")
    assert [(e.category, e.text) for e in document.elements] == [
        (TEXT, "Text"),
        (CODE, "fixed\n  width"),
        (TEXT, "More"),
    ]
