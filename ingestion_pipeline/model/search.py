"""What a search gives back.

Belongs here: modes and hits. Does not belong here: how they are found (``retrieval``).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel


class SearchMode(StrEnum):
    """How a query is matched; ``auto`` is the mode measured best for the collection at hand."""

    AUTO = "auto"
    TEXT = "text"
    VECTOR = "vector"
    HYBRID = "hybrid"


class HitKind(StrEnum):
    """What kind of row was found."""

    CHUNK = "chunk"


class Hit(BaseModel):
    """One search result; a higher ``score`` is better, comparable within one answer only."""

    chunk_id: str
    document_id: str
    name: str
    kind: HitKind
    text: str
    score: float
    pages: list[int]
    heading_path: list[str]
    sources: list[str]
