from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path

import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing import parse
from ingestion_pipeline.parsing.pdf.figures import Place, is_caption, places
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.parsing.samples import BODY, write
from ingestion_pipeline_tests.parsing.test_fuzz import mutated
from ingestion_pipeline_tests.parsing.test_pdf_tables import PRICES, draw_table


def picture(canvas: Canvas, color: str, x: float, y: float, side: float = 150) -> None:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").rotate(len(color)).save(file, "PNG")
    canvas.drawImage(ImageReader(file), x, y, side, side)


def page(canvas: Canvas) -> None:
    write(canvas, BODY)
    picture(canvas, "red", 72, 450)
    write(canvas, ["Figure 1: The slope of the roof"], y=435)
    write(canvas, BODY, y=380)


def test_a_picture_and_its_caption_are_one_element() -> None:
    document = parse(samples.pdf([page]), "a.pdf")
    assert [(element.category, element.text) for element in document.elements] == [
        (ElementCategory.NARRATIVE_TEXT, " ".join(BODY)),
        (ElementCategory.IMAGE, "Figure 1: The slope of the roof"),
        (ElementCategory.NARRATIVE_TEXT, " ".join(BODY)),
    ]
    (kept,) = document.pictures
    assert document.elements[1].picture == kept.picture_id
    assert document.elements[1].box is not None
    assert kept.media_type == "image/png"
    assert kept.picture_id == hashlib.sha256(kept.data).hexdigest()


def test_a_picture_on_many_pages_is_kept_once() -> None:
    assert len(parse(samples.pdf([page] * 3), "a.pdf").pictures) == 1


def test_a_picture_without_a_caption_belongs_to_the_paragraph_beside_it() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, BODY)
        picture(canvas, "red", 72, 450)
        write(canvas, ["Far below there is another paragraph."], y=100)

    document = parse(samples.pdf([draw]), "a.pdf")
    assert [element.picture for element in document.elements] == [
        document.pictures[0].picture_id,
        None,
    ]


def test_a_jpeg_is_kept_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    Image.linear_gradient("L").convert("RGB").save(file)

    def draw(canvas: Canvas) -> None:
        write(canvas, BODY)
        canvas.drawImage(str(file), 72, 450, 150, 150)

    (kept,) = parse(samples.pdf([draw]), "a.pdf").pictures
    assert (kept.media_type, kept.data) == ("image/jpeg", file.read_bytes())


GREY = Image.radial_gradient("L")


@pytest.mark.parametrize(
    ("original", "mode"),
    [(GREY, "L"), (GREY.convert("1").convert("L"), "1"), (GREY.convert("RGB"), "RGB")],
)
def test_a_picture_keeps_its_pixels_in_no_more_bits_than_they_need(
    original: Image.Image, mode: str
) -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, BODY)
        canvas.drawImage(ImageReader(original), 72, 450, 150, 150)

    (kept,) = parse(samples.pdf([draw]), "a.pdf").pictures
    with Image.open(io.BytesIO(kept.data)) as picture:
        assert picture.mode == mode
        assert picture.convert("RGB").tobytes() == original.convert("RGB").tobytes()


def test_icons_and_backgrounds_are_left_out() -> None:
    def draw(canvas: Canvas) -> None:
        samples.image(canvas, 0, 0, 595, 842)
        picture(canvas, "red", 72, 450, side=20)
        write(canvas, BODY)

    assert parse(samples.pdf([draw]), "a.pdf").pictures == ()


def test_captions_are_told_from_sentences_about_figures() -> None:
    assert all(map(is_caption, ("Figure 3: Sales", "Fig. 12 Sales", "图 3 销售", "Abb. 1 Umsatz")))
    assert not any(map(is_caption, ("As figure 3 shows", "Figures are given below", "Sales")))


def test_each_caption_has_one_picture() -> None:
    upper, lower = (0.1, 0.1, 0.5, 0.3), (0.1, 0.4, 0.5, 0.6)
    texts = [((0.1, 0.31, 0.5, 0.33), "Figure 1: a"), ((0.1, 0.61, 0.5, 0.63), "Figure 2: b")]
    assert places([upper, lower], texts) == [Place(0, is_caption=True), Place(1, is_caption=True)]
    assert places([upper], []) == [None]


def test_damaged_tables_and_pictures_end_as_a_document_or_with_a_reason() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageCompression(0)
        page(canvas)
        draw_table(canvas, PRICES, top=300)

    data = samples.pdf([draw])
    chance = random.Random("figures")
    for _ in range(60):
        try:
            assert isinstance(parse(mutated(data, chance), "a.pdf"), ParsedDocument)
        except PermanentError:
            continue
