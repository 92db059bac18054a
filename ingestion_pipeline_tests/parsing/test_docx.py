from __future__ import annotations

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import samples


def parse_body(body: str) -> ParsedDocument:
    return parse(samples.docx_of_body(body), "a.docx")


def texts(document: ParsedDocument) -> list[str]:
    return [element.text for element in document.elements]


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_a_document_becomes_typed_elements_in_the_order_of_its_body() -> None:
    document = parse(samples.handbook_docx(), "a.docx")
    below = ("Travel", "Receipts")
    assert document.title == "Travel Handbook"
    assert document.pages is None
    assert [(e.category, e.text, e.level, e.heading_path) for e in document.elements] == [
        (ElementCategory.TITLE, "Travel", 1, ()),
        (ElementCategory.NARRATIVE_TEXT, samples.BODY[0], None, ("Travel",)),
        (ElementCategory.TITLE, "Receipts", 2, ("Travel",)),
        (ElementCategory.LIST_ITEM, "Keep them", None, below),
        (ElementCategory.LIST_ITEM, "Hand them in", None, below),
        (ElementCategory.TABLE, "City | Rate\nOslo | 120", None, below),
        (ElementCategory.NARRATIVE_TEXT, "After the table.", None, below),
    ]


def test_the_title_style_gives_the_title() -> None:
    document = docx.Document()
    document.add_heading("The Title", level=0)
    document.add_paragraph("Text")
    parsed = parse(samples.save(document), "a.docx")
    assert parsed.title == "The Title"
    assert parsed.elements[0].level == 1


def test_styles_inherit_their_level_whatever_they_are_called() -> None:
    document = docx.Document()
    style = document.styles.add_style("Kapitel", WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = document.styles["Heading 3"]
    document.add_paragraph("Reisen", style=style)
    assert parse(samples.save(document), "a.docx").elements[0].level == 3


def test_an_outline_level_makes_a_heading() -> None:
    document = parse_body(
        '<w:p><w:pPr><w:outlineLvl w:val="1"/></w:pPr><w:r><w:t>Head</w:t></w:r></w:p>'
    )
    assert document.elements[0].level == 2


def test_merged_cells_have_their_text_once() -> None:
    document = docx.Document()
    table = document.add_table(rows=3, cols=3)
    for index, cell in enumerate(table._cells):
        cell.text = f"c{index}"
    table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
    table.cell(1, 2).merge(table.cell(2, 2)).text = "tall"
    (element,) = parse(samples.save(document), "a.docx").elements
    assert element.text == "wide |  | c2\nc3 | c4 | tall\nc6 | c7"
    assert element.html == (
        '<table><tr><td colspan="2">wide</td><td>c2</td></tr>'
        '<tr><td>c3</td><td>c4</td><td rowspan="2">tall</td></tr>'
        "<tr><td>c6</td><td>c7</td></tr></table>"
    )


def test_a_table_within_a_cell_is_kept_once() -> None:
    document = docx.Document()
    table = document.add_table(rows=1, cols=2)
    table.cell(0, 0).text = "outer"
    inner = table.cell(0, 1).add_table(rows=1, cols=2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "in", "ner"
    assert texts(parse(samples.save(document), "a.docx")) == ["outer | in | ner"]


def test_a_table_with_one_cell_is_a_frame() -> None:
    cell = f"<w:tc>{paragraph('one')}{paragraph('two')}</w:tc>"
    assert texts(parse_body(f"<w:tbl><w:tr>{cell}</w:tr></w:tbl>")) == ["one", "two"]


def test_text_boxes_follow_their_paragraph_once() -> None:
    box = f"<w:txbxContent>{paragraph('boxed')}</w:txbxContent>"
    document = parse_body(
        "<w:p><w:r><w:t>before </w:t></w:r><w:r><mc:AlternateContent>"
        f"<mc:Choice>{box}</mc:Choice><mc:Fallback><v:textbox>{box}</v:textbox></mc:Fallback>"
        "</mc:AlternateContent></w:r><w:r><w:t>after</w:t></w:r></w:p>"
    )
    assert texts(document) == ["before after", "boxed"]


def test_tracked_changes_are_accepted() -> None:
    document = parse_body(
        "<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>old</w:delText></w:r></w:del>"
        "<w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom></w:p>"
        f"<w:sdt><w:sdtContent>{paragraph('control')}</w:sdtContent></w:sdt>"
    )
    assert texts(document) == ["new", "control"]


def test_tabs_and_breaks_are_white_space() -> None:
    document = parse_body(
        "<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>"
    )
    assert texts(document) == ["a\tb\nc"]


@pytest.mark.parametrize(
    "data",
    [
        samples.docx_of_body("<w:p>"),
        samples.zipped({"word/document.xml": "no xml"}),
        samples.zipped({"[Content_Types].xml": "wordprocessingml"}),
    ],
)
def test_a_damaged_document_is_broken(data: bytes) -> None:
    with pytest.raises(PermanentError) as raised:
        parse(data, "a.docx")
    assert raised.value.kind is ErrorKind.BROKEN


def test_entities_do_not_multiply() -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
    body = samples.DOCUMENT_XML.format(body=paragraph("&e9;"))
    data = samples.zipped({"word/document.xml": f'<!DOCTYPE x [<!ENTITY e0 "e">{entities}]>{body}'})
    with pytest.raises(PermanentError) as raised:
        parse(data, "a.docx")
    assert raised.value.kind is ErrorKind.BROKEN


def run(text: str, properties: str = "") -> str:
    return f"<w:p><w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r></w:p>"


ITEM = run("Item", "<w:b/>").replace(
    "<w:r>", '<w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr><w:r>'
)
PROSE = run("The committee approves every journey, at length and with care for everybody.")


def test_lines_in_bold_or_large_type_are_headings_where_no_style_says_which_are() -> None:
    document = parse_body(
        run("Handbook", '<w:b/><w:sz w:val="40"/>')
        + run("1. Travel", "<w:b/>")
        + PROSE
        + run("1.1 Receipts", "<w:b/>")
        + PROSE
        + run("2. Leave", "<w:b/>")
        + PROSE * 3
    )
    titles = [(e.text, e.level, e.heading_path) for e in document.elements if e.level]
    assert titles == [
        ("Handbook", 1, ()),
        ("1. Travel", 2, ("Handbook",)),
        ("1.1 Receipts", 3, ("Handbook", "1. Travel")),
        ("2. Leave", 2, ("Handbook",)),
    ]


@pytest.mark.parametrize(
    "body",
    [
        run("Never travel without receipts.", "<w:b/>") + PROSE * 2,
        run("One", "<w:b/>") + run("Two", "<w:b/>") + PROSE,
        run("Text", '<w:b w:val="0"/>') + PROSE * 2,
        ITEM + PROSE * 2,
    ],
    ids=["sentence", "most of the text is bold", "not bold", "list item"],
)
def test_bold_type_alone_makes_no_heading(body: str) -> None:
    assert all(element.level is None for element in parse_body(body).elements)


def test_bold_lines_are_text_where_styles_say_what_headings_are() -> None:
    document = docx.Document()
    document.add_heading("Travel", 1)
    document.add_paragraph().add_run("In bold").bold = True
    document.add_paragraph("Some text.")
    document.add_heading("Leave", 1)
    document.add_paragraph("More text.")
    parsed = parse(samples.save(document), "a.docx")
    assert [element.level for element in parsed.elements] == [1, None, None, 1, None]


def test_a_title_alone_does_not_say_which_lines_are_headings() -> None:
    document = docx.Document()
    document.add_heading("Handbook", 0)
    document.add_paragraph().add_run("Travel").bold = True
    document.add_paragraph("Some text.")
    document.add_paragraph("More text.")
    parsed = parse(samples.save(document), "a.docx")
    assert [element.level for element in parsed.elements] == [1, 2, None, None]


def test_hidden_text_is_left_out() -> None:
    assert texts(parse_body(run("seen") + run("unseen", "<w:vanish/>"))) == ["seen"]


def test_a_subtitle_is_no_list_item() -> None:
    document = docx.Document()
    document.add_paragraph("What it is about", style="Subtitle")
    (element,) = parse(samples.save(document), "a.docx").elements
    assert element.category is ElementCategory.NARRATIVE_TEXT
