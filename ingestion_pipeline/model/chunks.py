"""Chunks: the passages that are embedded, indexed and found.

Belongs here: the chunk itself and its identity. Does not belong here: strategies (``chunking``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Chunk:
    """A slice of a document's canonical text: ``text == parsed.text[start:end]``.

    ``tokens`` counts the embedding model's tokens, special tokens included, and never exceeds
    the collection's cap. ``pages`` are the pages it touches, ascending; ``heading_path`` the
    headings above its first element, outermost first.
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


def chunk_id(document_id: str, text: str, occurrence: int) -> str:
    """Identify a chunk by its document, its text and how often the text occurred before it.

    An edit elsewhere in the document therefore leaves the ids of unchanged chunks alone.
    """
    content = f"{document_id}\0{occurrence}\0{text}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()[:32]
