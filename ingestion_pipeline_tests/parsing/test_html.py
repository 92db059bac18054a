from __future__ import annotations

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import samples


def parse_body(body: str) -> ParsedDocument:
    return parse(f"<html><body>{body}</body></html>".encode(), "a.html")


def texts(document: ParsedDocument) -> list[str]:
    return [element.text for element in document.elements]


def test_a_page_becomes_typed_elements_below_their_headings() -> None:
    document = parse(samples.HTML, "a.html")
    below = ("Travel", "Receipts")
    assert document.title == "Travel Handbook"
    assert [(e.category, e.text, e.level, e.heading_path) for e in document.elements] == [
        (ElementCategory.TITLE, "Travel", 1, ()),
        (ElementCategory.NARRATIVE_TEXT, "By the office", None, ("Travel",)),
        (
            ElementCategory.NARRATIVE_TEXT,
            "The committee approves\nevery journey.",
            None,
            ("Travel",),
        ),
        (ElementCategory.TITLE, "Receipts", 2, ("Travel",)),
        (ElementCategory.LIST_ITEM, "Keep them", None, below),
        (ElementCategory.LIST_ITEM, "in a box", None, below),
        (ElementCategory.LIST_ITEM, "Hand them in", None, below),
        (ElementCategory.NARRATIVE_TEXT, "Rates", None, below),
        (ElementCategory.TABLE, "City & rate\nOslo | 120\n | 130", None, below),
        (ElementCategory.CODE_SNIPPET, "def rate():\n    return 120", None, below),
    ]


def test_a_table_keeps_its_spans_and_nothing_else() -> None:
    table = next(e for e in parse(samples.HTML, "a.html").elements if e.html)
    assert table.html == (
        '<table><tr><th colspan="2">City &amp; rate</th></tr>'
        '<tr><td rowspan="2">Oslo</td><td>120</td></tr><tr><td>130</td></tr></table>'
    )


def test_tables_that_arrange_the_page_are_read_as_what_they_hold() -> None:
    document = parse_body(
        "<table><tr><td>menu</td><td><h1>Head</h1><p>Text</p>"
        "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>"
        "</td></tr></table>"
    )
    assert texts(document) == ["menu", "Head", "Text", "a | b\nc | d"]


def test_every_word_of_nested_markup_is_kept_once() -> None:
    document = parse_body("<div>one<div>two<p>three</p>four</div>five <b>six<p>seven</p></b></div>")
    words = " ".join(texts(document)).split()
    assert words == ["one", "two", "three", "four", "five", "six", "seven"]


def test_a_page_whose_only_text_is_its_frame_is_not_empty() -> None:
    assert texts(parse_body("<header>Only this</header><script>no</script>")) == ["Only this"]


def test_the_main_heading_is_kept_in_the_header_of_a_page() -> None:
    document = parse_body("<header><nav>menu</nav><h1>Head</h1></header><p>Text</p>")
    assert texts(document) == ["Head", "Text"]


def test_a_declared_charset_is_used() -> None:
    page = '<html><head><meta charset="Shift_JIS"></head><body><p>成分</p></body></html>'
    assert texts(parse(page.encode("shift_jis"), "a.html")) == ["成分"]


def test_double_line_breaks_part_paragraphs() -> None:
    assert texts(parse_body("one<br>two<br> <br>three")) == ["one\ntwo", "three"]


def test_pages_may_nest_deeper_than_python_may() -> None:
    document = parse_body("<div>" * 1900 + "deep" + "</div>" * 1900)
    assert texts(document) == ["deep"]


def test_external_entities_are_not_resolved() -> None:
    page = (
        '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
        "<html><body><p>before &x; after</p></body></html>"
    )
    assert "before" in parse(page.encode(), "a.html").text
    assert "&x;" in parse(page.encode(), "a.html").text
