"""Excel 97-2003 workbooks (.xls): what visible sheets show."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.number_formats import GENERAL, shown
from ingestion_pipeline.parsing.row_tables import add_sheet

if TYPE_CHECKING:
    from xlrd.book import Book
    from xlrd.sheet import Cell, Sheet


def parse_xls(data: bytes) -> ParsedDocument:
    """Read a workbook: each sheet is a heading and tables."""
    import xlrd

    try:
        book = xlrd.open_workbook(
            file_contents=_workbook(data),
            formatting_info=True,
            on_demand=True,
            ragged_rows=True,  # a cell in the last corner makes sixteen million otherwise
            logfile=io.StringIO(),
        )
    except xlrd.XLRDError as error:
        if "encrypted" in str(error):
            raise PermanentError(
                ErrorKind.ENCRYPTED,
                "the Excel workbook is protected by a password; save a copy without one",
            ) from error
        raise
    builder = DocumentBuilder()
    hidden = 0
    for index, name in enumerate(book.sheet_names()):
        sheet = book.sheet_by_index(index)
        if sheet.visibility:
            hidden += 1
        else:
            add_sheet(_rows(book, sheet), builder, name)
        book.unload_sheet(index)
    warnings = [f"hidden sheets were left out: {hidden}"] if hidden else []
    return builder.document(FileType.XLS, warnings=warnings)


def _workbook(data: bytes) -> bytes:
    """Return the stream in the OLE container; ``xlrd`` follows a chain that bites its own tail."""
    import olefile

    with olefile.OleFileIO(io.BytesIO(data)) as ole:
        name = "Workbook" if ole.exists("Workbook") else "Book"
        return bytes(ole.openstream(name).read())


def _rows(book: Book, sheet: Sheet) -> Iterator[list[str]]:
    for index in range(sheet.nrows):
        yield [_shown(book, cell) for cell in sheet.row(index)]


def _shown(book: Book, cell: Cell) -> str:
    """Return what a cell shows."""
    import xlrd

    if cell.ctype == xlrd.XL_CELL_TEXT:
        return str(cell.value)
    if cell.ctype in {xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE}:
        style = book.xf_list[cell.xf_index] if cell.xf_index is not None else None
        form = book.format_map.get(style.format_key) if style is not None else None
        code = form.format_str if form is not None else GENERAL
        return shown(cell.value, code, since_1904=bool(book.datemode))
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return "TRUE" if cell.value else "FALSE"
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    return ""
