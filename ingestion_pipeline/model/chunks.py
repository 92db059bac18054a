"""Chunks: the passages that are embedded, indexed and found.

Belongs here: the chunk itself and its identity. Does not belong here: strategies (``chunking``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parent:
    """The longer passage that is returned when one of its chunks is found.

    ``parent_id`` is made like a chunk's id, so it tells documents with equal passages apart.
    ``text == parsed.text[start:end]``.
    """

    parent_id: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What stands at ``parsed.text[start:end]`` of a document's canonical text.

    ``text`` is that slice, but where a strategy says otherwise: the later parts of a table begin
    with its header, a row of a sheet is written as ``column: value``. ``tokens`` counts the
    embedding model's tokens of ``text``, special tokens included, and never exceeds the
    collection's cap. ``pages`` are the pages it touches, ascending; ``heading_path`` the headings
    above its first element, outermost first; ``pictures`` the ids of the pictures it shows.
    ``tags`` are labels that the document itself gives (the parser kind ``tag``).
    """

    chunk_id: str
    document_id: str
    ordinal: int
    text: str
    tokens: int
    start: int
    end: int
    pages: tuple[int, ...] = ()
    heading_path: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    parent: Parent | None = None


def chunk_id(document_id: str, text: str, occurrence: int) -> str:
    """Identify a chunk by its document, its text and how often the text occurred before it.

    An edit elsewhere in the document therefore leaves the ids of unchanged chunks alone.
    """
    content = f"{document_id}\0{occurrence}\0{text}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()[:32]
