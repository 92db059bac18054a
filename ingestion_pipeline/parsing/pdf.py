"""PDF with a text layer, read with PDFium.

Belongs here: what PDFium says about a page's lines. Does not belong here: what those lines mean
(``pdf_layout``).
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import Ask, ErrorKind, InputNeededError, PermanentError
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.builder import LONGEST_HEADING
from ingestion_pipeline.parsing.cleaning import one_line
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.pdf_layout import Bookmark, Line, Page, build

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfObject, PdfPage, PdfTextPage

_LINE = re.compile("[^\r\n\ufffe]+\ufffe?")
"""PDFium ends a line with a line break, or, where it takes a hyphen away, with U+FFFE."""
_BOLD = re.compile(r"bold|black|heavy|demi|cmbx|sfbx|-medi", re.IGNORECASE)
_NO_TITLE = re.compile(
    r"untitled|microsoft (?:word|powerpoint|excel) -|.*\.[a-z]{2,5}$", re.IGNORECASE
)
_TWO_WORDS = re.compile(r"[^\W\d_]{2,}.*\b[^\W\d_]{2,}|[\u3040-\u9fff\uac00-\ud7a3]{2}")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)
_NO_PAGES = re.compile(rb"/Count\s+0\b")
_FONT_NAME_BYTES = 128
_PAGES_NAMED_IN_WARNING = 10
_SCANNED_SHARE = 0.25
"""Share of a page without text that images cover if it is a scan: a receipt may be a small part of
its page, a logo or a rule is a smaller one."""


def parse_pdf(data: bytes, password: str | None = None) -> ParsedDocument:
    """Read the text layer page by page; pages that cannot be read or hold none give a warning.

    Raises:
        InputNeededError: ``encrypted``, and ``password`` does not open it.
        PermanentError: ``broken``, ``encrypted`` in a way that no password opens, or ``empty``:
            no pages, or neither text nor scanned pages.
    """
    with closing(_open(data, password)) as document:
        pages, unreadable = _read_pages(document)
        without_text = [page.number for page in pages if not page.lines]
        if len(unreadable) == len(document):
            raise PermanentError(
                ErrorKind.BROKEN,
                "no page of the PDF can be read; export it again",
            )
        scanned_pages = sum(page.scanned for page in pages)
        if len(without_text) + len(unreadable) == len(document) and not scanned_pages:
            raise PermanentError(
                ErrorKind.EMPTY, f"no text and no scanned image on any of {len(document)} pages"
            )
        builder = build(pages, list(_bookmarks(document)))
        warnings = [
            *_warning("cannot be read", unreadable),
            *_warning("without a text layer, nothing taken from them", without_text),
        ]
        return builder.document(
            FileType.PDF,
            title=_title(document),
            pages=len(document),
            warnings=warnings,
            scanned_pages=scanned_pages,
        )


def _open(data: bytes, password: str | None) -> PdfDocument:
    import pypdfium2

    # PDFium gives no reason for a document without pages: that of an earlier failure would stand.
    # A file that does not exist leaves one that a document in memory never has.
    pypdfium2.raw.FPDF_LoadDocument(b"", None)
    try:
        return pypdfium2.PdfDocument(data, password)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise _encrypted(password) from error
        if error.err_code == pypdfium2.raw.FPDF_ERR_SECURITY:
            raise PermanentError(
                ErrorKind.ENCRYPTED,
                "the PDF is protected in a way that no password opens; save a copy without it",
            ) from error
        if error.err_code == pypdfium2.raw.FPDF_ERR_FILE and _NO_PAGES.search(data):
            raise PermanentError(ErrorKind.EMPTY, "the PDF has no pages") from error
        raise PermanentError(
            ErrorKind.BROKEN, f"the PDF is damaged ({error}); export or download it again"
        ) from error


def _encrypted(password: str | None) -> InputNeededError:
    """Ask for the password, and say so if one was tried, but never which."""
    state = (
        "is encrypted" if password is None else "is encrypted, and this password does not open it"
    )
    return InputNeededError(
        ErrorKind.ENCRYPTED,
        f"the PDF {state}: answer with its password (`ingest reply TASK password=@file`), or save "
        "a copy without one",
        Ask.PASSWORD,
    )


def _read_pages(document: PdfDocument) -> tuple[list[Page], list[int]]:
    """Return the pages and the numbers of those that cannot be read."""
    from pypdfium2 import PdfiumError

    pages: list[Page] = []
    unreadable: list[int] = []
    for index in range(len(document)):
        try:
            pages.append(read_page(document, index))
        except PdfiumError:
            unreadable.append(index + 1)
    return pages, unreadable


def read_page(document: PdfDocument, index: int) -> Page:
    """Return the lines of one page in the order in which PDFium reads them."""
    with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
        text = text_page.get_text_range()
        lines = [_line(text_page, match) for match in _LINE.finditer(text) if match[0].strip()]
        scanned = not lines and _share_of_images(page) >= _SCANNED_SHARE
    return Page(number=index + 1, lines=lines, scanned=scanned)


def _share_of_images(page: PdfPage) -> float:
    """Return the share of a page that images cover; scanners cut pages into strips, so: summed."""
    import pypdfium2.raw as pdfium

    left, bottom, right, top = page.get_cropbox()
    covered = 0.0
    for image in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE]):
        box = _box_on_page(image)
        width = min(box[2], right) - max(box[0], left)
        height = min(box[3], top) - max(box[1], bottom)
        covered += max(width, 0.0) * max(height, 0.0)
    area = (right - left) * (top - bottom)
    return covered / area if area else 0.0


def _box_on_page(image: PdfObject) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top; PDFium gives them in the space of the form around it."""
    box: tuple[float, float, float, float] = image.get_bounds()
    form = image.container
    while form is not None:
        box = form.get_matrix().on_rect(*box)
        form = form.container
    return box


def _line(text_page: PdfTextPage, match: re.Match[str]) -> Line:
    """Return a line with its place and style, both in the direction in which it is written."""
    import pypdfium2.raw as pdfium

    text = match[0].rstrip("\ufffe").rstrip()
    start = match.start() + len(text) - len(text.lstrip())
    first = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, start)
    last = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, match.start() + len(text) - 1)
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(text_page, first, matrix)
    turns = _quarter_turns(matrix.a, matrix.b)
    left, bottom, _, top = _turned_box(text_page, first, turns)
    _, _, right, _ = _turned_box(text_page, last, turns)
    scale = (matrix.c**2 + matrix.d**2) ** 0.5
    return Line(
        text=text.strip().translate(_LIGATURES),
        hyphenated=match[0].endswith("\ufffe"),
        turns=turns,
        left=left,
        right=right,
        bottom=bottom,
        top=top,
        size=round(pdfium.FPDFText_GetFontSize(text_page, first) * scale, 1),
        bold=all(_is_bold(text_page, index) for index in {first, (first + last) // 2, last}),
    )


def _quarter_turns(a: float, b: float) -> int:
    """Return how often text is turned by 90 degrees, counter-clockwise."""
    if abs(a) >= abs(b):
        return 0 if a >= 0 else 2
    return 1 if b > 0 else 3


def _turned_box(
    text_page: PdfTextPage, index: int, turns: int
) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top of a character as if its text ran from left to right."""
    import pypdfium2.raw as pdfium

    box = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(text_page, index, box)
    match turns:
        case 1:
            return box.bottom, -box.right, box.top, -box.left
        case 2:
            return -box.right, -box.top, -box.left, -box.bottom
        case 3:
            return -box.top, box.left, -box.bottom, box.right
    return box.left, box.bottom, box.right, box.top


def _is_bold(text_page: PdfTextPage, index: int) -> bool:
    """Whether the font's name says so; the weight that PDFium reports is often wrong."""
    import pypdfium2.raw as pdfium

    name = ctypes.create_string_buffer(_FONT_NAME_BYTES)
    pdfium.FPDFText_GetFontInfo(text_page, index, name, _FONT_NAME_BYTES, None)
    return _BOLD.search(name.value.decode("utf-8", errors="replace")) is not None


def _bookmarks(document: PdfDocument) -> Iterator[Bookmark]:
    for bookmark in document.get_toc():
        destination = bookmark.get_dest()
        index = destination.get_index() if destination else None
        if index is not None:
            yield Bookmark(bookmark.get_title(), bookmark.level + 1, index + 1)


def _title(document: PdfDocument) -> str | None:
    """Return the title in the metadata, unless a program put a file name or number there."""
    title = one_line(document.get_metadata_value("Title"))[:LONGEST_HEADING]
    return title if _TWO_WORDS.search(title) and not _NO_TITLE.match(title) else None


def _warning(what: str, pages: list[int]) -> list[str]:
    if not pages:
        return []
    named = ", ".join(map(str, pages[:_PAGES_NAMED_IN_WARNING]))
    more = ", ..." if len(pages) > _PAGES_NAMED_IN_WARNING else ""
    noun = "page" if len(pages) == 1 else "pages"
    return [f"{len(pages)} {noun} {what}: {named}{more}"]
