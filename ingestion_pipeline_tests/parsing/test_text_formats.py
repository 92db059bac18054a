"""Plain text and Markdown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError
from ingestion_pipeline.model.elements import ElementCategory
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import samples


def test_plain_text_is_cut_at_blank_lines_and_keeps_line_breaks() -> None:
    document = parse(samples.PLAIN.replace(b"\n", b"\r\n"), "a.txt")
    assert [element.text for element in document.elements] == [
        "First paragraph,\nsecond line.",
        "Second paragraph: Größe, 東京.",
    ]
    assert document.media_type == "text/plain"
    assert document.pages is None
    assert document.title is None


@pytest.mark.parametrize(
    "data", [b" \n\t\r\n", b"\xef\xbb\xbf", b"<html><p> </p></html>", b"---\n"]
)
def test_a_file_without_text_is_empty(data: bytes) -> None:
    with pytest.raises(PermanentError) as raised:
        parse(data, "a.md")
    assert raised.value.kind is ErrorKind.EMPTY


def test_markdown_becomes_typed_elements_below_their_headings() -> None:
    document = parse(samples.MARKDOWN, "a.md")
    below = ("Travel", "Receipts")
    assert document.title == "Travel Handbook"
    assert [(e.category, e.text, e.level, e.heading_path) for e in document.elements] == [
        (ElementCategory.TITLE, "Travel", 1, ()),
        (
            ElementCategory.NARRATIVE_TEXT,
            "The committee approves every journey that is long. A map",
            None,
            ("Travel",),
        ),
        (ElementCategory.TITLE, "Receipts", 2, ("Travel",)),
        (ElementCategory.LIST_ITEM, "Keep them", None, below),
        (ElementCategory.LIST_ITEM, "Hand them in over", None, below),
        (ElementCategory.LIST_ITEM, "within a month", None, below),
        (ElementCategory.TABLE, "City | Rate\nOslo | 120", None, below),
        (ElementCategory.CODE_SNIPPET, "def rate(city):\n    return 120", None, below),
        (ElementCategory.NARRATIVE_TEXT, "An HTML block.", None, below),
    ]
    assert document.elements[6].html == (
        "<table><tr><th>City</th><th>Rate</th></tr><tr><td>Oslo</td><td>120</td></tr></table>"
    )


def test_markdown_that_nests_too_deep_keeps_its_text() -> None:
    lists = "".join(f"{'  ' * depth}- item {depth}\n" for depth in range(30))
    assert "item 29" in parse(lists.encode(), "a.md").text
    assert "deep" in parse(b">" * 100 + b" deep", "a.md").text


def test_a_heading_ends_the_sections_of_its_level_and_deeper() -> None:
    document = parse(b"# A\n## B\n### C\n## D\n\ntext\n\n# E\n\n- x\n", "a.md")
    assert document.elements[-3].heading_path == ("A", "D")
    assert document.elements[-1].heading_path == ("E",)
    assert document.title == "A"


def test_a_heading_as_long_as_a_paragraph_is_a_paragraph() -> None:
    document = parse(b"# " + b"very long " * 50, "a.md")
    assert document.elements[0].category is ElementCategory.NARRATIVE_TEXT


@given(
    st.lists(
        st.sampled_from([*"#*_`[]()|->\\ \n\t<&;1a\u6771\0\x0c\r", "<td>", "</p>", "<pre>", "---"])
    ),
    st.sampled_from(["a.txt", "a.md", "a.html"]),
)
def test_any_markup_gives_elements_with_clean_text_or_a_typed_error(
    pieces: list[str], name: str
) -> None:
    try:
        elements = parse("".join(pieces).encode(), name).elements
    except IngestError:
        return
    assert elements
    for element in elements:
        assert element.text.strip()
        assert not {"\0", "\r", "\f"} & set(element.text)
        assert (element.html is not None) == (element.category is ElementCategory.TABLE)
