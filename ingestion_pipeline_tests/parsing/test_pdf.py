from __future__ import annotations

import re

import pypdfium2
import pytest
from reportlab.pdfgen.canvas import Canvas

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.parsing.samples import BODY, write


def kind_of(data: bytes) -> ErrorKind:
    with pytest.raises(PermanentError) as raised:
        parse(data, "a.pdf")
    return raised.value.kind


def outline(document: ParsedDocument) -> list[tuple[int | None, str, int | None]]:
    return [(e.page, e.text, e.level) for e in document.elements if e.level is not None]


def test_chapters_have_headings_paragraphs_and_pages() -> None:
    document = parse(samples.handbook_pdf(title="Travel Handbook"), "a.pdf")
    assert document.pages == 4
    assert document.title == "Travel Handbook"
    assert outline(document)[:4] == [
        (1, "Chapter 1", 1),
        (1, "Receipts", 2),
        (2, "Chapter 2", 1),
        (2, "Receipts", 2),
    ]
    paragraph = document.elements[3]
    assert paragraph.category is ElementCategory.NARRATIVE_TEXT
    assert paragraph.text == " ".join(BODY) + " This ends the chapter A."
    assert paragraph.heading_path == ("Chapter 1", "Receipts")
    assert paragraph.page == 1


def test_running_headers_and_page_numbers_are_left_out() -> None:
    texts = [element.text for element in parse(samples.handbook_pdf(), "a.pdf").elements]
    assert "Travel Handbook" not in texts
    assert not any(text.isdigit() for text in texts)


def test_a_header_on_two_pages_is_not_yet_a_running_one() -> None:
    assert "Travel Handbook" in parse(samples.handbook_pdf(2), "a.pdf").text


def test_a_short_page_is_no_running_header() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, [f"This is page {canvas.getPageNumber()}", "of the document"])

    document = parse(samples.pdf([draw] * 4), "a.pdf")
    assert [element.page for element in document.elements] == [1, 2, 3, 4]
    assert document.elements[2].text == "This is page 3 of the document"


def test_no_text_is_lost() -> None:
    data = samples.handbook_pdf(2)
    plain = "".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(data))
    assert re.sub(r"\s", "", parse(data, "a.pdf").text) == re.sub(r"\s", "", plain)


def test_bookmarks_give_headings_that_look_like_text() -> None:
    def draw(canvas: Canvas) -> None:
        for key, level in (("Part One", 0), ("Section 1.1", 1)):
            canvas.bookmarkPage(key)
            canvas.addOutlineEntry(key, key, level)
        y = write(canvas, ["Part One"]) - 20
        y = write(canvas, BODY, y=y) - 20
        y = write(canvas, ["Section 1.1"], y=y) - 20
        write(canvas, BODY, y=y)

    assert outline(parse(samples.pdf([draw]), "a.pdf")) == [
        (1, "Part One", 1),
        (1, "Section 1.1", 2),
    ]


def test_a_word_cut_at_the_end_of_a_line_is_one_word() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, ["This well-known sentence has an exam-", "ple of a well-", "known cut."])

    text = parse(samples.pdf([draw]), "a.pdf").text
    assert "an example of" in text
    assert text.endswith("a well-known cut.")


def test_columns_are_read_one_after_the_other() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, ["The left column comes", "first and goes on in"], x=72)
        write(canvas, ["the right column, which", "comes second."], x=320)

    (element,) = parse(samples.pdf([draw]), "a.pdf").elements
    assert element.text == (
        "The left column comes first and goes on in the right column, which comes second."
    )


def test_bullets_and_numbers_start_list_items() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, [*BODY, "\N{BULLET} Keep them", "\N{BULLET} Hand them in", "1. Soon"])

    items = [
        element.text
        for element in parse(samples.pdf([draw]), "a.pdf").elements
        if element.category is ElementCategory.LIST_ITEM
    ]
    assert items == ["\N{BULLET} Keep them", "\N{BULLET} Hand them in", "1. Soon"]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_page_is_read_like_an_upright_one(degrees: int) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.translate(300, 400)
        canvas.rotate(degrees)
        write(canvas, ["Turned"], x=-250, y=100, size=20)
        write(canvas, BODY, x=-250, y=50)

    elements = parse(samples.pdf([draw]), "a.pdf").elements
    assert [(e.text, e.level) for e in elements] == [("Turned", 1), (" ".join(BODY), None)]


def test_pages_without_text_are_told_in_a_warning() -> None:
    document = parse(samples.pdf([samples.chapter(1), samples.empty_page]), "a.pdf")
    assert document.pages == 2
    assert document.warnings == ("1 page without a text layer, nothing taken from them: 2",)


def test_a_scanned_document_is_empty_and_says_why() -> None:
    data = samples.pdf([samples.empty_page, samples.empty_page])
    with pytest.raises(PermanentError, match="no text layer on any of 2 pages") as raised:
        parse(data, "a.pdf")
    assert raised.value.kind is ErrorKind.EMPTY


@pytest.mark.parametrize(
    "before", [b"%PDF-1.7 and no more", samples.handbook_pdf(password="secret")]
)
def test_a_document_without_pages_is_empty_whatever_failed_before_it(before: bytes) -> None:
    kind_of(before)
    assert kind_of(samples.pdf_without_pages()) is ErrorKind.EMPTY


def test_a_password_is_asked_for() -> None:
    data = samples.handbook_pdf(1, password="secret")
    with pytest.raises(PermanentError, match="protected by a password") as raised:
        parse(data, "a.pdf")
    assert raised.value.kind is ErrorKind.ENCRYPTED


@pytest.mark.parametrize("data", [b"%PDF-1.4\n", b"%PDF-1.7 but nothing that follows is one"])
def test_what_only_starts_like_a_pdf_is_broken(data: bytes) -> None:
    assert kind_of(data) is ErrorKind.BROKEN


@pytest.mark.parametrize("title", ["Microsoft Word - a.doc", "untitled", "scan_0001.pdf", "2.3"])
def test_a_title_that_a_program_made_up_is_not_taken(title: str) -> None:
    assert parse(samples.handbook_pdf(1, title=title), "a.pdf").title == "Chapter 1"
