"""What a mail is in elements, whichever format it is stored in.

Belongs here: subject and people above the body, the names of attachments below it, and which
pictures the body shows. Does not belong here: formats (``eml``, ``msg``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import unquote

from ingestion_pipeline.model.elements import ElementCategory
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import one_line
from ingestion_pipeline.parsing.pictures import data_uri

SHOWN = ("From", "To", "Cc", "Date")
"""The fields of a mail's header that are text of the document."""

_CID = "cid:"
_CONTENT_ID = re.compile(r"""\bcid:([^"'\s<>)]+)""", re.IGNORECASE)


def add_header(subject: str, fields: Mapping[str, str], builder: DocumentBuilder) -> None:
    """Add the subject as a heading, and the fields that are shown."""
    builder.heading(subject, level=1)
    lines = [f"{name}: {value}" for name in SHOWN if (value := fields.get(name))]
    builder.text(ElementCategory.NARRATIVE_TEXT, "\n".join(lines))


def add_names(attachments: Iterable[tuple[str, str]], builder: DocumentBuilder) -> None:
    """Add names and media types of what is attached, so that a mail is found by them."""
    for name, media_type in attachments:
        text = f"{one_line(name)} ({media_type})" if name.strip() else media_type
        builder.text(ElementCategory.LIST_ITEM, f"Attachment: {text}")


def shows(html: str, content_id: str, location: str = "") -> bool:
    """Whether a body shows a part of the mail, by its content id or its address."""
    mentioned = map(unquote, _CONTENT_ID.findall(html))
    return (bool(content_id) and content_id in mentioned) or (bool(location) and location in html)


def finder(parts: Mapping[str, Callable[[], bytes]]) -> Callable[[str], bytes]:
    """Return what reads the picture that a body names, given those in the mail.

    Args:
        parts: Reads each, by its content id or address.
    """

    def picture(uri: str) -> bytes:
        is_id = uri[: len(_CID)].lower() == _CID
        read = parts.get(unquote(uri[len(_CID) :]) if is_id else uri)
        return data_uri(uri) if read is None else read()

    return picture
