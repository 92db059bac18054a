"""The table of a collection: its columns, its rows, its name.

Belongs here: what a row holds and how documents become rows. Does not belong here: writing them
(``index``) or reading them (``snapshot``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing.rows import batch
from ingestion_pipeline.model.search import HitKind

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from ingestion_pipeline.model.chunks import Chunk

SCHEMA_VERSION = 2
"""Raised when the columns change; a new version is a new table, filled by a reindex."""

SENTINEL = "__sentinel__"
"""The id of the row that every publication rewrites, so that two of them always conflict.

Its vector and its search text are null: no search can find it.
"""

ROWS_AT_ONCE = 512
"""That a publication holds in memory as a table."""

VISIBLE = f"chunk_id <> '{SENTINEL}'"
"""The SQL condition of every row that counts."""


_GENERATION = r"\.G[0-9a-f]{16}"
_BESIDE = r"(\.[0-9a-f]{32}|\.tree|\.tree\.draft|\.graph(\.[0-9a-f]+\.[a-z]+)?)?"
"""A generation that is being created, its summaries, those of an unfinished build, its graph."""


class Vectors(Protocol):
    """An array of vectors, or what can be sliced like one: its parts need not be in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many there are, and how long they are."""

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        """Return some of them."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What was added to a chunk so that it is found, and told apart, more easily."""

    keywords: Sequence[str] = ()
    questions: Sequence[str] = ()
    tags: Sequence[str] = ()


NO_EXTRAS = Extras()


@dataclass(frozen=True)
class IndexedDocument:
    """One version of a document, ready to become visible.

    ``vectors`` is float32, shaped (chunks, dimension), each of length 1. ``fence`` is the token of
    the claim under which it is published. A document without chunks just loses its old rows.
    ``extras`` has one entry for each chunk, or none at all; ``metadata`` is a JSON object.
    """

    document_id: str
    version: str
    fence: int
    name: str
    uri: str
    media_type: str
    chunks: Sequence[Chunk]
    vectors: Vectors
    extras: Sequence[Extras] = ()
    language: str | None = None
    metadata: str | None = None


def table_name(table: str, fingerprint: str) -> str:
    """Return the name of one *generation* of a collection's table.

    Each embedding model (and each schema version) has a table of its own, so vectors of two models
    never meet, not even when a late publisher still uses the model of yesterday. Collection names
    have no capitals, so a generation is never taken for another collection.
    """
    digest = hashlib.sha256(f"{SCHEMA_VERSION}\0{fingerprint}".encode()).hexdigest()
    return f"{table}.G{digest[:16]}"


def belongs_to(name: str, table: str) -> bool:
    """Whether ``name`` is a generation of the collection's table, or any table beside one."""
    return re.fullmatch(re.escape(table) + _GENERATION + _BESIDE, name) is not None


def is_generation(name: str) -> bool:
    """Whether a table of a collection is a generation, and not beside one."""
    return re.search(_GENERATION + "$", name) is not None


def is_unfinished(name: str) -> bool:
    """Whether a table is a generation that is being created, or was left so."""
    return re.search(_GENERATION + r"\.[0-9a-f]{32}$", name) is not None


def sql_string(value: str) -> str:
    """Return ``value`` as an SQL string literal; a quote is doubled, nothing else is special."""
    return "'" + value.replace("'", "''") + "'"


def is_any_of(column: str, values: Iterable[str]) -> str:
    """Return the SQL condition that ``column`` holds one of ``values``."""
    literals = ",".join(sql_string(value) for value in values)
    return f"{column} IN ({literals})" if literals else "false"


def search_text(name: str, chunk: Chunk, extras: Extras = NO_EXTRAS) -> str:
    """Return what full-text search reads of a chunk: its document's name, headings and text.

    And the questions it answers, its keywords and its tags.
    """
    added = (*extras.questions, " ".join(extras.keywords), " ".join(extras.tags))
    parts = (PurePosixPath(name).stem, *chunk.heading_path, chunk.text, *filter(None, added))
    return "\n".join(parts)


def table_schema(dimension: int, fingerprint: str) -> pa.Schema:
    """Return the columns, and in the metadata what the vectors were made with."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("chunk_id", pa.string(), nullable=False),
            pa.field("document_id", pa.string(), nullable=False),
            pa.field("document_version", pa.string()),
            pa.field("fence", pa.int64()),
            pa.field("kind", pa.string()),
            pa.field("name", pa.string()),
            pa.field("uri", pa.string()),
            pa.field("media_type", pa.string()),
            pa.field("ordinal", pa.int32()),
            pa.field("start", pa.int64()),
            pa.field("end", pa.int64()),
            pa.field("tokens", pa.int32()),
            pa.field("pages", pa.list_(pa.int32())),
            pa.field("heading_path", pa.list_(pa.string())),
            pa.field("text", pa.string()),
            pa.field("parent_id", pa.string()),
            pa.field("parent_text", pa.string()),
            pa.field("pictures", pa.list_(pa.string())),
            pa.field("keywords", pa.list_(pa.string())),
            pa.field("questions", pa.list_(pa.string())),
            pa.field("tags", pa.list_(pa.string())),
            pa.field("language", pa.string()),
            pa.field("metadata", pa.string()),
            pa.field("search_text", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
            pa.field("indexed_at", pa.timestamp("us", tz="UTC")),
        ],
        metadata={
            "schema_version": str(SCHEMA_VERSION),
            "embedding_fingerprint": fingerprint,
            "embedding_dimension": str(dimension),
        },
    )


def require_sound(documents: Sequence[IndexedDocument], dimension: int) -> None:
    """Refuse what must not be published.

    Raises:
        PermanentError: of kind ``internal`` if vectors do not fit the chunks or the table, are not
            finite, or two chunks share an id.
    """
    for document in documents:
        expected = (len(document.chunks), dimension)
        if document.vectors.shape != expected or not _finite(document.vectors):
            raise PermanentError(
                ErrorKind.INTERNAL,
                f"document {document.document_id}: its vectors are shaped "
                f"{document.vectors.shape} instead of {expected}, or not finite; embed it again",
            )
    ids = {chunk.chunk_id for document in documents for chunk in document.chunks}
    if len(ids) < sum(len(document.chunks) for document in documents):
        raise PermanentError(ErrorKind.INTERNAL, "two chunks of this batch have the same id")


def _finite(vectors: Vectors) -> bool:
    import numpy as np

    starts = range(0, vectors.shape[0], ROWS_AT_ONCE)
    return all(np.isfinite(vectors[start : start + ROWS_AT_ONCE]).all() for start in starts)


def document_rows(
    documents: Sequence[IndexedDocument], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``documents``, some at a time, and at last the sentinel's."""
    import numpy as np

    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    vectors: list[NDArray[np.float32]] = []
    for document in documents:
        for start in range(0, len(document.chunks), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            extras = document.extras[some] if document.extras else repeat(NO_EXTRAS)
            rows += [
                _row(document, chunk, added, now)
                for chunk, added in zip(document.chunks[some], extras, strict=bool(document.extras))
            ]
            vectors.append(document.vectors[some])
            if len(rows) >= ROWS_AT_ONCE:
                yield batch(rows, np.concatenate(vectors), schema)
                rows, vectors = [], []
    if rows:
        yield batch(rows, np.concatenate(vectors), schema)
    sentinel = {"chunk_id": SENTINEL, "document_id": SENTINEL, "indexed_at": now}
    yield batch([sentinel], None, schema)


def _row(document: IndexedDocument, chunk: Chunk, extras: Extras, now: datetime) -> dict[str, Any]:
    return {
        "chunk_id": chunk.chunk_id,
        "document_id": document.document_id,
        "document_version": document.version,
        "fence": document.fence,
        "kind": HitKind.CHUNK.value,
        "name": document.name,
        "uri": document.uri,
        "media_type": document.media_type,
        "ordinal": chunk.ordinal,
        "start": chunk.start,
        "end": chunk.end,
        "tokens": chunk.tokens,
        "pages": chunk.pages,
        "heading_path": chunk.heading_path,
        "text": chunk.text,
        "parent_id": chunk.parent.parent_id if chunk.parent else None,
        "parent_text": chunk.parent.text if chunk.parent else None,
        "pictures": chunk.pictures,
        "keywords": extras.keywords,
        "questions": extras.questions,
        "tags": extras.tags,
        "language": document.language,
        "metadata": document.metadata,
        "search_text": search_text(document.name, chunk, extras),
        "indexed_at": now,
    }
