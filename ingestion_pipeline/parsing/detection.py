"""What a file is, decided by its content; its name only chooses between kinds of text.

Belongs here: signatures, containers and the telling apart of text formats. Does not belong
here: reading a document.
"""

from __future__ import annotations

import io
import re
import zipfile
from enum import StrEnum
from pathlib import PurePath

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing.encoding import decode, marked_encoding, unmarked_wide_encoding


class FileType(StrEnum):
    """The formats that can be parsed; the value is the media type."""

    PLAIN_TEXT = "text/plain"
    MARKDOWN = "text/markdown"
    HTML = "text/html"
    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


SUPPORTED = "PDF, Word (.docx), HTML, Markdown and plain text"

_SAMPLE_BYTES = 64 * 1024
_PDF_HEADER_WITHIN = 1024
_MOST_CONTROLS = 0.03
"""Largest share of control characters in text; in compressed or random bytes it is 11 %."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (0, b"\0\0\1\0", "an icon"),
    (8, b"WEBP", "a WebP image"),
    (8, b"WAVE", "WAVE audio"),
    (8, b"AVI ", "an AVI video"),
    (4, b"ftyphei", "a HEIC image"),
    (4, b"ftypmif1", "a HEIC image"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftyp", "an MP4 or QuickTime video"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"ID3", "MP3 audio"),
    (0, b"OggS", "Ogg audio"),
    (0, b"fLaC", "FLAC audio"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a", "a RAR archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "an executable"),
    (0, b"\xca\xfe\xba\xbe", "an executable"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"{\\rtf", "a rich text (.rtf) document"),
    (0, b"%!PS", "a PostScript document"),
)
_BITMAP = re.compile(rb"BM.{4}\0{4}", re.DOTALL)

_ZIP_KINDS: tuple[tuple[str, str], ...] = (
    ("xl/", "an Excel workbook"),
    ("ppt/", "a PowerPoint presentation"),
    ("visio/", "a Visio drawing"),
)
_ZIP_MIMETYPES: tuple[tuple[bytes, str], ...] = (
    (b"application/vnd.oasis.opendocument.text", "an OpenDocument text"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file"),
    (b"application/epub", "an EPUB book"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS: tuple[tuple[str, str], ...] = (
    ("WordDocument", "a Word 97-2003 (.doc) document"),
    ("Workbook", "an Excel 97-2003 (.xls) workbook"),
    ("PowerPoint Document", "a PowerPoint 97-2003 (.ppt) presentation"),
    ("__substg1.0_", "an Outlook (.msg) message"),
)

_HTML_NAMES = frozenset({".html", ".htm", ".xhtml", ".shtml"})
_MARKDOWN_NAMES = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx"})
_PREAMBLE = re.compile(r"\A(?:\s+|<\?xml[^>]*>|<!--.*?-->)*", re.DOTALL)
_HTML_START = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HTML_TAG = re.compile(
    r"</?(?:html|head|body|title|div|p|span|a|h[1-6]|table|tr|td|ul|ol|li|br|pre|section|article)"
    r"\b[^<>]*>",
    re.IGNORECASE,
)
_XML_START = re.compile(r"\A\s*<\?xml\b")
_MAIL_HEADER = re.compile(r"\A(?:[!-9;-~]+:.*\n(?:[ \t].*\n)*)+", re.MULTILINE)
_MARKDOWN_SIGNS: tuple[re.Pattern[str], ...] = (
    re.compile(r"^#{1,6} +\S", re.MULTILINE),
    re.compile(r"^(?:=|-){3,}\s*$", re.MULTILINE),
    re.compile(r"^(?:```|~~~)", re.MULTILINE),
    re.compile(r"\[[^\[\]\n]{1,200}\]\([^()\s]{1,500}\)"),
    re.compile(r"^\|?(?: *:?-{3,}:? *\|)+", re.MULTILINE),
    re.compile(r"^[-*+] +\S", re.MULTILINE),
    re.compile(r"(?<!\*)\*\*[^*\s][^*\n]*\*\*(?!\*)"),
)


def detect(data: bytes, name: str) -> FileType:
    """Return the format of ``data``; ``name`` is only a hint among the kinds of text.

    Raises:
        PermanentError: ``empty`` for no bytes, ``unsupported`` naming what it is instead,
            ``encrypted`` or ``broken`` for a container that cannot be opened.
    """
    if not data:
        raise PermanentError(ErrorKind.EMPTY, "the file is empty (0 bytes)")
    if _is_pdf(data):
        return FileType.PDF
    if data.startswith(b"PK\x03\x04"):
        return _detect_in_zip(data)
    if data.startswith(_OLE):
        raise _ole_error(data)
    _refuse_signatures(data)
    if not _is_text(data):
        raise _unsupported("binary data of an unknown kind")
    return _detect_among_texts(decode(data[:_SAMPLE_BYTES]), PurePath(name).suffix.lower())


def _unsupported(what: str) -> PermanentError:
    return PermanentError(
        ErrorKind.UNSUPPORTED, f"the file is {what}, which is not supported; supported: {SUPPORTED}"
    )


def _is_pdf(data: bytes) -> bool:
    """Readers accept bytes before the header, but a text that mentions it is no PDF."""
    if data.lstrip().startswith(b"%PDF-"):
        return True
    return b"%PDF-" in data[:_PDF_HEADER_WITHIN] and b"endobj" in data


def _detect_in_zip(data: bytes) -> FileType:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.namelist()
            encrypted = any(info.flag_bits & 1 for info in archive.infolist())
            types = _head(archive, "[Content_Types].xml")
            mimetype = _head(archive, "mimetype")
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError) as error:
        raise PermanentError(
            ErrorKind.BROKEN, f"the file is a damaged ZIP container ({error}); export it again"
        ) from error
    if encrypted:
        raise _protected("the ZIP container")
    if b"wordprocessingml" in types or "word/document.xml" in members:
        return FileType.DOCX
    for folder, what in _ZIP_KINDS:
        if any(member.startswith(folder) for member in members):
            raise _unsupported(what)
    for prefix, what in _ZIP_MIMETYPES:
        if mimetype.startswith(prefix):
            raise _unsupported(what)
    raise _unsupported("a ZIP archive")


def _head(archive: zipfile.ZipFile, member: str) -> bytes:
    """Return the start of a member, or nothing where there is none that can be read plainly."""
    if member not in archive.namelist() or archive.getinfo(member).flag_bits & 1:
        return b""
    try:
        with archive.open(member) as file:
            return file.read(_SAMPLE_BYTES)
    except zipfile.zlib.error:  # type: ignore[attr-defined]
        return b""


def _protected(what: str) -> PermanentError:
    return PermanentError(
        ErrorKind.ENCRYPTED, f"{what} is protected by a password; save a copy without one"
    )


def _ole_error(data: bytes) -> PermanentError:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return _protected("the Office document")
    for stream, what in _OLE_STREAMS:
        if stream.encode("utf-16-le") in data:
            return _unsupported(what)
    return _unsupported("an OLE container (an old Office format)")


def _refuse_signatures(data: bytes) -> None:
    for offset, signature, what in _SIGNATURES:
        if data.startswith(signature, offset):
            raise _unsupported(what)
    if _BITMAP.match(data):
        raise _unsupported("a BMP image")


def _is_text(data: bytes) -> bool:
    if marked_encoding(data) or unmarked_wide_encoding(data):
        return True
    sample = data[:_SAMPLE_BYTES]
    without_controls = sample.translate(None, _CONTROLS)
    return len(sample) - len(without_controls) <= len(sample) * _MOST_CONTROLS


_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\n\v\f\r\x1b"})


def _detect_among_texts(text: str, suffix: str) -> FileType:
    text = text.lstrip("\ufeff").replace("\r\n", "\n")
    start = _PREAMBLE.sub("", text, count=1)
    if _HTML_START.match(start):
        return FileType.HTML
    if _XML_START.match(text):
        raise _unsupported("an XML document")
    if (header := _MAIL_HEADER.match(text)) and "mime-version:" in header[0].lower():
        raise _unsupported("an e-mail message")
    if suffix in _MARKDOWN_NAMES:
        return FileType.MARKDOWN
    if suffix in _HTML_NAMES or start.startswith("<"):
        return FileType.HTML if _HTML_TAG.search(start) else FileType.PLAIN_TEXT
    signs = sum(bool(sign.search(text)) for sign in _MARKDOWN_SIGNS)
    return FileType.MARKDOWN if signs >= 3 else FileType.PLAIN_TEXT
