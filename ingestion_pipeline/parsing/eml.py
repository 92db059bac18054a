"""E-mail messages (.eml): subject, people and date, then the body; what is attached apart.

Saved web pages (.mht) are messages, too.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from functools import partial

from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.attachments import Attachments
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import one_line
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode, marked_encoding, unmarked_wide_encoding
from ingestion_pipeline.parsing.html import add_html, decode_html
from ingestion_pipeline.parsing.mail import SHOWN, add_header, add_names, finder, shows
from ingestion_pipeline.parsing.plain_text import add_paragraphs

_SIGNATURES = frozenset(
    {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}
)
_OF_PAGES = frozenset({"text/css", "text/javascript"})
"""What saved web pages (.mht) consist of besides HTML and pictures."""
_MESSAGES = frozenset({"message/rfc822", "message/global"})


def parse_eml(data: bytes) -> ParsedDocument:
    """Read a message; of a body in several forms the HTML, for its structure.

    Attachments are what is no body, but for signatures and pictures that a body shows, which are
    pictures of the document. Messages within are attachments, too.
    """
    message = email.message_from_bytes(narrow(data).lstrip(), policy=email.policy.compat32)
    builder = DocumentBuilder()
    subject = header(message, "Subject")
    add_header(subject, {name: header(message, name) for name in SHOWN}, builder)
    others: list[Message] = []
    html = ""
    parts = list(_parts(message))
    picture = finder(_pictures(parts))
    for part in parts:
        if _is_body(part):
            html += _add_body(part, builder, picture)
        elif part.get_content_type() not in _SIGNATURES and not _is_of_page(part):
            others.append(part)
    files = [_file(part) for part in others if not _is_shown(part, html)]
    add_names(((file.name, file.media_type) for file in files), builder)
    attachments = Attachments()
    for file in files:
        attachments.add(file.name, file.data, otherwise=file.otherwise)
    document = builder.document(FileType.EML, title=subject)
    return replace(document, attachments=attachments.all())


def narrow(data: bytes) -> bytes:
    """Return a message in UTF-8 where a program saved it in UTF-16 or UTF-32, as a text."""
    if marked_encoding(data) or unmarked_wide_encoding(data):
        return decode(data).lstrip("\ufeff").encode()
    return data


def header(message: Message, name: str) -> str:
    """Return a header as people see it; one that is badly encoded as it stands."""
    value = message.get(name)
    if value is None:
        return ""
    try:
        return one_line(str(make_header(decode_header(value))))
    except (HeaderParseError, LookupError, ValueError):
        return one_line(str(value))


def _parts(message: Message) -> Iterator[Message]:
    """Yield bodies and attachments, of each choice between several forms one."""
    if message.get_content_type() == "multipart/alternative":
        forms = [each for each in message.get_payload() if isinstance(each, Message)]
        if forms:
            yield from _parts(_richest(forms))
    elif message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _parts(part)
    else:
        yield message


def _richest(forms: list[Message]) -> Message:
    """Return the form with HTML, else the first with text."""
    for kind in ("text/html", "text/plain"):
        for form in forms:
            if any(each.get_content_type() == kind for each in form.walk()):
                return form
    return forms[0]


def _is_body(part: Message) -> bool:
    if part.get_content_maintype() != "text" or part.is_multipart():
        return part.get_content_maintype() == "multipart"  # declared as such, without any part
    if _is_of_page(part):
        return False
    return part.get_content_disposition() != "attachment" and part.get_filename() is None


def _is_of_page(part: Message) -> bool:
    """Whether the part belongs to a saved web page, and says nothing by itself."""
    return part.get_content_type() in _OF_PAGES and part.get_content_disposition() != "attachment"


def _pictures(parts: Iterable[Message]) -> dict[str, Callable[[], bytes]]:
    """Return what reads each picture, by its content id and its address."""
    return {
        name: partial(_bytes, part)
        for part in parts
        if part.get_content_maintype() == "image"
        for name in (_content_id(part), _location(part))
        if name
    }


def _content_id(part: Message) -> str:
    return str(part.get("Content-ID", "")).strip(" <>")


def _location(part: Message) -> str:
    return str(part.get("Content-Location", "")).strip()


def _add_body(part: Message, builder: DocumentBuilder, picture: Callable[[str], bytes]) -> str:
    """Add a body; returns its source if it is HTML, else nothing."""
    data = _bytes(part)
    declared = part.get_content_charset()
    if part.get_content_type() == "text/html":
        source = decode_html(data, declared)
        add_html(source, builder, picture)
        return source
    add_paragraphs(decode(data, declared), builder)
    return ""


def _is_shown(part: Message, html: str) -> bool:
    return shows(html, _content_id(part), _location(part))


@dataclass(frozen=True)
class _File:
    name: str
    media_type: str
    data: bytes
    otherwise: str
    """The name of a nameless one; its content says what it is."""


def _file(part: Message) -> _File:
    kind = part.get_content_type()
    name = _filename(part)
    payload = part.get_payload() if part.is_multipart() else ()
    inner = [each for each in payload if isinstance(each, Message)]
    if kind not in _MESSAGES or len(inner) != 1:
        data = b"\n".join(map(bytes, inner)) or _bytes(part)
        return _File(name, kind, data, otherwise="attachment")
    stem = name.removesuffix(".eml") or header(inner[0], "Subject").replace("/", " ")
    return _File(f"{stem or 'message'}.eml", kind, bytes(inner[0]), otherwise="message.eml")


def _filename(part: Message) -> str:
    """Return the declared name; many senders encode it as they do a subject."""
    name = part.get_filename() or ""
    try:
        return one_line(str(make_header(decode_header(name))))
    except (HeaderParseError, LookupError, ValueError):
        return one_line(name)


def _bytes(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
