"""Documents and the stages they go through.

Belongs here: a document's identity, states and stages. Does not belong here: what a stage does
(``stages``) or how the registry stores it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel

from ingestion_pipeline.errors import ErrorKind
from ingestion_pipeline.model.collections import ParserKind


class Stage(StrEnum):
    """The stages of a document, in the order in which they run."""

    SOURCED = "sourced"
    PARSED = "parsed"
    CHUNKED = "chunked"
    ENRICHED = "enriched"
    EMBEDDED = "embedded"
    INDEXED = "indexed"

    @property
    def upstream(self) -> Stage | None:
        """The stage whose result this one reads."""
        position = STAGES.index(self)
        return STAGES[position - 1] if position else None


STAGES: tuple[Stage, ...] = tuple(Stage)


STANDARD = "standard"
"""In place of a pipeline's name: the way that a collection's configuration describes."""


class DocumentState(StrEnum):
    """Where a document stands, as users see it."""

    PENDING = "pending"
    PROCESSING = "processing"
    INDEXED = "indexed"
    FAILED = "failed"
    INPUT = "input"
    DELETED = "deleted"


class ErrorInfo(BaseModel):
    """An error as it is stored and shown."""

    kind: ErrorKind
    message: str


@dataclass(frozen=True)
class Document:
    """A registered document. Times are seconds since the epoch, by the database's clock.

    ``sha256`` is the document's *version*: the hash of its bytes, None until they were fetched.
    ``object_key`` says where the bytes are stored; ``fetch`` that they are to be fetched from
    ``uri`` first. ``force`` asks for work although nothing changed. ``confirmed`` is the version
    that a person said to go on with in spite of doubts. ``parent_id`` is the document that it is
    attached to; ``parser`` its kind, where that is not the collection's; ``pipeline`` the one that
    it belongs to, where that is not the collection's own way. ``stages`` maps each finished stage,
    and of a pipeline each finished part of one, to the fingerprint of its stored result; ``fresh``
    are those of them that ``force`` is not about: done since it was asked for, or to be kept.
    """

    document_id: str
    collection_key: str
    name: str
    uri: str
    state: DocumentState
    updated_at: float
    sha256: str | None = None
    object_key: str | None = None
    parent_id: str | None = None
    parser: ParserKind | None = None
    pipeline: str | None = None
    fetch: bool = False
    media_type: str | None = None
    bytes: int | None = None
    pages: int | None = None
    chunks: int | None = None
    tokens: int | None = None
    error: ErrorInfo | None = None
    force: bool = False
    confirmed: str | None = None
    stages: dict[str, str] = field(default_factory=dict)
    fresh: frozenset[str] = frozenset()


def document_id(collection_key: str, uri: str) -> str:
    """Identify a document by its collection and source URI; stable over its versions."""
    return hashlib.sha256(f"{collection_key}\0{uri}".encode()).hexdigest()[:32]
