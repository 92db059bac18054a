"""E-mail messages (.eml): subject, people and date, then the body; attachments by name only."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import one_line
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode, marked_encoding, unmarked_wide_encoding
from ingestion_pipeline.parsing.html import add_html, decode_html
from ingestion_pipeline.parsing.plain_text import add_paragraphs

_SHOWN = ("From", "To", "Cc", "Date")
_SIGNATURES = frozenset(
    {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}
)


def parse_eml(data: bytes) -> ParsedDocument:
    """Read a message; of a body in several forms the HTML, for its structure."""
    if marked_encoding(data) or unmarked_wide_encoding(data):
        data = decode(data).lstrip("\ufeff").encode()
    message = email.message_from_bytes(data.lstrip(), policy=email.policy.compat32)
    builder = DocumentBuilder()
    subject = _header(message, "Subject")
    builder.heading(subject, level=1)
    lines = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    builder.text(ElementCategory.NARRATIVE_TEXT, "\n".join(lines))
    attachments: list[str] = []
    for part in _parts(message):
        if _is_body(part):
            _add_body(part, builder)
        elif part.get_content_type() not in _SIGNATURES:
            attachments.append(_name(part))
    for name in attachments:
        builder.text(ElementCategory.LIST_ITEM, f"Attachment: {name}")
    return builder.document(FileType.EML, title=subject)


def _header(message: Message, name: str) -> str:
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
    return part.get_content_disposition() != "attachment" and part.get_filename() is None


def _name(part: Message) -> str:
    kind = part.get_content_type()
    name = one_line(part.get_filename() or "")
    return f"{name} ({kind})" if name else kind


def _add_body(part: Message, builder: DocumentBuilder) -> None:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    declared = part.get_content_charset()
    if part.get_content_type() == "text/html":
        add_html(decode_html(data, declared), builder)
        return
    add_paragraphs(decode(data, declared), builder)
