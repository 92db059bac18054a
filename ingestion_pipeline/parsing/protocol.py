"""What a parser child and its pool say to each other over pipes.

A frame is its length (8 bytes, big-endian) and that many bytes. A child sends an empty frame
when it is ready. Each document is four frames (name, partitioner, password, bytes; no password is
an empty frame) and is answered by a ``Reply`` in JSON, so that what comes out of a child that a
document has taken over is data, never code; empty frames before it are signs of life (``pulse``).
The bytes of its pictures, then those of its attachments, follow in a frame each, for as text they
would need several times the memory. No reply holds the password.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from pydantic import TypeAdapter

from ingestion_pipeline.errors import Ask, ErrorKind
from ingestion_pipeline.model.elements import ParsedDocument

LENGTH = struct.Struct(">Q")


@dataclass(frozen=True)
class Failure:
    """A typed error on its way to the parent; ``asks`` says which answer would help."""

    kind: ErrorKind
    message: str
    transient: bool = False
    asks: Ask | None = None


@dataclass(frozen=True)
class Reply:
    """Either a document or a failure."""

    document: ParsedDocument | None = None
    failure: Failure | None = None


OUT_OF_MEMORY = Failure(ErrorKind.TOO_LARGE, "out of memory")
"""What a child says that reached its limit; documents can be too large for other reasons, too."""

REPLY = TypeAdapter(Reply)


def frames(reply: Reply) -> Iterator[bytes]:
    """Yield what is sent for a reply: the JSON, then the bytes that are not in it."""
    document = reply.document
    if document is None:
        yield REPLY.dump_json(reply)
        return
    pictures = tuple(replace(each, data=b"") for each in document.pictures)
    attachments = tuple(replace(each, data=b"") for each in document.attachments)
    light = replace(document, pictures=pictures, attachments=attachments)
    yield REPLY.dump_json(Reply(document=light))
    yield from (picture.data for picture in document.pictures)
    yield from (attachment.data for attachment in document.attachments)


def read_reply(first: bytes, next_frame: Callable[[], bytes]) -> Reply:
    """Put a reply together again, from its first frame and those that follow.

    Raises:
        ValidationError: What came is no reply.
    """
    reply = REPLY.validate_json(first)
    document = reply.document
    if document is None or not (document.pictures or document.attachments):
        return reply
    pictures = tuple(replace(each, data=next_frame()) for each in document.pictures)
    attachments = tuple(replace(each, data=next_frame()) for each in document.attachments)
    return Reply(document=replace(document, pictures=pictures, attachments=attachments))


def read_frame(file: BinaryIO) -> bytes | None:
    """Return the next frame, None where the other side has gone."""
    header = file.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(header)
    payload = file.read(length)
    return payload if len(payload) == length else None


def write_frame(file: BinaryIO, payload: bytes) -> None:
    """Send a frame."""
    file.write(LENGTH.pack(len(payload)))
    file.write(payload)
    file.flush()
