from __future__ import annotations

import hashlib

import pytest
from pydantic import ValidationError

from ingestion_pipeline.errors import Ask, ErrorKind
from ingestion_pipeline.model.elements import (
    Attachment,
    Element,
    ElementCategory,
    ParsedDocument,
    Picture,
)
from ingestion_pipeline.parsing.protocol import Failure, Reply, frames, read_reply

PICTURES = (b"\x89PNG", b"\xff\xd8\xff")
FILES = (b"", b"\0\xff" * 1000)
DOCUMENT = ParsedDocument(
    "x",
    (Element(ElementCategory.TITLE, "Größe"),),
    pictures=tuple(
        Picture(hashlib.sha256(data).hexdigest(), "image/png", data) for data in PICTURES
    ),
    attachments=tuple(
        Attachment(f"{len(data)}.txt", hashlib.sha256(data).hexdigest(), len(data), data)
        for data in FILES
    ),
)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(document=DOCUMENT),
        Reply(failure=Failure(ErrorKind.ENCRYPTED, "locked", asks=Ask.PASSWORD)),
        Reply(),
    ],
)
def test_a_reply_arrives_as_it_was_sent(reply: Reply) -> None:
    first, *rest = frames(reply)
    assert read_reply(first, iter(rest).__next__) == reply


def test_bytes_travel_beside_the_text() -> None:
    text, *blobs = frames(Reply(document=DOCUMENT))
    assert tuple(blobs) == (*PICTURES, *FILES)
    assert len(text) < 1500


@pytest.mark.parametrize("frame", [b"", b"{", b'{"document": 1}', b"\x80\x04K\x01."])
def test_what_is_no_reply_is_refused(frame: bytes) -> None:
    with pytest.raises(ValidationError):
        read_reply(frame, lambda: b"")
