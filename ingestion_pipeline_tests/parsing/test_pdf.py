from __future__ import annotations

import re

import pypdfium2
import pytest
from reportlab.pdfgen.canvas import Canvas

from ingestion_pipeline.errors import Ask, ErrorKind, InputNeededError, PermanentError
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


def test_a_document_with_neither_text_nor_images_is_empty() -> None:
    data = samples.pdf([samples.empty_page, samples.empty_page])
    with pytest.raises(PermanentError, match="no text and no scanned image on any of 2") as raised:
        parse(data, "a.pdf")
    assert raised.value.kind is ErrorKind.EMPTY
    assert not isinstance(raised.value, InputNeededError)


def test_scanned_pages_are_counted_and_no_error() -> None:
    document = parse(samples.pdf([samples.scanned_page, samples.empty_page]), "a.pdf")
    assert document.elements == ()
    assert (document.pages, document.scanned_pages) == (2, 1)


def test_a_page_with_text_on_an_image_is_no_scan() -> None:
    def draw(canvas: Canvas) -> None:
        samples.scanned_page(canvas)
        write(canvas, BODY)

    document = parse(samples.pdf([draw, samples.scanned_page]), "a.pdf")
    assert document.elements
    assert document.scanned_pages == 1


def test_a_scan_in_strips_and_within_a_form_is_one() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.beginForm("scan", lowerx=0, lowery=0, upperx=1, uppery=1)
        for strip in range(4):
            samples.image(canvas, 0, strip / 4, 1, 1 / 4)
        canvas.endForm()
        canvas.translate(50, 50)
        canvas.scale(400, 700)
        canvas.doForm("scan")

    assert parse(samples.pdf([draw]), "a.pdf").scanned_pages == 1


@pytest.mark.parametrize(("width", "height"), [(100, 100), (595, 20)])
def test_a_logo_or_a_rule_makes_no_scan(width: float, height: float) -> None:
    def draw(canvas: Canvas) -> None:
        samples.image(canvas, 0, 0, width, height)

    assert kind_of(samples.pdf([draw])) is ErrorKind.EMPTY


@pytest.mark.parametrize(
    "before",
    [b"%PDF-1.7 and no more", samples.handbook_pdf(password="secret")],
    ids=["broken", "encrypted"],
)
def test_a_document_without_pages_is_empty_whatever_failed_before_it(before: bytes) -> None:
    kind_of(before)
    assert kind_of(samples.pdf_without_pages()) is ErrorKind.EMPTY


def test_a_password_is_asked_for() -> None:
    data = samples.handbook_pdf(1, password="secret")
    with pytest.raises(InputNeededError, match="ingest reply TASK password=@file") as raised:
        parse(data, "a.pdf")
    assert raised.value.kind is ErrorKind.ENCRYPTED
    assert raised.value.asks is Ask.PASSWORD


def test_a_wrong_password_is_asked_for_again_without_being_told() -> None:
    data = samples.handbook_pdf(1, password="secret")
    with pytest.raises(InputNeededError, match="this password does not open it") as raised:
        parse(data, "a.pdf", "canary")
    assert raised.value.asks is Ask.PASSWORD
    assert "canary" not in raised.value.message


def test_a_protection_that_no_password_opens_asks_for_none() -> None:
    data = samples.handbook_pdf(1, password="secret").replace(b"/Standard", b"/Unheard_")
    with pytest.raises(PermanentError, match="no password opens") as raised:
        parse(data, "a.pdf", "secret")
    assert raised.value.kind is ErrorKind.ENCRYPTED
    assert not isinstance(raised.value, InputNeededError)


@pytest.mark.parametrize("password", ["secret", "grün ist es"])
def test_the_password_opens_the_document(password: str) -> None:
    data = samples.handbook_pdf(2, password=password)
    assert parse(data, "a.pdf", password) == parse(samples.handbook_pdf(2), "a.pdf")


def test_a_password_that_is_not_needed_does_no_harm() -> None:
    for name, make in samples.EVERY_FORMAT.items():
        assert parse(make(), name, "secret") == parse(make(), name)


@pytest.mark.parametrize("data", [b"%PDF-1.4\n", b"%PDF-1.7 but nothing that follows is one"])
def test_what_only_starts_like_a_pdf_is_broken(data: bytes) -> None:
    assert kind_of(data) is ErrorKind.BROKEN


@pytest.mark.parametrize("title", ["Microsoft Word - a.doc", "untitled", "scan_0001.pdf", "2.3"])
def test_a_title_that_a_program_made_up_is_not_taken(title: str) -> None:
    assert parse(samples.handbook_pdf(1, title=title), "a.pdf").title == "Chapter 1"
