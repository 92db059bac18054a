"""PowerPoint presentations (.pptx), read from their XML; a slide is a page.

Read: title first, then shapes in the order of the slide, which is the order they are read aloud
in; tables, SmartArt, pictures, notes. Not read: charts, comments, and what the master repeats on
each slide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.archive import Archive
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.tables import Cell

if TYPE_CHECKING:
    from lxml.etree import _Element

_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_TITLES = frozenset({"title", "ctrTitle"})
_BODIES = frozenset({"body", "obj"})
_FRAME = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})


def parse_pptx(data: bytes) -> ParsedDocument:
    """Read a presentation: each slide's title is a heading."""
    builder = DocumentBuilder()
    with Archive(data) as archive:
        main = archive.main_part("ppt/presentation.xml")
        presentation = archive.xml(main)
        if presentation is None:
            raise PermanentError(
                ErrorKind.BROKEN, f"the presentation has no {main}; export it again"
            )
        relations = archive.relations(main)
        slides = [
            relations.get(_relation(each), ("", ""))[1]
            for each in presentation.iterfind("{*}sldIdLst/{*}sldId")
        ]
        for page, part in enumerate(slides, start=1):
            _add_slide(archive, part, page, builder)
        core = archive.xml("docProps/core.xml")
    title = core.findtext(_DC_TITLE) if core is not None else None
    title = None if title == _NO_TITLE else title
    return builder.document(FileType.PPTX, title=title, pages=len(slides))


_NO_TITLE = "PowerPoint Presentation"
"""What PowerPoint calls a presentation that nobody gave a title."""


def _relation(element: _Element, name: str = "id") -> str:
    ending = f"/relationships}}{name}"
    return next((value for key, value in element.items() if key.endswith(ending)), "")


def _add_slide(archive: Archive, part: str, page: int, builder: DocumentBuilder) -> None:
    slide = archive.xml(part)
    if slide is None:
        return
    relations = archive.relations(part)
    builder.end_headings()
    shapes = list(_shapes(slide.find("{*}cSld/{*}spTree")))
    shapes.sort(key=lambda shape: _placeholder(shape) not in _TITLES)
    for shape in shapes:
        if _name(shape) == "graphicFrame":
            _add_graphic(archive, shape, relations, page, builder)
        elif _name(shape) == "pic":
            _add_picture(archive, shape, relations, page, builder)
        else:
            _add_shape(shape, page, builder)
    for kind, target in relations.values():
        notes = archive.xml(target) if kind == "notesSlide" else None
        for shape in _shapes(notes.find("{*}cSld/{*}spTree") if notes is not None else None):
            if _placeholder(shape) == "body":
                text = "\n".join(map(_text, shape.iterfind("{*}txBody/{*}p")))
                builder.text(ElementCategory.NARRATIVE_TEXT, text, page)


def _shapes(parent: _Element | None) -> Iterator[_Element]:
    """Yield shapes with text, graphics and pictures, those in groups included."""
    for child in parent if parent is not None else ():
        name = _name(child)
        if name in {"sp", "graphicFrame", "pic"}:
            yield child
        elif name == "grpSp":
            yield from _shapes(child)
        elif name == "AlternateContent":
            yield from _shapes(child.find("{*}Choice"))


def _name(element: _Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _placeholder(shape: _Element) -> str | None:
    """Return what a shape is in the slide's layout, None for one that is not part of it."""
    found = shape.find("{*}nvSpPr/{*}nvPr/{*}ph")
    return None if found is None else found.get("type", "obj")


def _add_shape(shape: _Element, page: int, builder: DocumentBuilder) -> None:
    kind = _placeholder(shape)
    paragraphs = list(shape.iterfind("{*}txBody/{*}p"))
    if kind in _FRAME:
        return
    if kind in _TITLES:
        builder.heading(" ".join(map(_text, paragraphs)), 1, page)
        return
    for paragraph in paragraphs:
        bulleted = _is_bulleted(paragraph, otherwise=kind in _BODIES)
        category = ElementCategory.LIST_ITEM if bulleted else ElementCategory.NARRATIVE_TEXT
        builder.text(category, _text(paragraph), page)


def _is_bulleted(paragraph: _Element, *, otherwise: bool) -> bool:
    """Whether the paragraph has a bullet; the layout's bodies give it one unless it says no."""
    properties = paragraph.find("{*}pPr")
    names = {_name(each) for each in properties} if properties is not None else set()
    if "buNone" in names:
        return False
    return otherwise or bool(names & {"buChar", "buAutoNum", "buBlip"})


def _text(paragraph: _Element) -> str:
    """Return a paragraph's text, fields such as dates included."""
    parts = (
        "\n" if _name(each) == "br" else each.findtext("{*}t") or ""
        for each in paragraph
        if _name(each) in {"r", "fld", "br"}
    )
    return "".join(parts)


def _add_graphic(
    archive: Archive,
    frame: _Element,
    relations: dict[str, tuple[str, str]],
    page: int,
    builder: DocumentBuilder,
) -> None:
    table = frame.find("{*}graphic/{*}graphicData/{*}tbl")
    if table is not None:
        builder.table(_rows(table), page)
    diagram = frame.find("{*}graphic/{*}graphicData/{*}relIds")
    if diagram is None:
        return
    points = archive.xml(relations.get(_relation(diagram, "dm"), ("", ""))[1])
    for paragraph in points.iterfind(".//{*}pt/{*}t/{*}p") if points is not None else ():
        builder.text(ElementCategory.LIST_ITEM, _text(paragraph), page)


def _add_picture(
    archive: Archive,
    shape: _Element,
    relations: dict[str, tuple[str, str]],
    page: int,
    builder: DocumentBuilder,
) -> None:
    properties = shape.find("{*}nvPicPr/{*}cNvPr")
    blip = shape.find("{*}blipFill/{*}blip")
    if blip is not None:
        _, part = relations.get(_relation(blip, "embed"), ("", ""))
        text = properties.get("descr", "") if properties is not None else ""
        builder.picture(archive.read(part), text, page)


def _rows(table: _Element) -> list[list[Cell]]:
    """Return the cells; those that a merge covers are left out."""
    properties = table.find("{*}tblPr")
    has_header = properties is not None and properties.get("firstRow") == "1"
    return [
        [
            Cell(
                "\n".join(map(_text, cell.iterfind("{*}txBody/{*}p"))),
                header=has_header and number == 0,
                colspan=int(cell.get("gridSpan", "1")),
                rowspan=int(cell.get("rowSpan", "1")),
            )
            for cell in row.iterfind("{*}tc")
            if cell.get("hMerge") != "1" and cell.get("vMerge") != "1"
        ]
        for number, row in enumerate(table.iterfind("{*}tr"))
    ]
