"""The tables of summaries: their columns, and summaries as rows.

Belongs here: what a row holds, and conversions. Does not belong here: writing and reading tables
(``summaries``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing.rows import batch, vectors_of
from ingestion_pipeline.model.summaries import Citation, Summary, SummaryMethod

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

SCHEMA_VERSION = "1"
"""Raised when the columns change; a table of another version is as good as none."""

ROWS_AT_ONCE = 512
"""That a publication holds in memory as a table."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexedSummary:
    """A summary, ready to be found.

    ``vector`` is float32, (dimension,), of length 1; ``inputs`` a hash of all that the text was
    made from; ``documents`` the ids of all documents below it, sorted. ``summary.chunk_ids`` are
    not stored: all chunk ids of a collection may be below one summary.
    """

    summary: Summary
    vector: NDArray[np.float32]
    inputs: str
    documents: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """What a tree was built from: a hash of the ids of all chunks, and its recipe."""

    leaves: str
    recipe: str


@dataclass(frozen=True, slots=True)
class FoundSummary:
    """A summary that answers a question; a higher ``score`` is better.

    ``document_id`` is None where it spans documents; ``cited`` are the ids of the chunks it cites.
    """

    summary_id: str
    document_id: str | None
    title: str
    text: str
    cited: tuple[str, ...]
    score: float


FOUND_COLUMNS = ["summary_id", "document_id", "title", "text", "citations"]


def table_schema(dimension: int, origin: Origin | None = None) -> pa.Schema:
    """Return the columns, and in the metadata what the tree was built from."""
    import pyarrow as pa

    citation = pa.struct(
        [
            pa.field("chunk_id", pa.string()),
            pa.field("start", pa.int64()),
            pa.field("end", pa.int64()),
        ]
    )
    metadata = {"schema_version": SCHEMA_VERSION, "embedding_dimension": str(dimension)}
    if origin is not None:
        metadata |= {"leaves": origin.leaves, "recipe": origin.recipe}
    return pa.schema(
        [
            pa.field("summary_id", pa.string(), nullable=False),
            pa.field("document_id", pa.string()),
            pa.field("layer", pa.int32()),
            pa.field("place", pa.int32()),
            pa.field("title", pa.string()),
            pa.field("text", pa.string()),
            pa.field("tokens", pa.int32()),
            pa.field("method", pa.string()),
            pa.field("children", pa.list_(pa.string())),
            pa.field("citations", pa.list_(citation)),
            pa.field("documents", pa.list_(pa.string())),
            pa.field("inputs", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
        ],
        metadata=metadata,
    )


def origin_of(schema: pa.Schema) -> Origin | None:
    """Return what a published tree was built from."""
    metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    if "leaves" not in metadata or "recipe" not in metadata:
        return None
    return Origin(metadata["leaves"], metadata["recipe"])


def rows_of(
    summaries: Iterable[IndexedSummary], schema: pa.Schema, at_last: Callable[[], None]
) -> Iterator[pa.RecordBatch]:
    """Yield rows, some at a time; call ``at_last`` when there are no more.

    The summaries of one document come together, and of one layer in their order.

    Raises:
        PermanentError: of kind ``internal`` if a vector does not fit the table or is not finite.
    """
    import numpy as np

    dimension = schema.field("vector").type.list_size
    places: Counter[int] = Counter()
    last: str | None = None
    remaining = iter(summaries)
    while some := list(islice(remaining, ROWS_AT_ONCE)):
        rows = []
        for indexed in some:
            summary = indexed.summary
            if summary.document_id != last:
                places.clear()
            last = summary.document_id
            _require_sound(indexed, dimension)
            rows.append(_row(indexed, places[summary.layer]))
            places[summary.layer] += 1
        yield batch(rows, np.stack([indexed.vector for indexed in some]), schema)
    at_last()


def _require_sound(indexed: IndexedSummary, dimension: int) -> None:
    import numpy as np

    if indexed.vector.shape != (dimension,) or not np.isfinite(indexed.vector).all():
        raise PermanentError(
            ErrorKind.INTERNAL,
            f"summary {indexed.summary.summary_id}: its vector is shaped {indexed.vector.shape} "
            f"instead of {(dimension,)}, or not finite; build the tree again",
        )


def _row(indexed: IndexedSummary, place: int) -> dict[str, Any]:
    summary = indexed.summary
    return {
        "summary_id": summary.summary_id,
        "document_id": summary.document_id,
        "layer": summary.layer,
        "place": place,
        "title": summary.title,
        "text": summary.text,
        "tokens": summary.tokens,
        "method": summary.method.value,
        "children": summary.children,
        "citations": [
            {"chunk_id": each.chunk_id, "start": each.start, "end": each.end}
            for each in summary.citations
        ],
        "documents": indexed.documents,
        "inputs": indexed.inputs,
    }


def summaries_of(table: pa.Table) -> list[IndexedSummary]:
    """Return summaries from their rows, without ``chunk_ids``."""
    if not len(table):
        return []
    vectors = vectors_of(table)
    return [
        IndexedSummary(
            summary=Summary(
                summary_id=row["summary_id"],
                document_id=row["document_id"],
                layer=row["layer"],
                title=row["title"],
                text=row["text"],
                tokens=row["tokens"],
                method=SummaryMethod(row["method"]),
                children=tuple(row["children"]),
                chunk_ids=(),
                citations=tuple(Citation(**each) for each in row["citations"]),
            ),
            vector=vector,
            inputs=row["inputs"],
            documents=tuple(row["documents"]),
        )
        for row, vector in zip(table.drop_columns(["vector"]).to_pylist(), vectors, strict=True)
    ]


def found_in(table: pa.Table, score: str | None = None) -> list[FoundSummary]:
    """Return the summaries of an answer; ``score`` names a column, without it all have 0."""
    return [
        FoundSummary(
            summary_id=row["summary_id"],
            document_id=row["document_id"],
            title=row["title"],
            text=row["text"],
            cited=tuple(dict.fromkeys(each["chunk_id"] for each in row["citations"])),
            score=row[score] if score else 0.0,
        )
        for row in table.to_pylist()
    ]


def with_chunk_ids(tree: Sequence[IndexedSummary]) -> list[IndexedSummary]:
    """Return the tree of one document, lowest layer first, with the chunks below each summary."""
    below: dict[str, tuple[str, ...]] = {}
    for indexed in tree:
        found = (each for child in indexed.summary.children for each in below.get(child, (child,)))
        below[indexed.summary.summary_id] = tuple(dict.fromkeys(found))
    return [
        replace(
            indexed,
            summary=replace(indexed.summary, chunk_ids=below[indexed.summary.summary_id]),
        )
        for indexed in tree
    ]
