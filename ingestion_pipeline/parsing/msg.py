"""Outlook messages (.msg): subject, people and date, then the body; what is attached apart.

A message is an OLE container with a stream for each property that is not a number. Sources:
[MS-OXMSG] (container), [MS-OXPROPS] (properties), [MS-OXRTFCP] (compressed rich text).
"""

from __future__ import annotations

import datetime as dt
import email.parser
import email.policy
import io
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from email.mime.application import MIMEApplication
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING

from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.attachments import Attachments
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import clean, one_line
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.eml import header
from ingestion_pipeline.parsing.encoding import decode
from ingestion_pipeline.parsing.html import add_html, decode_html
from ingestion_pipeline.parsing.mail import SHOWN, add_header, add_names, finder, shows
from ingestion_pipeline.parsing.plain_text import add_paragraphs
from ingestion_pipeline.parsing.rtf import add_rtf

if TYPE_CHECKING:
    from olefile import OleFileIO

_SUBJECT = 0x0037
_SUBMITTED, _DELIVERED = 0x0039, 0x0E06
_HEADERS = 0x007D
_SENDER_NAME, _SENDER_ADDRESS, _SENDER_SMTP = 0x0C1A, 0x0C1F, 0x5D01
_DISPLAYED = {"To": 0x0E04, "Cc": 0x0E03}
_BODY, _RTF, _HTML = 0x1000, 0x1009, 0x1013
_RECIPIENT_KIND, _DISPLAY_NAME, _ADDRESS, _SMTP = 0x0C15, 0x3001, 0x3003, 0x39FE
_DATA, _LONG_NAME, _SHORT_NAME, _MEDIA_TYPE = 0x3701, 0x3707, 0x3704, 0x370E
_CONTENT_ID, _HIDDEN = 0x3712, 0x7FFE
_STRING_CODE_PAGE, _BODY_CODE_PAGE = 0x3FFD, 0x3FDE
_RECIPIENT_KINDS = {"To": 1, "Cc": 2}

_UNICODE, _EIGHT_BIT, _BINARY, _STORAGE = "001F", "001E", "0102", "000D"
_MESSAGE_START, _EMBEDDED_START, _PART_START = 32, 24, 8
"""Bytes before the first property: of a message, one within it, a recipient or attachment."""
_PROPERTY = struct.Struct("<HHI8s")

_CODE_PAGES = {
    20127: "ascii", 20866: "koi8_r", 21866: "koi8_u", 50220: "iso2022_jp", 50221: "iso2022_jp",
    50222: "iso2022_jp", 50225: "iso2022_kr", 51932: "euc_jp", 51949: "euc_kr", 54936: "gb18030",
    65000: "utf-7", 65001: "utf-8", **{28590 + part: f"iso8859_{part}" for part in range(1, 16)},
}  # fmt: skip
_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)
_PLAIN_IN_RTF = b"\\fromtext"


def parse_msg(data: bytes) -> ParsedDocument:
    """Read a message; of a body in several forms the HTML, else the rich text.

    Messages within it become attachments in the form of .eml.
    """
    import olefile

    builder = DocumentBuilder()
    attachments = Attachments()
    with olefile.OleFileIO(io.BytesIO(data)) as ole:
        message = _Message(ole, (), _MESSAGE_START)
        add_header(message.subject, message.fields, builder)
        html = message.html()
        _add_body(message, html, builder)
        files = message.files(html)
    add_names(((file.name, file.media_type) for file in files), builder)
    for file in files:
        if data := file.data():  # else a link, or an object that only its program can read
            attachments.add(file.name, data)
    document = builder.document(FileType.MSG, title=message.subject)
    return replace(document, attachments=attachments.all())


def _add_body(message: _Message, html: str, builder: DocumentBuilder) -> None:
    rich = message.rich_text()
    plain = message.text(_BODY, _BODY_CODE_PAGE)
    if html.strip():
        add_html(html, builder, finder(message.pictures()))
    elif rich and not (plain.strip() and _PLAIN_IN_RTF in rich):
        add_rtf(rich, builder)
    else:
        add_paragraphs(plain, builder)


@dataclass(frozen=True)
class _File:
    name: str
    media_type: str
    content: bytes | Message

    def data(self) -> bytes:
        """Return the bytes of the file; a message in the form of .eml."""
        return bytes(self.content)

    def part(self) -> Message:
        """Return the file as a part of a message."""
        if isinstance(self.content, bytes):
            part: Message = MIMEApplication(self.content)
        else:
            part = MIMEMessage(self.content)
        part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", self.name))
        return part


class _Properties:
    """The properties in one folder of the container; what is not there reads as nothing."""

    def __init__(self, ole: OleFileIO, folder: tuple[str, ...], start: int) -> None:
        self._ole = ole
        self._folder = folder
        table = self._stream("__properties_version1.0")[start:]
        table = table[: len(table) // _PROPERTY.size * _PROPERTY.size]
        self._values = {identity: value for _, identity, _, value in _PROPERTY.iter_unpack(table)}

    @property
    def content_id(self) -> str:
        """What a body calls this attachment by."""
        return self.text(_CONTENT_ID).strip(" <>")

    def number(self, identity: int) -> int:
        """Return a number or truth value."""
        return int.from_bytes(self._values.get(identity, b"")[:4], "little")

    def time(self, identity: int) -> str:
        """Return a point in time as in the header of a mail."""
        ticks = int.from_bytes(self._values.get(identity, b""), "little")
        try:
            moment = _EPOCH + dt.timedelta(microseconds=ticks // 10)
        except OverflowError:
            return ""
        return format_datetime(moment) if ticks else ""

    def binary(self, identity: int) -> bytes:
        """Return bytes."""
        return self._stream(f"__substg1.0_{identity:04X}{_BINARY}")

    def text(self, identity: int, code_page: int = _STRING_CODE_PAGE) -> str:
        """Return a text; ``code_page`` is the property that says how it is encoded."""
        if wide := self._stream(f"__substg1.0_{identity:04X}{_UNICODE}"):
            return clean(wide.decode("utf-16-le", errors="replace"))
        narrow = self._stream(f"__substg1.0_{identity:04X}{_EIGHT_BIT}")
        return clean(decode(narrow, self.encoding(code_page))) if narrow else ""

    def encoding(self, code_page: int) -> str | None:
        """Return the name of the encoding that a property says, None where it says none."""
        number = self.number(code_page) or self.number(_STRING_CODE_PAGE)
        return _CODE_PAGES.get(number, f"cp{number}") if number else None

    def inner(self, storage: str) -> tuple[str, ...] | None:
        """Return the folder within this one, None where there is none."""
        folder = (*self._folder, storage)
        return folder if self._ole.exists(list(folder)) else None

    def folders(self, prefix: str) -> Iterator[tuple[str, ...]]:
        """Yield the folders in this one whose names begin with ``prefix``, in their order."""
        depth = len(self._folder)
        for path in sorted(map(tuple, self._ole.listdir(streams=False, storages=True))):
            is_inner = path[:depth] == self._folder and len(path) == depth + 1
            if is_inner and path[depth].startswith(prefix):
                yield path

    def _stream(self, name: str) -> bytes:
        path = [*self._folder, name]
        if self._ole.get_type(path) != _STREAM:
            return b""
        return bytes(self._ole.openstream(path).read())


_STREAM = 2
"""What olefile calls a stream, whose constants would have to be imported with it."""


class _Message(_Properties):
    """A message, or one within it."""

    @property
    def is_mail(self) -> bool:
        """Whether there are properties; other objects than messages have none."""
        return bool(self._values)

    @property
    def subject(self) -> str:
        """Its subject."""
        return one_line(self.text(_SUBJECT))

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields of its header, as they were sent or else as Outlook knows them."""
        sent = email.parser.HeaderParser(policy=email.policy.compat32).parsestr(
            self.text(_HEADERS).lstrip()
        )
        known = {
            "From": _person(
                self.text(_SENDER_NAME), self.text(_SENDER_SMTP) or self.text(_SENDER_ADDRESS)
            ),
            "Date": self.time(_SUBMITTED) or self.time(_DELIVERED),
            **{name: self._people(name) for name in _RECIPIENT_KINDS},
        }
        return {name: header(sent, name) or known[name] for name in SHOWN}

    def html(self) -> str:
        """Return the HTML body."""
        data = self.binary(_HTML)
        return decode_html(data, self.encoding(_BODY_CODE_PAGE)) if data else self.text(_HTML)

    def rich_text(self) -> bytes:
        """Return the body in RTF."""
        return _decompressed(self.binary(_RTF))

    def files(self, html: str) -> list[_File]:
        """Return what is attached, but for the pictures that the body shows."""
        return [
            _file(self._ole, part)
            for part in self._parts()
            if not shows(html, part.content_id) and not part.number(_HIDDEN)
        ]

    def pictures(self) -> dict[str, Callable[[], bytes]]:
        """Return what reads each part that a body can show, by its content id."""
        return {part.content_id: partial(part.binary, _DATA) for part in self._parts()}

    def as_eml(self) -> Message:
        """Return the message in the form of .eml."""
        html = self.html()
        plain = self.text(_BODY, _BODY_CODE_PAGE)
        result = MIMEMultipart(boundary=f"=_level_{len(self._folder)}")  # by chance if not said
        for name, value in {"Subject": self.subject, **self.fields}.items():
            if value:
                result[name] = value
        result.attach(MIMEText(html or plain, "html" if html else "plain", "utf-8"))
        if not html and not plain and (rich := self.rich_text()):
            result.attach(_File("body.rtf", "application/rtf", rich).part())
        for file in self.files(html):
            result.attach(file.part())
        return result

    def _parts(self) -> Iterator[_Properties]:
        for folder in self.folders("__attach_version1.0_#"):
            yield _Properties(self._ole, folder, _PART_START)

    def _people(self, kind: str) -> str:
        people = [
            _Properties(self._ole, folder, _PART_START)
            for folder in self.folders("__recip_version1.0_#")
        ]
        named = (
            _person(person.text(_DISPLAY_NAME), person.text(_SMTP) or person.text(_ADDRESS))
            for person in people
            if person.number(_RECIPIENT_KIND) == _RECIPIENT_KINDS[kind]
        )
        return ", ".join(filter(None, named)) or one_line(self.text(_DISPLAYED[kind]))


def _person(name: str, address: str) -> str:
    """Return a name with its address; Exchange's own addresses say nothing to anybody."""
    name, address = one_line(name).strip("'"), one_line(address)
    if "@" not in address:
        return name
    return address if name in {"", address} else f"{name} <{address}>"


def _file(ole: OleFileIO, part: _Properties) -> _File:
    name = part.text(_LONG_NAME) or part.text(_SHORT_NAME) or part.text(_DISPLAY_NAME)
    folder = part.inner(f"__substg1.0_{_DATA:04X}{_STORAGE}")
    message = None if folder is None else _Message(ole, folder, _EMBEDDED_START)
    if message is not None and message.is_mail:
        stem = (name or message.subject).removesuffix(".msg").replace("/", " ")
        return _File(f"{stem or 'message'}.eml", "message/rfc822", message.as_eml())
    media_type = one_line(part.text(_MEDIA_TYPE)) or "application/octet-stream"
    return _File(one_line(name), media_type, part.binary(_DATA))


_WINDOW = 4096
_KNOWN_AT_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript "
    rb"\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_RTF_HEADER = struct.Struct("<II4sI")


def _decompressed(data: bytes) -> bytes:
    """Return rich text; damage ends it early. A byte gives nine at most, so there are no bombs."""
    if len(data) < _RTF_HEADER.size:
        return b""
    _, size, kind, _ = _RTF_HEADER.unpack_from(data)
    packed = data[_RTF_HEADER.size :]
    if kind == b"MELA":
        return packed[:size]
    result = bytearray(_KNOWN_AT_START)
    for is_reference, token in _tokens(packed):
        if not is_reference:
            result += token
            continue
        number = int.from_bytes(token, "big")
        place, length = number >> 4, (number & 0xF) + 2
        back = (len(result) - place) % _WINDOW
        if back == 0:
            break
        for _ in range(length):
            result.append(result[-back] if back <= len(result) else 0)
    return bytes(result[len(_KNOWN_AT_START) :])


def _tokens(packed: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yield bytes and references, which a byte before every eight of them tells apart."""
    place = 0
    while place < len(packed):
        flags = packed[place]
        place += 1
        for bit in range(8):
            is_reference = bool(flags >> bit & 1)
            end = place + 1 + is_reference
            if end > len(packed):
                return
            yield is_reference, packed[place:end]
            place = end
