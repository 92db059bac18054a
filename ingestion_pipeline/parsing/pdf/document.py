"""PDF, with or without a text layer, read with PDFium.

On the way of a document: ``extract`` and ``drawings`` read a page, ``arrange`` finds its
tables and its order, ``reader`` does so for all pages, ``scans`` reads text off pictures,
``layout`` makes elements.

Belongs here: what concerns the document as a whole. Does not belong here: those steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import Ask, ErrorKind, InputNeededError, PermanentError
from ingestion_pipeline.installed import reads_pictures
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing import ocr
from ingestion_pipeline.parsing.builder import LONGEST_HEADING
from ingestion_pipeline.parsing.cleaning import one_line
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.pdf.figures import PictureReader
from ingestion_pipeline.parsing.pdf.layout import build
from ingestion_pipeline.parsing.pdf.page import Bookmark, Page
from ingestion_pipeline.parsing.pdf.reader import read_pages
from ingestion_pipeline.parsing.pdf.scans import Recognise, recognised_page

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_NO_TITLE = re.compile(
    r"untitled|microsoft (?:word|powerpoint|excel) -|.*\.[a-z]{2,5}$", re.IGNORECASE
)
_TWO_WORDS = re.compile(r"[^\W\d_]{2,}.*\b[^\W\d_]{2,}|[\u3040-\u9fff\uac00-\ud7a3]{2}")
_NO_PAGES = re.compile(rb"/Count\s+0\b")
_PAGES_NAMED_IN_WARNING = 10


def parse_pdf(
    data: bytes, password: str | None = None, *, recognise: Recognise | None = None
) -> ParsedDocument:
    """Read the text layer page by page; pages that cannot be read or hold none give a warning.

    Args:
        data: The file's bytes.
        password: Opens the document if it is encrypted.
        recognise: Reads scanned pages; without it, ``ocr`` does if it is installed.

    Raises:
        InputNeededError: ``encrypted``, and ``password`` does not open it.
        PermanentError: ``broken``, ``encrypted`` in a way that no password opens, or ``empty``:
            no pages, or neither text nor scanned pages.
        TransientError: ``crashed`` if one of several processes that read it did.
    """
    with closing(_open(data, password)) as document:
        reading = read_pages(document, data, password)
        if len(reading.unreadable) == len(document):
            raise PermanentError(
                ErrorKind.BROKEN,
                "no page of the PDF can be read; export it again",
            )
        scanned = sum(page.scanned for page in reading.pages)
        if not scanned and not any(page.items for page in reading.pages):
            raise PermanentError(
                ErrorKind.EMPTY, f"no text and no scanned image on any of {len(document)} pages"
            )
        pages = _recognised(document, reading.pages, recognise) if scanned else reading.pages
        unread = sum(page.scanned for page in pages)
        without_text = [page.number for page in pages if not page.items]
        with closing(PictureReader(document)) as pictures:
            builder = build(pages, list(_bookmarks(document)), pictures)
        return builder.document(
            FileType.PDF,
            title=_title(document),
            pages=len(document),
            warnings=[
                *_warning("cannot be read", reading.unreadable),
                *_warning("without a text layer, nothing taken from them", without_text),
            ],
            scanned_pages=unread,
            recognised_pages=scanned - unread,
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


def _recognised(
    document: PdfDocument, pages: Sequence[Page], recognise: Recognise | None
) -> list[Page]:
    """Return the pages, with text on those that are scanned if it can be read off them."""
    if recognise is None and reads_pictures():
        recognise = ocr.read_picture
    if recognise is None:
        return list(pages)
    return [recognised_page(document, page, recognise) if page.scanned else page for page in pages]


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
