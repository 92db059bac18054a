"""OpenDocument texts (.odt), spreadsheets (.ods) and presentations (.odp), read from their XML.

Read: body, tables, text boxes, notes, pictures, with tracked changes accepted; of spreadsheets,
what cells show. Not read: page headers and footers, comments, hidden sheets, charts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.archive import Archive
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.row_tables import add_sheet
from ingestion_pipeline.parsing.tables import Cell

if TYPE_CHECKING:
    from lxml.etree import _Element

_OASIS = "urn:oasis:names:tc:opendocument:xmlns"
_OFFICE = f"{{{_OASIS}:office:1.0}}"
_STYLE = f"{{{_OASIS}:style:1.0}}"
_TEXT = f"{{{_OASIS}:text:1.0}}"
_TABLE = f"{{{_OASIS}:table:1.0}}"
_DRAW = f"{{{_OASIS}:drawing:1.0}}"
_PRESENTATION = f"{{{_OASIS}:presentation:1.0}}"
_SVG = f"{{{_OASIS}:svg-compatible:1.0}}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"

_SIGNS = {f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}
_BOX = f"{_DRAW}text-box"
_NOTE = f"{_TEXT}note-body"
_FRAME = f"{_DRAW}frame"
_SAID = (f"{_SVG}desc", f"{_SVG}title")
_NOT_INLINE = frozenset(
    {_BOX, f"{_TEXT}note", f"{_OFFICE}annotation", f"{_TEXT}tracked-changes", *_SAID}
)
_NO_CONTENT = frozenset(
    {f"{_TEXT}tracked-changes", f"{_OFFICE}forms", f"{_OFFICE}annotation"}
    | {f"{_PRESENTATION}notes"}
    | {f"{_TEXT}{kind}-source" for kind in ("table-of-content", "alphabetical-index")}
)
_MOST_REPEATS = 1000
"""Cells or rows; more are the empty rest of a sheet."""


def parse_odt(data: bytes) -> ParsedDocument:
    """Read a text; it has no pages until it is laid out."""
    with Archive(data) as archive:
        content, title = _content(archive)
        styles = _titles(archive.xml("styles.xml")) | _titles(content)
        reader = _Reader(archive, styles)
        reader.blocks(content.find(f"{_OFFICE}body/{_OFFICE}text"))
    return reader.builder.document(FileType.ODT, title=title or reader.title)


def parse_ods(data: bytes) -> ParsedDocument:
    """Read a spreadsheet: each sheet is a heading and tables."""
    with Archive(data) as archive:
        content, title = _content(archive)
    hidden = {
        style.get(f"{_STYLE}name")
        for style in content.iter(f"{_STYLE}style")
        if style.find(f"{_STYLE}table-properties[@{_TABLE}display='false']") is not None
    }
    builder = DocumentBuilder()
    left_out = 0
    for sheet in content.iterfind(f"{_OFFICE}body/{_OFFICE}spreadsheet/{_TABLE}table"):
        if sheet.get(f"{_TABLE}style-name") in hidden:
            left_out += 1
            continue
        add_sheet(_sheet_rows(sheet), builder, sheet.get(f"{_TABLE}name", ""))
    warnings = [f"hidden sheets were left out: {left_out}"] if left_out else []
    return builder.document(FileType.ODS, title=title, warnings=warnings)


def parse_odp(data: bytes) -> ParsedDocument:
    """Read a presentation: a slide is a page, its title a heading; notes follow it."""
    with Archive(data) as archive:
        content, title = _content(archive)
        reader = _Reader(archive, set())
        slides = content.findall(f"{_OFFICE}body/{_OFFICE}presentation/{_DRAW}page")
        for page, slide in enumerate(slides, start=1):
            reader.slide(slide, page)
    return reader.builder.document(FileType.ODP, title=title, pages=len(slides))


def _content(archive: Archive) -> tuple[_Element, str | None]:
    """Return the root of the content, and the title in the properties.

    Raises:
        PermanentError: ``encrypted`` or ``broken``.
    """
    if b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise PermanentError(
            ErrorKind.ENCRYPTED,
            "the OpenDocument file is protected by a password; save a copy without one",
        )
    content = archive.xml("content.xml")
    if content is None:
        raise PermanentError(
            ErrorKind.BROKEN, "the OpenDocument file has no content.xml; export it again"
        )
    meta = archive.xml("meta.xml")
    return content, meta.findtext(f".//{_DC_TITLE}") if meta is not None else None


def _titles(root: _Element | None) -> set[str]:
    """Return the styles of a document's title: that of this name, and those based on it."""
    named = root.iter(f"{_STYLE}style") if root is not None else ()
    return {"Title"} | {
        style.get(f"{_STYLE}name", "")
        for style in named
        if style.get(f"{_STYLE}parent-style-name") == "Title"
    }


class _Reader:
    """Walks a text in reading order; XML nests at most 256 deep, so it may call itself."""

    def __init__(self, archive: Archive, titles: set[str]) -> None:
        self.builder = DocumentBuilder()
        self.title: str | None = None
        self._archive = archive
        self._titles = titles
        self._page: int | None = None

    def slide(self, slide: _Element, page: int) -> None:
        """Add a slide: its title, what else is on it, and what its speaker notes."""
        self._page = page
        self.builder.end_headings()
        shapes = list(slide)
        for frame in shapes:
            if frame.get(f"{_PRESENTATION}class") == "title":
                self.builder.heading(_cell_text(frame), 1, page)
        self.blocks([each for each in shapes if each.get(f"{_PRESENTATION}class") != "title"])
        for notes in slide.iterfind(f"{_PRESENTATION}notes/{_FRAME}"):
            if notes.get(f"{_PRESENTATION}class") == "notes":
                self.blocks(notes)

    def blocks(
        self,
        parent: Iterable[_Element] | None,
        category: ElementCategory = ElementCategory.NARRATIVE_TEXT,
    ) -> None:
        """Add what stands below ``parent``; its paragraphs are of ``category``."""
        for element in parent if parent is not None else ():
            if element.tag in (f"{_TEXT}p", f"{_TEXT}h"):
                self._paragraph(element, category)
            elif element.tag == f"{_TEXT}list":
                self.blocks(element, ElementCategory.LIST_ITEM)
            elif element.tag == f"{_TABLE}table":
                self._table(element)
            elif element.tag == _FRAME:
                self._picture(element)
                self.blocks(element, category)
            elif element.tag not in _NO_CONTENT:
                self.blocks(element, category)

    def _paragraph(self, paragraph: _Element, category: ElementCategory) -> None:
        text = _inline_text(paragraph)
        is_title = paragraph.get(f"{_TEXT}style-name") in self._titles
        if is_title and self.title is None:
            self.title = text
        if paragraph.tag == f"{_TEXT}h":
            level = paragraph.get(f"{_TEXT}outline-level", "1")
            self.builder.heading(text, int(level), self._page)
        elif is_title:
            self.builder.heading(text, 1, self._page)
        else:
            self.builder.text(category, text, self._page)
        self._pictures(paragraph)
        for box in _outermost(paragraph, frozenset({_BOX, _NOTE})):
            self.blocks(box)

    def _table(self, table: _Element) -> None:
        """Add a table; one with a single cell is a frame around what it holds."""
        cells = list(_outermost(table, frozenset({f"{_TABLE}table-cell"})))
        if len(cells) == 1:
            self.blocks(cells[0])
            return
        self.builder.table(
            [
                [_cell(cell, header=is_header) for cell in _cells(row)]
                for row, is_header in _rows(table)
            ],
            self._page,
        )
        self._pictures(table)

    def _pictures(self, parent: _Element) -> None:
        """Add the pictures anchored in a paragraph or table, without those in text boxes."""
        for frame in _outermost(parent, frozenset({_FRAME})):
            self._picture(frame)

    def _picture(self, frame: _Element) -> None:
        """Add the first picture in a frame that can be kept; the others show the same."""
        text = next(filter(None, map(frame.findtext, _SAID)), "")
        for image in frame.iterfind(f"{_DRAW}image"):
            part = image.get(f"{_XLINK}href", "").removeprefix("./")
            if self.builder.picture(self._archive.read(part), text, self._page):
                return


def _outermost(parent: _Element, tags: frozenset[str]) -> Iterator[_Element]:
    """Yield what has one of ``tags`` below ``parent``, without what is within it."""
    for child in parent:
        if child.tag in tags:
            yield child
        else:
            yield from _outermost(child, tags)


def _rows(parent: _Element, *, is_header: bool = False) -> Iterator[tuple[_Element, bool]]:
    """Yield rows, those in groups included, and whether they are headers."""
    for child in parent:
        if child.tag == f"{_TABLE}table-row":
            yield child, is_header
        elif child.tag == f"{_TABLE}table-header-rows":
            yield from _rows(child, is_header=True)
        elif child.tag in (f"{_TABLE}table-rows", f"{_TABLE}table-row-group"):
            yield from _rows(child, is_header=is_header)


def _cells(row: _Element) -> Iterator[_Element]:
    """Yield cells as often as they are repeated, without those that a merge covers."""
    for cell in row.iterchildren(f"{_TABLE}table-cell"):
        for _ in range(_repeats(cell, "columns")):
            yield cell


def _cell(cell: _Element, *, header: bool) -> Cell:
    return Cell(
        _cell_text(cell),
        header=header,
        colspan=int(cell.get(f"{_TABLE}number-columns-spanned", "1")),
        rowspan=int(cell.get(f"{_TABLE}number-rows-spanned", "1")),
    )


def _repeats(element: _Element, what: str) -> int:
    repeats = int(element.get(f"{_TABLE}number-{what}-repeated", "1"))
    return repeats if repeats <= _MOST_REPEATS else 1


def _sheet_rows(sheet: _Element) -> Iterator[list[str]]:
    """Yield the texts of a sheet's rows; covered cells are empty, so that columns stay in line."""
    for row, _ in _rows(sheet):
        texts: list[str] = []
        for cell in row:
            if cell.tag in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
                text = " ".join(_cell_text(cell).split())
                texts.extend([text] * _repeats(cell, "columns"))
        for _ in range(_repeats(row, "rows") if any(texts) else 1):
            yield texts


def _cell_text(cell: _Element) -> str:
    """Return a cell's text; a table within it gives its cells' texts one after the other."""
    parts: list[str] = []
    for child in cell:
        if child.tag in (f"{_TEXT}p", f"{_TEXT}h"):
            parts.append(_inline_text(child))
            parts.extend(_cell_text(box) for box in _outermost(child, frozenset({_BOX, _NOTE})))
        elif child.tag not in _NO_CONTENT:
            parts.append(_cell_text(child))
    return "\n".join(filter(None, parts))


def _inline_text(element: _Element) -> str:
    """Return a paragraph's text; runs of white space are one space, as the format has it."""
    parts = [_collapsed(element.text)]
    for child in element:
        if child.tag in _SIGNS:
            parts.append(_SIGNS[child.tag])
        elif child.tag == f"{_TEXT}s":
            parts.append(" " * min(int(child.get(f"{_TEXT}c", "1")), _MOST_REPEATS))
        elif child.tag not in _NOT_INLINE:
            parts.append(_inline_text(child))
        parts.append(_collapsed(child.tail))
    return "".join(parts)


def _collapsed(text: str | None) -> str:
    if not text:
        return ""
    words = " ".join(text.split())
    before = " " if text[0].isspace() else ""
    after = " " if words and text[-1].isspace() else ""
    return f"{before}{words}{after}"
