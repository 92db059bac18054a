from __future__ import annotations

import pytest
from PIL.Image import Image
from reportlab.pdfgen.canvas import Canvas

from ingestion_pipeline.model.elements import ElementCategory
from ingestion_pipeline.parsing.ocr import OcrLine
from ingestion_pipeline.parsing.pdf import parse_pdf
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.parsing.samples import BODY, write


def lines(*texts: str, left: float = 200, top: float = 300, height: float = 30) -> list[OcrLine]:
    return [
        OcrLine(
            text,
            left,
            top + 40 * row,
            left + 15 * len(text),
            top + 40 * row + height + row % 3,
            0.9,
        )
        for row, text in enumerate(texts)
    ]


def text_page(canvas: Canvas) -> None:
    write(canvas, BODY)


def test_scanned_pages_between_others_are_read() -> None:
    def recognise(_: Image) -> list[OcrLine]:
        title = lines("Annual Report", top=100, height=70)
        return title + lines("The year was long and the", "harvest was good.")

    data = samples.pdf([text_page, samples.scanned_page, text_page])
    document = parse_pdf(data, recognise=recognise)
    assert (document.recognised_pages, document.scanned_pages) == (1, 0)
    assert document.warnings == ()
    found = [(e.page, e.category, e.text) for e in document.elements]
    assert found == [
        (1, ElementCategory.NARRATIVE_TEXT, " ".join(BODY)),
        (2, ElementCategory.TITLE, "Annual Report"),
        (2, ElementCategory.NARRATIVE_TEXT, "The year was long and the harvest was good."),
        (3, ElementCategory.NARRATIVE_TEXT, " ".join(BODY)),
    ]


def test_the_picture_is_sharp_and_the_boxes_are_shares_of_it() -> None:
    sizes: list[tuple[int, int]] = []

    def recognise(image: Image) -> list[OcrLine]:
        sizes.append(image.size)
        return [OcrLine("One line of text", 165, 234, 827, 270, 0.9)]

    (element,) = parse_pdf(samples.pdf([samples.scanned_page]), recognise=recognise).elements
    ((width, height),) = sizes
    assert width == pytest.approx(595 / 72 * 200, abs=2)
    assert height == pytest.approx(842 / 72 * 200, abs=2)
    assert element.box == pytest.approx((0.1, 0.1, 0.5, 0.115), abs=0.003)


def test_a_huge_page_is_no_huge_picture() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageSize((5000, 3000))
        samples.image(canvas, 0, 0, 5000, 3000)

    sizes: list[tuple[int, int]] = []

    def recognise(image: Image) -> list[OcrLine]:
        sizes.append(image.size)
        return []

    parse_pdf(samples.pdf([draw]), recognise=recognise)
    assert sizes == [(2500, 1500)]


def test_a_page_on_which_nothing_is_read_stays_scanned() -> None:
    document = parse_pdf(samples.pdf([samples.scanned_page] * 2), recognise=lambda _: [])
    assert (document.recognised_pages, document.scanned_pages) == (0, 2)
    assert document.elements == ()


def test_text_that_runs_down_the_page_is_read_as_if_it_stood_upright() -> None:
    def recognise(_: Image) -> list[OcrLine]:
        return [
            OcrLine(text, 900 - 40 * row, 200, 930 - 40 * row, 200 + 15 * len(text), 0.9, turns=1)
            for row, text in enumerate(("The page lies on its side", "and is read all the same."))
        ]

    (element,) = parse_pdf(samples.pdf([samples.scanned_page]), recognise=recognise).elements
    assert element.text == "The page lies on its side and is read all the same."
    assert element.box is not None
    left, top, right, bottom = element.box
    assert bottom - top > right - left
