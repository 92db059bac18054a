"""What is added to the chunks of a document, in a form that pydantic writes and reads as JSON.

Belongs here: the results. Does not belong here: how they are made (``enrichment``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

Tag = tuple[str, int]
"""A label and how well it fits, 1..10."""


@dataclass(frozen=True, slots=True)
class ChunkEnrichment:
    """What is added to one chunk; keywords, questions and tags come best first."""

    keywords: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True)
class TocEntry:
    """One heading of a document, ``level`` 1..6, and the chunks from it to the next heading."""

    title: str
    level: int
    chunk_ids: tuple[str, ...]


@dataclass(frozen=True)
class Enrichment:
    """What is added to a document; ``chunks`` are in the order of its chunks.

    ``language`` is an ISO 639-1 code. ``tokens`` counts what the language model was paid for.
    ``complete`` is False where it failed in a way that may pass: made again later, the result may
    be better. What it could not do is in ``warnings``.
    """

    chunks: tuple[ChunkEnrichment, ...]
    language: str | None = None
    metadata: dict[str, str | list[str]] = field(default_factory=dict)
    toc: tuple[TocEntry, ...] = ()
    tokens: int = 0
    warnings: tuple[str, ...] = ()
    complete: bool = True
