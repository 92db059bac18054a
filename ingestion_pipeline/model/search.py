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
    TREE = "tree"
    GRAPH = "graph"


class HitKind(StrEnum):
    """What kind of row was found."""

    CHUNK = "chunk"
    SUMMARY = "summary"
    REPORT = "report"


class Hit(BaseModel):
    """One search result; a higher ``score`` is better, comparable within one answer only.

    ``text`` is the chunk's, or that of its parent, the longer passage that ``parent_id`` names.
    ``pictures`` are the ids of the pictures that the chunk shows.

    A summary has its own id as ``chunk_id``, its title as ``heading_path`` and as ``name`` where it
    spans documents; its ``document_id`` is empty then. ``pages`` and ``sources`` are those of the
    chunks that it cites, and ``chunks`` the best of these. A report, on a community of the graph,
    is like a summary that spans documents.
    """

    chunk_id: str
    document_id: str
    name: str
    kind: HitKind
    text: str
    score: float
    pages: list[int]
    heading_path: list[str]
    sources: list[str]
    parent_id: str | None = None
    pictures: list[str] = []
    keywords: list[str] = []
    tags: list[str] = []
    chunks: list[Hit] = []
