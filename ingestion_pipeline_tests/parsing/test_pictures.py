from __future__ import annotations

import base64
import hashlib
import io
import random
from collections.abc import Callable

import docx
import pptx
import pytest
from docx.shared import Cm
from PIL import Image
from pptx.util import Inches

from ingestion_pipeline.errors import ErrorKind, IngestError, InputNeededError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing import parse
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.doubts import doubt
from ingestion_pipeline.parsing.pictures import MOST_PICTURES, Pictures, caption, data_uri
from ingestion_pipeline_tests.parsing.further_samples import CHAPTER, handbook_epub
from ingestion_pipeline_tests.parsing.picture_samples import chart, encoded
from ingestion_pipeline_tests.parsing.samples import save, zipped

IMAGE, TEXT = ElementCategory.IMAGE, ElementCategory.NARRATIVE_TEXT
CHART = chart()
CHART_ID = hashlib.sha256(CHART).hexdigest()
OTHER = chart("maroon")
OTHER_ID = hashlib.sha256(OTHER).hexdigest()
URI = f"data:image/png;base64,{base64.b64encode(CHART).decode()}"


def shown(document: ParsedDocument) -> list[tuple[str, str | None]]:
    return [(element.text, element.picture) for element in document.elements]


def built(fill: Callable[[DocumentBuilder], object]) -> ParsedDocument:
    builder = DocumentBuilder()
    fill(builder)
    return builder.document("text/x")


def handbook_docx_with_pictures() -> bytes:
    document = docx.Document()
    document.add_heading("Costs", 1)
    described = document.add_paragraph("Costs rise.").add_run().add_picture(io.BytesIO(CHART))
    described._inline.docPr.set("descr", "Costs by year")
    document.add_paragraph("They fall again.").add_run().add_picture(io.BytesIO(OTHER), Cm(3))
    cell = document.add_table(2, 2).cell(0, 0)
    cell.text = "A cell"
    cell.paragraphs[0].add_run().add_picture(io.BytesIO(CHART))
    document.add_paragraph().add_run().add_picture(io.BytesIO(OTHER))
    document.add_paragraph("Figure 1: how they fall", style="Caption")
    return save(document)


def slides_with_pictures() -> bytes:
    presentation = pptx.Presentation()
    for description in ("Costs by year", ""):
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = f"Slide {description}".strip()
        picture = slide.shapes.add_picture(io.BytesIO(CHART), Inches(1), Inches(1))
        picture._element.nvPicPr.cNvPr.set("descr", description)
    file = io.BytesIO()
    presentation.save(file)
    return file.getvalue()


def test_pictures_of_a_word_document_are_kept_once_and_shown_where_they_stand() -> None:
    document = parse(handbook_docx_with_pictures(), "a.docx")
    assert [(each.picture_id, each.data) for each in document.pictures] == [
        (CHART_ID, CHART),
        (OTHER_ID, OTHER),
    ]
    assert {each.media_type for each in document.pictures} == {"image/png"}
    assert shown(document) == [
        ("Costs", None),
        ("Costs rise.", None),
        ("Costs by year", CHART_ID),
        ("They fall again.", OTHER_ID),
        ("A cell", CHART_ID),
        ("Figure 1: how they fall", OTHER_ID),
    ]
    assert [each.category for each in document.elements][2::3] == [IMAGE, IMAGE]
    assert document.elements[2].heading_path == ("Costs",)


def test_pictures_of_slides_stand_on_their_page() -> None:
    document = parse(slides_with_pictures(), "a.pptx")
    assert [(each.text, each.picture, each.page) for each in document.elements] == [
        ("Slide Costs by year", None, 1),
        ("Costs by year", CHART_ID, 1),
        ("Slide", CHART_ID, 2),
    ]
    assert len(document.pictures) == 1


def test_pictures_of_an_opendocument_text_are_kept() -> None:
    frame = '<draw:frame><draw:image xlink:href="{}"/>{}</draw:frame>'
    body = (
        f"<text:p>Costs rise.{frame.format('Pictures/a.png', '<svg:desc>By year</svg:desc>')}"
        f"</text:p><text:p>They fall.{frame.format('./Pictures/b.png', '')}</text:p>"
    )
    spaces = (
        'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
        'xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" '
        'xmlns:xlink="http://www.w3.org/1999/xlink"'
    )
    content = (
        '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        f'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" {spaces}>'
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    members: dict[str, bytes | str] = {
        "mimetype": "application/vnd.oasis.opendocument.text",
        "content.xml": content,
        "Pictures/a.png": CHART,
        "Pictures/b.png": OTHER,
    }
    assert shown(parse(zipped(members), "a.odt")) == [
        ("Costs rise.", None),
        ("By year", CHART_ID),
        ("They fall.", OTHER_ID),
    ]


def test_pictures_of_a_page_are_those_it_holds_itself() -> None:
    source = f"""<h1>Costs</h1><p>They rise <img src="{URI}" alt="by year"> fast.</p>
    <p><img src="https://example.org/a.png" alt="Elsewhere"></p>
    <figure><img src="{URI}"><figcaption>Figure 1</figcaption></figure>
    <p><img src="{URI}" alt="Costs, again"></p>"""
    document = parse(source.encode(), "a.html")
    assert shown(document) == [
        ("Costs", None),
        ("They rise by year fast.", CHART_ID),
        ("Elsewhere", None),
        ("Figure 1", CHART_ID),
        ("Costs, again", CHART_ID),
    ]
    assert [each.category for each in document.elements][2:] == [TEXT, IMAGE, IMAGE]


def test_pictures_of_markdown_are_those_it_holds_itself() -> None:
    document = parse(f"# Costs\n\nThey ![rise]({URI}).\n".encode(), "a.md")
    assert shown(document) == [("Costs", None), ("They rise.", CHART_ID)]


def test_pictures_of_a_book_are_members_of_it() -> None:
    page = CHAPTER.format('<p>Costs.</p><p><img src="../img/a%20b.png" alt=""/></p>')
    members: dict[str, bytes | str] = {"OPS/a a.xhtml": page, "img/a b.png": CHART}
    assert shown(parse(handbook_epub(**members), "a.epub"))[:2] == [
        ("Travel", None),
        ("Costs.", CHART_ID),
    ]


def test_a_picture_that_nobody_describes_goes_to_a_paragraph_beside_it() -> None:
    def fill(builder: DocumentBuilder) -> None:
        builder.heading("Costs", 1)
        builder.picture(CHART)
        builder.text(TEXT, "They rise.")
        builder.picture(OTHER)

    assert shown(built(fill)) == [("Costs", None), ("They rise.", CHART_ID)]


def test_a_picture_stays_on_its_page() -> None:
    def fill(builder: DocumentBuilder) -> None:
        builder.text(TEXT, "Page one.", 1)
        builder.picture(CHART, page=2)
        builder.text(TEXT, "Page three.", 3)

    document = built(fill)
    assert shown(document) == [("Page one.", None), ("Page three.", None)]
    assert len(document.pictures) == 1


def test_a_caption_without_a_picture_is_a_paragraph() -> None:
    document = built(lambda builder: builder.caption("Table 1"))
    assert [(each.category, each.text) for each in document.elements] == [(TEXT, "Table 1")]


@pytest.mark.parametrize(
    "data",
    [
        chart(size=(63, 300)),
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xd7\xcd\xc6\x9a" + bytes(200),
        CHART[:20],
    ],
)
def test_icons_drawings_and_what_is_no_picture_are_left_out(data: bytes) -> None:
    pictures = Pictures()
    assert pictures.add(data) is None
    assert pictures.kept == ()
    assert pictures.warnings == []


def test_pictures_beyond_the_limit_are_counted() -> None:
    pictures = Pictures()
    for number in range(MOST_PICTURES + 2):
        pictures.add(encoded(Image.new("L", (64, 64 + number))))
    assert len(pictures.kept) == MOST_PICTURES
    assert pictures.warnings == ["pictures beyond 200 or 64 MiB were left out: 2"]
    assert pictures.add(pictures.kept[0].data) == pictures.kept[0].picture_id


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image1.png", ""),
        ("Picture 3", ""),
        ("图片 2", ""),
        ("  ", ""),
        ("***", ""),
        ("A chart\nof costs  Description automatically generated", "A chart of costs"),
        ("Picture of the office", "Picture of the office"),
    ],
)
def test_names_and_placeholders_say_nothing(text: str, said: str) -> None:
    assert caption(text) == said


@pytest.mark.parametrize(
    ("uri", "data"),
    [
        (URI, CHART),
        (f"  {URI}", CHART),
        ("data:image/gif,GIF89a%00", b"GIF89a\0"),
        ("data:text/html;base64,PGI+", b""),
        ("data:image/png;base64,!!!=", b""),
        ("https://example.org/a.png", b""),
        ("a.png", b""),
    ],
)
def test_only_data_uris_hold_pictures(uri: str, data: bytes) -> None:
    assert data_uri(uri) == data


def test_pictures_without_any_text_are_refused_and_nobody_is_asked() -> None:
    error = doubt(parse(CHART, "chart.png"), "chart.png")
    assert error is not None
    assert not isinstance(error, InputNeededError)
    assert error.kind is ErrorKind.EMPTY
    assert error.message.startswith("the picture chart.png holds no text; configure a model")


@pytest.mark.parametrize("make", [handbook_docx_with_pictures, slides_with_pictures])
def test_mutated_documents_with_pictures_give_a_document_or_a_typed_error(
    make: Callable[[], bytes],
) -> None:
    good = make()
    chance = random.Random(1)
    outcomes = set()
    for _ in range(40):
        data = bytearray(good)
        for _ in range(5):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            outcomes.add(parse(bytes(data), "a").media_type)
        except (IngestError, MemoryError) as error:
            outcomes.add(type(error).__name__)
    assert outcomes
