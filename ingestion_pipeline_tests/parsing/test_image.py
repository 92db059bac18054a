from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator

import pytest
from PIL import Image

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError
from ingestion_pipeline.model.elements import ElementCategory
from ingestion_pipeline.parsing import ParserPool, image, ocr, parse
from ingestion_pipeline.parsing.detection import FileType, detect
from ingestion_pipeline.parsing.image import FORMATS, parse_image
from ingestion_pipeline.parsing.ocr import OcrLine
from ingestion_pipeline_tests.parsing.picture_samples import NOTICE, chart, encoded, page

TEXT = " ".join(NOTICE)
WRITTEN = sorted(set(FORMATS) - {FileType.HEIC})
SHOWN_AS_THEY_ARE = {FileType.PNG, FileType.JPEG, FileType.GIF, FileType.WEBP}
MEMORY_BYTES = 2 * 1024**3


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    with ParserPool(1, 60, MEMORY_BYTES) as pool:
        yield pool


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no text recognition, as where its packages are not installed."""
    monkeypatch.setattr(image, "reads_pictures", lambda: False)


@pytest.mark.parametrize("file_type", WRITTEN)
def test_text_is_read_off_every_format_in_a_child(pool: ParserPool, file_type: FileType) -> None:
    data = encoded(page(NOTICE), FORMATS[file_type])
    document = pool.parse(data, "name says nothing.txt")
    assert document.media_type == file_type
    assert (document.pages, document.recognised_pages, document.scanned_pages) == (1, 1, 0)
    (element,) = document.elements
    assert (element.category, element.text, element.page) == (
        ElementCategory.NARRATIVE_TEXT,
        TEXT,
        1,
    )
    (picture,) = document.pictures
    assert element.picture == picture.picture_id == hashlib.sha256(picture.data).hexdigest()
    assert (picture.data == data) is (file_type in SHOWN_AS_THEY_ARE)
    assert detect(picture.data, "") in SHOWN_AS_THEY_ARE
    assert element.box is not None
    left, top, right, bottom = element.box
    assert 0 < left < right < 1
    assert 0 < top < bottom < 1


def test_each_page_of_a_fax_is_a_page() -> None:
    second = ("The office books the tickets.",)
    pages = [page(NOTICE, mode="1"), Image.new("1", (300, 200), 1), page(second, mode="1")]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="group4")
    document = parse(data, "fax.tif")
    assert [(each.page, each.text) for each in document.elements] == [(1, TEXT), (3, *second)]
    assert (document.pages, document.recognised_pages) == (3, 2)
    assert [each.media_type for each in document.pictures] == ["image/png"] * 3
    assert [each.picture for each in document.elements] == [
        document.pictures[0].picture_id,
        document.pictures[2].picture_id,
    ]


def test_a_photograph_taken_sideways_is_read_as_it_is_shown() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    data = encoded(page(NOTICE).rotate(90, expand=True), "JPEG", exif=exif)
    (element,) = parse(data, "photo.jpg").elements
    assert element.text == TEXT
    assert element.box is not None
    left, top, right, bottom = element.box
    assert right - left > 0.5
    assert bottom - top < 0.8


@pytest.mark.parametrize("mode", ["1", "P", "RGB"])
def test_a_picture_larger_than_needed_is_read(mode: str) -> None:
    large = page(NOTICE).resize((3600, 1440)).convert(mode)
    document = parse(encoded(large, "TIFF"), "large.tif")
    kept = Image.open(io.BytesIO(document.pictures[0].data))
    assert max(kept.size) == (ocr.LONGEST_SIDE if mode == "RGB" else 3600)
    assert [each.text for each in document.elements] == [TEXT]


def test_a_picture_without_text_is_kept_without_elements() -> None:
    document = parse(chart(), "chart.png")
    assert document.elements == ()
    assert (document.pages, document.recognised_pages, document.scanned_pages) == (1, 0, 0)
    assert [each.data for each in document.pictures] == [chart()]


@pytest.mark.usefixtures("unread")
def test_without_recognition_the_pages_count_as_scanned() -> None:
    pages = [page(NOTICE, mode="1"), page(NOTICE[:1], mode="1")]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    document = parse(data, "fax.tif")
    assert document.elements == ()
    assert (document.pages, document.scanned_pages, document.recognised_pages) == (2, 2, 0)
    assert len(document.pictures) == 2


def test_paragraphs_are_parted_by_space_and_large_type_and_joined_without_hyphens() -> None:
    def line(text: str, top: float, right: float = 500, height: float = 20) -> OcrLine:
        return OcrLine(text, 0, top, right, top + height, 1.0)

    lines = [
        line("Travel", 0, height=40),
        line("The committee approves every jour-", 60),
        line("ney before it starts.", 82),
        line("Receipts are handed in", 130),
        line("within a month.", 152),
        line("• Meals", 174),
        line("餐费按照固定的", 196),
        line("标准支付", 218),
        line("City", 300, right=50),
        OcrLine("Rate", 200, 300, 260, 320, 1.0),
        line("Basel", 322, right=50),
        OcrLine("120", 200, 322, 260, 342, 1.0),
    ]
    assert [image._text(each) for each in image._paragraphs(lines)] == [
        "Travel",
        "The committee approves every journey before it starts.",
        "Receipts are handed in within a month.",
        "• Meals 餐费按照固定的标准支付",
        "City | Rate\nBasel | 120",
    ]


def test_more_pixels_than_any_scan_has_are_refused_before_they_are_unpacked() -> None:
    bomb = encoded(Image.new("1", (20_000, 20_000)))
    assert len(bomb) < 100_000
    with pytest.raises(PermanentError, match="pixels; make it smaller") as raised:
        parse(bomb, "bomb.png")
    assert raised.value.kind is ErrorKind.TOO_LARGE


def test_heic_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_has_heic", lambda: False)
    with pytest.raises(PermanentError, match="pi-heif") as raised:
        parse(b"\0\0\0\x18ftypheic" + bytes(100), "photo.heic")
    assert raised.value.kind is ErrorKind.DEPENDENCY_MISSING


@pytest.mark.parametrize("file_type", WRITTEN)
def test_a_picture_that_is_cut_off_is_broken_or_read(file_type: FileType) -> None:
    data = encoded(page(NOTICE), FORMATS[file_type])
    try:
        document = parse(data[: len(data) // 2], "cut")
    except PermanentError as error:
        assert error.kind in {ErrorKind.BROKEN, ErrorKind.EMPTY}  # noqa: PT017
    else:
        assert document.pictures


@pytest.mark.parametrize("file_type", WRITTEN)
@pytest.mark.usefixtures("unread")
def test_mutated_pictures_give_a_document_or_a_typed_error(file_type: FileType) -> None:
    chance = random.Random(file_type)
    good = encoded(page(NOTICE[:1], size=12, mode="L"), FORMATS[file_type])
    outcomes = set()
    for _ in range(60):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 12)):
            where = chance.randrange(min(len(data), chance.choice((64, 400, len(data)))))
            data[where] = chance.randrange(256)
        try:
            outcomes.add(parse(bytes(data), "a").media_type)
        except (IngestError, MemoryError) as error:
            outcomes.add(type(error).__name__)
    assert outcomes


def test_a_picture_says_its_format_itself() -> None:
    with pytest.raises(OSError, match="cannot identify"):
        parse_image(chart(), FileType.JPEG)
