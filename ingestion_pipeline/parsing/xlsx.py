"""Excel workbooks (.xlsx, .xlsm), read from their XML, cell by cell.

Read: what visible sheets show; formulas by the value that was saved with them. Not read: charts,
text boxes, comments, hidden sheets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.archive import Archive
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.number_formats import BUILT_IN, GENERAL, shown
from ingestion_pipeline.parsing.row_tables import add_sheet

if TYPE_CHECKING:
    from lxml.etree import _Element

_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_RELATION_ID = re.compile(r"\{.*/relationships\}id")
_COLUMN = re.compile(r"[A-Z]{1,3}")
_LAST_COLUMN = 16_384


def parse_xlsx(data: bytes) -> ParsedDocument:
    """Read a workbook: each sheet is a heading and tables."""
    with Archive(data) as archive:
        main = archive.main_part("xl/workbook.xml")
        workbook = archive.xml(main)
        if workbook is None:
            raise PermanentError(
                ErrorKind.BROKEN, f"the Excel workbook has no {main}; export it again"
            )
        relations = archive.relations(main)
        parts = dict(relations.values())
        reader = _Reader(
            list(_strings(archive, parts.get("sharedStrings", ""))),
            _formats(archive.xml(parts.get("styles", ""))),
            since_1904=_is_since_1904(workbook),
        )
        builder = DocumentBuilder()
        hidden = 0
        for sheet in workbook.iterfind("{*}sheets/{*}sheet"):
            kind, part = relations.get(_relation(sheet), ("", ""))
            if kind != "worksheet" or part not in archive:
                continue
            if sheet.get("state", "visible") != "visible":
                hidden += 1
                continue
            add_sheet(reader.rows(archive, part), builder, sheet.get("name", ""))
        core = archive.xml("docProps/core.xml")
    title = core.findtext(_DC_TITLE) if core is not None else None
    warnings = [f"hidden sheets were left out: {hidden}"] if hidden else []
    if reader.without_value:
        warnings.append(
            f"{reader.without_value} formulas have no value; open the workbook in a spreadsheet "
            "program, save it and hand it in again"
        )
    document = builder.document(FileType.XLSX, title=title, warnings=warnings)
    if reader.without_value and not any(each.level is None for each in document.elements):
        raise PermanentError(ErrorKind.EMPTY, f"the workbook holds no text: {warnings[-1]}")
    return document


def _relation(sheet: _Element) -> str:
    return next((value for key, value in sheet.items() if _RELATION_ID.fullmatch(key)), "")


def _is_since_1904(workbook: _Element) -> bool:
    properties = workbook.find("{*}workbookPr")
    return properties is not None and properties.get("date1904") in {"1", "true"}


def _strings(archive: Archive, part: str) -> Iterator[str]:
    """Yield the texts that cells refer to by number, without their phonetic readings."""
    if part not in archive:
        return
    for element in _each(archive, part, "si"):
        yield _text(element)


def _text(element: _Element) -> str:
    return "".join(
        run.text or ""
        for run in element.iterfind(".//{*}t")
        if not run.getparent().tag.endswith("}rPh")
    )


def _formats(styles: _Element | None) -> list[str]:
    """Return the number formats by number of the cell's style."""
    if styles is None:
        return []
    own = {
        each.get("numFmtId", ""): each.get("formatCode", "")
        for each in styles.iterfind("{*}numFmts/{*}numFmt")
    }
    numbers = (each.get("numFmtId", "0") for each in styles.iterfind("{*}cellXfs/{*}xf"))
    return [own.get(number) or BUILT_IN.get(int(number), GENERAL) for number in numbers]


def _each(archive: Archive, part: str, name: str) -> Iterator[_Element]:
    """Yield elements as they are read, and forget them."""
    from lxml import etree

    with archive.open(part) as file:
        events = etree.iterparse(
            file,
            tag=f"{{*}}{name}",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
        )
        for _, element in events:
            yield element
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]


class _Reader:
    """Reads sheets with what is common to all of them."""

    def __init__(self, strings: list[str], formats: list[str], *, since_1904: bool) -> None:
        self._strings = strings
        self._formats = formats
        self._since_1904 = since_1904
        self.without_value = 0
        """Formulas that nobody has computed yet."""

    def rows(self, archive: Archive, part: str) -> Iterator[list[str]]:
        """Yield the texts of each row, an empty one for those that are not there."""
        last = 0
        for row in _each(archive, part, "row"):
            number = int(row.get("r") or last + 1)
            if number > last + 1:
                yield []
            last = number
            texts: list[str] = []
            for cell in row:
                column = _column(cell.get("r", ""), len(texts))
                texts.extend([""] * (column - len(texts)))
                texts.append(self._shown(cell))
            yield texts

    def _shown(self, cell: _Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _text(cell)
        value = next((each.text or "" for each in cell if each.tag.endswith("}v")), "")
        if not value and cell.find("{*}f") is not None:
            self.without_value += 1
        if kind == "s":
            return self._strings[int(value)] if value else ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind != "n" or not value:
            return value
        style = int(cell.get("s", "0"))
        code = self._formats[style] if style < len(self._formats) else GENERAL
        return shown(float(value), code, since_1904=self._since_1904)


def _column(reference: str, otherwise: int) -> int:
    """Return the column that a cell's reference ("AB12") names, counted from 0."""
    letters = _COLUMN.match(reference)
    if letters is None:
        return otherwise
    column = 0
    for letter in letters[0]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return min(max(column - 1, otherwise), _LAST_COLUMN)
