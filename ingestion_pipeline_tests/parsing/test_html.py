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


def test_pages_that_nest_deeper_than_the_library_may_keep_their_paragraphs() -> None:
    page = f"<body><p>Before</p><script>no()</script>{'<b>' * 3000}one <i>two</i><p>After &amp; on"
    document = parse(page.encode(), "a.html")
    assert [element.text for element in document.elements] == ["Before", "one two", "After & on"]


def test_external_entities_are_not_resolved() -> None:
    page = (
        '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
        "<html><body><p>before &x; after</p></body></html>"
    )
    assert "before" in parse(page.encode(), "a.html").text
    assert "&x;" in parse(page.encode(), "a.html").text


def test_paragraphs_in_a_list_item_are_items() -> None:
    document = parse_body("<ul><li><p>one</p></li><li>two</li></ul><p>three</p>")
    categories = [element.category for element in document.elements]
    item = ElementCategory.LIST_ITEM
    assert categories == [item, item, ElementCategory.NARRATIVE_TEXT]


def test_what_sites_add_for_editing_and_screen_readers_is_no_text() -> None:
    document = parse_body(
        '<a class="skip-link sr-only" href="#m">Skip to main content</a>'
        '<h2>History<span class="mw-editsection">[edit]</span></h2>'
        '<h2>Use<a class="headerlink" href="#use">\u00b6</a></h2>'
    )
    assert texts(document) == ["History", "Use"]


def test_a_name_and_its_value_in_one_row_are_a_table() -> None:
    document = parse_body("<table><tr><td>Grade:</td><td>SNB22</td></tr></table>")
    assert [(e.category, e.text) for e in document.elements] == [
        (ElementCategory.TABLE, "Grade: | SNB22")
    ]


def test_one_row_of_long_cells_arranges_the_page() -> None:
    document = parse_body(f"<table><tr><td>Menu</td><td>{'word ' * 40}</td></tr></table>")
    assert [e.category for e in document.elements] == [ElementCategory.NARRATIVE_TEXT] * 2


def test_cells_that_hold_lists_arrange_the_page() -> None:
    document = parse_body(
        "<table><tr><td><ul><li>Home</li><li>News</li></ul></td><td>Text</td></tr>"
        "<tr><td>a</td><td>b</td></tr></table>"
    )
    assert texts(document) == ["Home", "News", "Text", "a", "b"]


def test_a_table_in_a_cell_of_a_table_with_headers_is_text_of_that_cell() -> None:
    document = parse_body(
        "<table><tr><th>A</th><th>B</th></tr>"
        "<tr><td>1</td><td><table><tr><td>x</td><td>y</td></tr></table></td></tr></table>"
    )
    assert texts(document) == ["A | B\n1 | x y"]
