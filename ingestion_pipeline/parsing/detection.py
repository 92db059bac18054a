"""What a file is, decided by its content; its name only chooses between kinds of text.

Belongs here: signatures, containers and the telling apart of text formats. Does not belong
here: reading a document.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Sequence
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
    DOC = "application/msword"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    ODT = "application/vnd.oasis.opendocument.text"
    RTF = "application/rtf"
    PPT = "application/vnd.ms-powerpoint"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    XLS = "application/vnd.ms-excel"
    ODP = "application/vnd.oasis.opendocument.presentation"
    ODS = "application/vnd.oasis.opendocument.spreadsheet"
    CSV = "text/csv"
    TSV = "text/tab-separated-values"
    EPUB = "application/epub+zip"
    EML = "message/rfc822"
    MBOX = "application/mbox"
    MSG = "application/vnd.ms-outlook"
    ZIP = "application/zip"
    TAR = "application/x-tar"
    GZIP = "application/gzip"
    XML = "application/xml"
    JSON = "application/json"
    JSON_LINES = "application/jsonl"
    NOTEBOOK = "application/x-ipynb+json"
    RST = "text/x-rst"
    ORG = "text/org"
    SUBTITLES = "text/vtt"
    SVG = "image/svg+xml"
    PNG = "image/png"
    JPEG = "image/jpeg"
    TIFF = "image/tiff"
    BMP = "image/bmp"
    GIF = "image/gif"
    WEBP = "image/webp"
    AVIF = "image/avif"
    HEIC = "image/heic"


SUPPORTED = (
    "PDF, Word (.docx, .doc), OpenDocument (.odt, .ods, .odp), RTF, PowerPoint (.pptx, .ppt), "
    "Excel (.xlsx, .xls), CSV, TSV, EPUB, e-mail (.eml, .msg, .mbox), HTML, XML, JSON, JSON Lines, "
    "Jupyter notebooks, subtitles (.srt, .vtt), Markdown, reStructuredText, Org, plain text, "
    "pictures (.png, .jpeg, .tiff, .bmp, .gif, .webp, .avif, .heic, .svg), and archives (.zip, "
    ".tar, .gz)"
)

_SAMPLE_BYTES = 64 * 1024
_PDF_HEADER_WITHIN = 1024
_MOST_CONTROLS = 0.03
"""Largest share of control characters in text; in compressed or random bytes it is 11 %."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\0\0\1\0", "an icon"),
    (8, b"WAVE", "WAVE audio"),
    (8, b"AVI ", "an AVI video"),
    (4, b"ftyp", "an MP4 or QuickTime video"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"ID3", "MP3 audio"),
    (0, b"OggS", "Ogg audio"),
    (0, b"fLaC", "FLAC audio"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a", "a RAR archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"\x7fELF", "an executable"),
    (0, b"\xca\xfe\xba\xbe", "an executable"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"\x78\x9f\x3e\x22", "a winmail.dat of Outlook (ask its sender for the files in it)"),
    (0, b"ITSF", "a compiled help file (.chm)"),
    (0, b"AT&TFORM", "a DjVu document"),
    (60, b"BOOKMOBI", "a Kindle book (.mobi)"),
    (0, b"\xffWPC", "a WordPerfect document"),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "a OneNote section"),
    (4, b"jP  \r\n\x87\n", "a JPEG 2000 picture"),
    (0, b"P4\n", "a PBM picture"),
    (0, b"P5\n", "a PGM picture"),
    (0, b"P6\n", "a PPM picture"),
)
_SIGNED = re.compile(rb"0.{1,5}\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07([\x02\x03])", re.DOTALL)
"""The start of a message that is signed (2) or encrypted (3) as a whole, by RFC 8933's CMS."""
_PGP = b"-----BEGIN PGP MESSAGE-----"
_PICTURES: tuple[tuple[re.Pattern[bytes], FileType], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), FileType.PNG),
    (re.compile(rb"\xff\xd8\xff"), FileType.JPEG),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), FileType.TIFF),
    (re.compile(rb"GIF8[79]a"), FileType.GIF),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), FileType.WEBP),
    (re.compile(rb".{4}ftyp(?:avif|avis)", re.DOTALL), FileType.AVIF),
    (re.compile(rb".{4}ftyp(?:hei[cxms]|hevc|mif1)", re.DOTALL), FileType.HEIC),
    (re.compile(rb"BM.{4}\0{4}", re.DOTALL), FileType.BMP),
)

_OFFICE_MEMBERS: tuple[tuple[str, bytes, FileType], ...] = (
    ("word/document.xml", b"wordprocessingml", FileType.DOCX),
    ("xl/workbook.xml", b"spreadsheetml.sheet.main", FileType.XLSX),
    ("ppt/presentation.xml", b"presentationml.presentation.main", FileType.PPTX),
)
"""A member that the format has, or a content type that it declares."""
_ZIP_MIMETYPES: tuple[tuple[bytes, FileType], ...] = (
    (b"application/vnd.oasis.opendocument.text", FileType.ODT),
    (b"application/vnd.oasis.opendocument.spreadsheet", FileType.ODS),
    (b"application/vnd.oasis.opendocument.presentation", FileType.ODP),
    (b"application/epub", FileType.EPUB),
)
_ZIP_KINDS: tuple[tuple[str, str], ...] = (
    ("xl/workbook.bin", "a binary Excel workbook (.xlsb)"),
    ("ppt/", "a PowerPoint file without slides"),
    ("visio/", "a Visio drawing"),
    ("Index/Document.iwa", "a document of Pages, Numbers or Keynote (export it as PDF)"),
)
"""What else Office packs into ZIP containers, by a member."""
_ZIP_SIGNS = frozenset(
    {"[Content_Types].xml", "_rels/.rels", "mimetype", "META-INF/manifest.xml"}
    | {"Index/Document.iwa"}
)
"""Members that only containers of documents have; their parts alone are nothing to read."""
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
"""Of an archive with members, and of one without."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS: tuple[tuple[str, FileType], ...] = (
    ("__properties_version1.0", FileType.MSG),
    ("WordDocument", FileType.DOC),
    ("PowerPoint Document", FileType.PPT),
    ("Workbook", FileType.XLS),
    ("Book", FileType.XLS),
)
"""The stream at the top that each format has; objects of the others may lie further down."""
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257

_HTML_NAMES = frozenset({".html", ".htm", ".xhtml", ".shtml"})
_PREAMBLE = re.compile(r"\A(?:\s+|<\?xml[^>]*>|<!--.*?-->)*", re.DOTALL)
_HTML_START = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_SVG_START = re.compile(r"(?:<!DOCTYPE\s+svg\b[^>]*>\s*(?:<!--.*?-->\s*)*)?<svg\b", re.DOTALL)
_HTML_TAG = re.compile(
    r"</?(?:html|head|body|title|div|p|span|a|h[1-6]|table|tr|td|ul|ol|li|br|pre|section|article)"
    r"\b[^<>]*>",
    re.IGNORECASE,
)
_SUBTITLES_START = re.compile(
    r"\s*(?:WEBVTT\b[^\n]*(?:\n|\Z)|\d+[ \t]*\n\d+:\d\d:\d\d[,.]\d{3}[ \t]+-->)"
)
_TEXT_NAMES = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd", ".mdx"), FileType.MARKDOWN),
    **dict.fromkeys((".tsv", ".tab"), FileType.TSV),
    ".csv": FileType.CSV,
    ".rst": FileType.RST,
    ".org": FileType.ORG,
}
"""Kinds of text that any text can be."""
_MAIL_NAMES = frozenset({".eml", ".p7s"})
MESSAGE_START = re.compile(rb"\n\r?\nFrom \S+ [^\r\n]* \d{4}\r?\n[!-9;-~]+:")
"""Where another message begins in a mailbox."""
_MAIL_FIELDS = frozenset({"from", "to", "subject", "date", "received", "message-id"})
_JSON_LINES_NAMES = frozenset({".jsonl", ".ndjson"})
_JSON_NAMES = frozenset({".json", ".geojson"})
_JSON_START = re.compile(r"""\s*(?:\{\s*(?:"|\})|\[\s*(?:[\[{"\]\d-]|true|false|null))""")
_NOTEBOOK = re.compile(r'\A\s*\{\s*"cells"\s*:\s*\[\s*\{[^{}]*"cell_type"\s*:')
_XML_ELEMENT = re.compile(r"<[A-Za-z_!]")
_XML_START = re.compile(r"\A\s*<\?xml\b")
_MAIL_HEADER = re.compile(r"\A(?:From .*\n)?(?:[!-9;-~]+:.*\n(?:[ \t].*\n)*)+", re.MULTILINE)
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
    if data.startswith(_ZIP_STARTS):
        return _detect_in_zip(data)
    if data.startswith(b"\x1f\x8b"):
        return FileType.GZIP
    if is_tar(data):
        return FileType.TAR
    if data.startswith(_OLE):
        return _detect_in_ole(data)
    if data.startswith(b"{\\rtf"):
        return FileType.RTF
    if picture := next((kind for start, kind in _PICTURES if start.match(data)), None):
        return picture
    _refuse_secrets(data)
    _refuse_signatures(data)
    if not _is_text(data):
        raise _unsupported("binary data of an unknown kind")
    return _detect_among_texts(data, PurePath(name).suffix.lower())


def is_tar(data: bytes) -> bool:
    """Whether ``data`` is a tar archive."""
    return data.startswith(_TAR_MARK, _TAR_MARK_AT)


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
    file_type = _document_in_zip(members, types, mimetype)
    if file_type is None:
        return FileType.ZIP
    if encrypted:
        raise _protected("the ZIP container")
    return file_type


def _document_in_zip(members: Sequence[str], types: bytes, mimetype: bytes) -> FileType | None:
    """Return what document a container is, None for an archive of files."""
    for main, content_type, file_type in _OFFICE_MEMBERS:
        if main in members or content_type in types:
            return file_type
    for prefix, file_type in _ZIP_MIMETYPES:
        if mimetype.startswith(prefix):
            return file_type
    if "META-INF/container.xml" in members:
        return FileType.EPUB
    if not _ZIP_SIGNS.intersection(members):
        return None
    if mimetype.startswith(b"application/vnd.oasis.opendocument."):
        raise _unsupported("an OpenDocument file")
    for start, what in _ZIP_KINDS:
        if any(member.startswith(start) for member in members):
            raise _unsupported(what)
    raise _unsupported("a document in a ZIP container of an unknown kind, or damaged")


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


def _detect_in_ole(data: bytes) -> FileType:
    streams = _ole_streams(data)
    if "encryptedpackage" in streams:
        raise _protected("the Office document")
    for stream, file_type in _OLE_STREAMS:
        if stream.lower() in streams:
            return file_type
    raise _unsupported("an OLE container (an old Office format)")


def _ole_streams(data: bytes) -> set[str]:
    """Return what streams are at the top, in lower case; if it is damaged, those it mentions."""
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            return {path[0].lower() for path in ole.listdir() if len(path) == 1}
    except (OSError, ValueError, IndexError, struct.error, RecursionError):
        names = ("EncryptedPackage", *(stream for stream, _ in _OLE_STREAMS))
        return {name.lower() for name in names if f"{name}\0".encode("utf-16-le") in data}


def _refuse_secrets(data: bytes) -> None:
    """Refuse what only its recipient can read, or can unpack."""
    cms = _SIGNED.match(data)
    if (cms and cms[1] == b"\x03") or data.lstrip().startswith(_PGP):
        raise PermanentError(
            ErrorKind.ENCRYPTED,
            "the message is encrypted for its recipient; save what your mail program shows of it",
        )
    if cms:
        raise _unsupported("a signed message (save what your mail program shows of it)")


def _refuse_signatures(data: bytes) -> None:
    for offset, signature, what in _SIGNATURES:
        if data.startswith(signature, offset):
            raise _unsupported(what)


def _is_text(data: bytes) -> bool:
    if marked_encoding(data) or unmarked_wide_encoding(data):
        return True
    sample = data[:_SAMPLE_BYTES]
    without_controls = sample.translate(None, _CONTROLS)
    return len(sample) - len(without_controls) <= len(sample) * _MOST_CONTROLS


_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\n\v\f\r\x1b"})


def _detect_among_texts(data: bytes, suffix: str) -> FileType:
    text = decode(data[:_SAMPLE_BYTES]).lstrip("\ufeff").replace("\r\n", "\n")
    start = _PREAMBLE.sub("", text, count=1)
    if _HTML_START.match(start):
        return FileType.HTML
    if _SVG_START.match(start):
        return FileType.SVG
    if _XML_START.match(text) or (suffix == ".xml" and _XML_ELEMENT.match(start)):
        return FileType.XML
    if _is_mail(text, suffix):
        is_mailbox = text.startswith("From ") and MESSAGE_START.search(data)
        return FileType.MBOX if is_mailbox else FileType.EML
    if _SUBTITLES_START.match(text):
        return FileType.SUBTITLES
    if suffix in _TEXT_NAMES:
        return _TEXT_NAMES[suffix]
    if file_type := _json_type(data, text, suffix):
        return file_type
    if suffix in _HTML_NAMES or start.startswith("<"):
        return FileType.HTML if _HTML_TAG.search(start) else FileType.PLAIN_TEXT
    if sum(bool(sign.search(text)) for sign in _MARKDOWN_SIGNS) >= 3:
        return FileType.MARKDOWN
    return FileType.PLAIN_TEXT


def _is_mail(text: str, suffix: str) -> bool:
    """Whether the text begins with the header of a message; its name makes up for a poor one."""
    header = _MAIL_HEADER.match(text.lstrip())
    if header is None:
        return False
    names = set(re.findall(r"^([!-9;-~]+):", header[0].lower(), re.MULTILINE))
    if "mime-version" in names or (text.startswith("From ") and len(names & _MAIL_FIELDS) > 1):
        return True
    return suffix in _MAIL_NAMES and bool(names & _MAIL_FIELDS)


def _json_type(data: bytes, text: str, suffix: str) -> FileType | None:
    """Return which kind of JSON it is; what only looks like it is text unless its name says no."""
    if not _JSON_START.match(text):
        return None
    first, _, rest = text.strip().partition("\n")
    if rest.lstrip().startswith(("{", "[")) and _is_json(first):
        return FileType.JSON_LINES
    if suffix in _JSON_LINES_NAMES:
        return FileType.JSON_LINES
    if _NOTEBOOK.search(text) or (suffix == ".ipynb" and _is_json(decode(data))):
        return FileType.NOTEBOOK
    return FileType.JSON if suffix in _JSON_NAMES or _is_json(decode(data)) else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return False
    return True
