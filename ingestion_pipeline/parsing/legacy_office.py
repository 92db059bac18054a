"""Word 97-2003 (.doc) and PowerPoint 97-2003 (.ppt), read by ``office_oxide``.

It is native code for exactly these formats: it knows the piece tables, styles, code pages and
records of all versions since Word 6, never hung or crashed on 190,000 damaged files, and reads one
in a millisecond. Not taken from it: page headers and footers, comments, headings without letters,
and pictures, for it does not tell where they stand.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.tables import Cell

_Node = Mapping[str, Any]
"""A piece of the document in the library's own form: its "type", and what belongs to that."""

_FIB = struct.Struct("<2xH80xI12xII")
"""The version, and the lengths of page headers, text boxes and text boxes in page headers."""
_WORD_97 = 0xC1
_TRUNCATED = "a part of the text could not be recovered"
_NOTICE = re.compile(r"\A\[[^\[\]]* (?:nested|truncated|too deeply|deeper than) [^\[\]]*\]\Z")
"""What the library says in place of what it leaves out."""
_NOT_IN_BODY = re.compile(r"\A(?:header|comment)", re.IGNORECASE)


def parse_doc(data: bytes) -> ParsedDocument:
    """Read a Word document: headings, lists, tables, notes; no pages until it is laid out."""
    document = _document(data, "doc")
    builder = DocumentBuilder()
    elements = [each for section in document["sections"] for each in section["elements"]]
    _add_all(_without_page_headers(elements, data), builder, page=None)
    return builder.document(
        FileType.DOC, title=_declared_title(document), warnings=_warnings(document)
    )


def parse_ppt(data: bytes) -> ParsedDocument:
    """Read a presentation: a slide is a page, its title a heading; notes follow it."""
    document = _document(data, "ppt")
    builder = DocumentBuilder()
    slides = document["sections"]
    for page, slide in enumerate(slides, start=1):
        builder.end_headings()
        elements = sorted(slide["elements"], key=lambda element: element["type"] != "heading")
        _add_all(elements, builder, page)
        _add_all(slide.get("speaker_notes") or (), builder, page)
    return builder.document(
        FileType.PPT,
        title=_declared_title(document),
        pages=len(slides),
        warnings=_warnings(document),
    )


def _document(data: bytes, kind: Literal["doc", "ppt"]) -> dict[str, Any]:
    try:
        import office_oxide
    except ImportError as error:  # there is none for every machine
        raise PermanentError(
            ErrorKind.DEPENDENCY_MISSING,
            f"a .{kind} needs the extra 'legacy-office', which is not installed: install it, or "
            f"save the document as .{kind}x",
        ) from error

    try:
        return office_oxide.Document.from_bytes(data, kind).to_ir()
    except office_oxide.OfficeOxideError as error:
        if "encrypted" in str(error):
            raise PermanentError(
                ErrorKind.ENCRYPTED,
                "the Office document is protected by a password; save a copy without one",
            ) from error
        raise PermanentError(
            ErrorKind.BROKEN, f"the Office document is damaged ({error}); save it again and retry"
        ) from error


def _without_page_headers(elements: Sequence[_Node], data: bytes) -> Iterator[_Node]:
    """Leave out page headers and footers, which the library gives as text boxes, before others."""
    boxes = [element for element in elements if element["type"] == "text_box"]
    headers, texts, texts_in_headers = _lengths(data)
    # Blank ones are not given: then nobody can tell which these are, and they stay.
    if texts and len(boxes) == bool(headers) + 1 + bool(texts_in_headers):
        boxes.pop(bool(headers))
    elif texts:
        boxes.clear()
    return (element for element in elements if not any(element is box for box in boxes))


def _lengths(data: bytes) -> tuple[int, int, int]:
    """Return the lengths of all page headers, text boxes and text boxes in page headers.

    Source: [MS-DOC] 2.5.4, FibRgLw97.
    """
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            start = ole.openstream("WordDocument").read(_FIB.size)
    except OSError:
        return (0, 1, 0)
    if len(start) < _FIB.size:
        return (0, 1, 0)
    version, headers, texts, texts_in_headers = _FIB.unpack(start)
    return (headers, texts, texts_in_headers) if version >= _WORD_97 else (0, 1, 0)


def _declared_title(document: _Node) -> str | None:
    """Return the title in the document's properties; else the library takes what comes first."""
    title: str | None = document["metadata"].get("title")
    firsts = {section.get("title") for section in document["sections"][:1]}
    return None if title in firsts else title


def _warnings(document: _Node) -> list[str]:
    return [_TRUNCATED] if document["metadata"].get("text_truncated") else []


def _add_all(elements: Iterable[_Node], builder: DocumentBuilder, page: int | None) -> None:
    for element in elements:
        _add(element, builder, page)


def _add(element: _Node, builder: DocumentBuilder, page: int | None) -> None:
    match element["type"]:
        case "heading":
            _add_heading(element, builder, page)
        case "paragraph":
            _add_paragraph(_inline(element), builder, page)
        case "code_block":
            builder.text(ElementCategory.CODE_SNIPPET, element["content"], page)
        case "list":
            _add_list(element, builder, page)
        case "table":
            _add_table(element, builder, page)
        case "footnote" | "endnote" if not _NOT_IN_BODY.match(element.get("marker") or ""):
            _add_all(element["content"], builder, page)
        case "text_box":
            _add_all(element["content"], builder, page)


def _add_heading(element: _Node, builder: DocumentBuilder, page: int | None) -> None:
    """Add a heading; one without letters is a number in large type that was taken for one."""
    text = _inline(element)
    if any(map(str.isalpha, text)):
        builder.heading(text, element.get("level", 1), page)
    else:
        _add_paragraph(text, builder, page)


def _add_paragraph(text: str, builder: DocumentBuilder, page: int | None) -> None:
    if not _NOTICE.match(text):
        builder.text(ElementCategory.NARRATIVE_TEXT, text, page)


def _add_list(element: _Node, builder: DocumentBuilder, page: int | None) -> None:
    for item in element["items"]:
        builder.text(ElementCategory.LIST_ITEM, _blocks(item["content"]), page)
        if item.get("nested"):
            _add_list(item["nested"], builder, page)


def _add_table(element: _Node, builder: DocumentBuilder, page: int | None) -> None:
    """Add a table; one with a single cell is a frame around what it holds."""
    cells = [cell for row in element["rows"] for cell in row["cells"]]
    if len(cells) == 1:
        _add_all(cells[0]["content"], builder, page)
        return
    rows = [
        [
            Cell(
                _blocks(cell["content"]),
                header=row.get("is_header", False),
                colspan=cell["col_span"],
                rowspan=cell["row_span"],
            )
            for cell in row["cells"]
        ]
        for row in element["rows"]
    ]
    builder.table(rows, page)


def _blocks(elements: Iterable[_Node]) -> str:
    """Return the text of a cell or item; of a table within it row by row."""
    return "\n".join(filter(None, map(_block, elements)))


def _block(element: _Node) -> str:
    match element["type"]:
        case "heading" | "paragraph":
            text = _inline(element)
            return "" if _NOTICE.match(text) else text
        case "list":
            items = ([*item["content"], item.get("nested")] for item in element["items"])
            return "\n".join(_blocks(filter(None, item)) for item in items)
        case "table":
            rows = ([_blocks(cell["content"]) for cell in row["cells"]] for row in element["rows"])
            return "\n".join(" | ".join(filter(None, row)) for row in rows)
        case "text_box":
            return _blocks(element["content"])
    return ""


def _inline(element: _Node) -> str:
    parts = element.get("content") or ()
    return "".join("\n" if part["type"] == "line_break" else part.get("text", "") for part in parts)
