"""The tables of a graph: their columns, and entities, relations, communities, reports as rows.

Belongs here: what a row holds, and conversions. Does not belong here: writing and reading tables
(``graphs``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, chain, count, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing.rows import batch, vectors_of
from ingestion_pipeline.indexing.summary_rows import Origin
from ingestion_pipeline.model.graph import (
    Community,
    Entity,
    EntityType,
    Relation,
    RelationKind,
    Report,
)
from ingestion_pipeline.model.summaries import Citation, SummaryMethod

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

SCHEMA_VERSION = "1"
"""Raised when the columns change; a graph of another version is as good as none."""

ROWS_AT_ONCE = 2048
"""That a publication, or who reads everything, holds in memory besides the columns."""


class Part(StrEnum):
    """The tables that a graph consists of."""

    ENTITIES = "entities"
    RELATIONS = "relations"
    COMMUNITIES = "communities"
    REPORTS = "reports"


@dataclass(frozen=True, slots=True, eq=False)
class IndexedReport:
    """A report, ready to be found; ``vector`` is float32, (dimension,), of length 1."""

    report: Report
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FoundReport:
    """A report that answers a question; a higher ``score`` is better."""

    report: Report
    score: float


def table_schemas(dimension: int) -> Mapping[Part, pa.Schema]:
    """Return the columns of each table; ``dimension`` is that of the reports' vectors."""
    import pyarrow as pa

    texts = pa.list_(pa.string())
    citations = pa.list_(
        pa.struct([("chunk_id", pa.string()), ("start", pa.int64()), ("end", pa.int64())])
    )
    return {
        Part.ENTITIES: pa.schema(
            [
                ("entity_id", pa.string()),
                ("key", pa.string()),
                ("name", pa.string()),
                ("type", pa.string()),
                ("aliases", texts),
                ("mentions", pa.int64()),
                ("document_ids", texts),
                ("chunk_ids", texts),
                ("titles", texts),
                ("rank", pa.float64()),
            ]
        ),
        Part.RELATIONS: pa.schema(
            [
                ("relation_id", pa.string()),
                ("source", pa.string()),
                ("target", pa.string()),
                ("kind", pa.string()),
                ("predicate", pa.string()),
                ("negated", pa.bool_()),
                ("weight", pa.float64()),
                ("count", pa.int64()),
                ("document_ids", texts),
                ("evidence", citations),
            ]
        ),
        Part.COMMUNITIES: pa.schema(
            [
                ("place", pa.int64()),
                ("community_id", pa.string()),
                ("level", pa.int64()),
                ("parent_id", pa.string()),
                ("entity_ids", texts),
            ]
        ),
        Part.REPORTS: pa.schema(
            [
                ("place", pa.int64()),
                ("community_id", pa.string()),
                ("title", pa.string()),
                ("text", pa.string()),
                ("method", pa.string()),
                ("citations", citations),
                ("entity_ids", texts),
                ("relation_ids", texts),
                ("document_ids", texts),
                ("period", pa.list_(pa.int64())),
                ("rating", pa.float64()),
                ("inputs", pa.string()),
                ("vector", pa.list_(pa.float32(), dimension)),
            ]
        ),
    }


def manifest_schema(origin: Origin, made: str) -> pa.Schema:
    """Return the columns of the table that names the others.

    Its metadata say what the graph was made from, and name the publication, ``made``.
    """
    import pyarrow as pa

    return pa.schema(
        [("part", pa.string()), ("table", pa.string())],
        metadata={
            "schema_version": SCHEMA_VERSION,
            "leaves": origin.leaves,
            "recipe": origin.recipe,
            "made": made,
        },
    )


# Writing


def entity_rows(entities: Iterable[Entity], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield rows, some at a time."""
    return _batches(entities, schema, _column)


def relation_rows(relations: Iterable[Relation], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield rows, some at a time."""

    def column(some: Sequence[Relation], field: pa.Field) -> pa.Array:
        if field.name == "evidence":
            return _citation_lists([each.evidence for each in some], field.type)
        return _column(some, field)

    return _batches(relations, schema, column)


def community_rows(communities: Iterable[Community], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield rows, some at a time, which keep their order."""
    import pyarrow as pa

    places = count()

    def column(some: Sequence[Community], field: pa.Field) -> pa.Array:
        if field.name == "place":
            return pa.array(islice(places, len(some)), field.type)
        return _column(some, field)

    return _batches(communities, schema, column)


def report_rows(reports: Iterable[IndexedReport], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield rows, some at a time, which keep their order.

    Raises:
        PermanentError: of kind ``internal`` if a vector does not fit the table or is not finite.
    """
    import numpy as np

    place = 0
    remaining = iter(reports)
    while some := list(islice(remaining, ROWS_AT_ONCE)):
        for each in some:
            _require_sound(each, schema.field("vector").type.list_size)
        rows = [_report_row(each.report, place + more) for more, each in enumerate(some)]
        yield batch(rows, np.stack([each.vector for each in some]), schema)
        place += len(some)


def _column(things: Sequence[object], field: pa.Field) -> pa.Array:
    import pyarrow as pa

    return pa.array(list(map(attrgetter(field.name), things)), field.type)


def _citation_lists(lists: Sequence[Sequence[Citation]], type_: pa.DataType) -> pa.Array:
    """Return an array of lists; made of flat ones, which takes half as long."""
    import pyarrow as pa

    citations = list(chain.from_iterable(lists))
    flat = pa.StructArray.from_arrays(
        [_column(citations, field) for field in type_.value_type], fields=list(type_.value_type)
    )
    return pa.ListArray.from_arrays(
        pa.array(accumulate(map(len, lists), initial=0), pa.int32()), flat, type=type_
    )


def _batches(
    things: Iterable[Any],
    schema: pa.Schema,
    column: Callable[[Sequence[Any], pa.Field], pa.Array],
) -> Iterator[pa.RecordBatch]:
    """Yield rows column by column, which is several times as fast as row by row."""
    import pyarrow as pa

    remaining = iter(things)
    while some := list(islice(remaining, ROWS_AT_ONCE)):
        columns = [column(some, field) for field in schema]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _report_row(report: Report, place: int) -> dict[str, Any]:
    return {
        "place": place,
        "community_id": report.community_id,
        "title": report.title,
        "text": report.text,
        "method": report.method,
        "citations": _citations(report.citations),
        "entity_ids": report.entity_ids,
        "relation_ids": report.relation_ids,
        "document_ids": report.document_ids,
        "period": report.period,
        "rating": report.rating,
        "inputs": report.inputs,
    }


def _citations(citations: Sequence[Citation]) -> list[tuple[str, int, int]]:
    return [(each.chunk_id, each.start, each.end) for each in citations]


def _require_sound(indexed: IndexedReport, dimension: int) -> None:
    import numpy as np

    if indexed.vector.shape != (dimension,) or not np.isfinite(indexed.vector).all():
        raise PermanentError(
            ErrorKind.INTERNAL,
            f"report {indexed.report.community_id}: its vector is shaped {indexed.vector.shape} "
            f"instead of {(dimension,)}, or not finite; build the graph again",
        )


# Reading


def entities_of(table: pa.Table) -> Iterator[Entity]:
    """Yield entities from their rows."""
    for row in _rows(table):
        yield Entity(
            entity_id=row["entity_id"],
            key=row["key"],
            name=row["name"],
            type=EntityType(row["type"]),
            aliases=tuple(row["aliases"]),
            mentions=row["mentions"],
            document_ids=tuple(row["document_ids"]),
            chunk_ids=tuple(row["chunk_ids"]),
            titles=tuple(row["titles"]),
            rank=row["rank"],
        )


def relations_of(table: pa.Table) -> Iterator[Relation]:
    """Yield relations from their rows."""
    for row in _rows(table):
        yield Relation(
            relation_id=row["relation_id"],
            source=row["source"],
            target=row["target"],
            kind=RelationKind(row["kind"]),
            predicate=row["predicate"],
            negated=row["negated"],
            weight=row["weight"],
            count=row["count"],
            document_ids=tuple(row["document_ids"]),
            evidence=tuple(Citation(**each) for each in row["evidence"]),
        )


def communities_of(table: pa.Table) -> Iterator[Community]:
    """Yield communities from their rows."""
    for row in _rows(table):
        yield Community(
            row["community_id"], row["level"], row["parent_id"], tuple(row["entity_ids"])
        )


def reports_of(table: pa.Table) -> Iterator[Report]:
    """Yield reports from their rows, which may have vectors or not."""
    columns = [name for name in table.column_names if name != "vector"]
    for row in _rows(table.select(columns)):
        yield Report(
            community_id=row["community_id"],
            title=row["title"],
            text=row["text"],
            method=SummaryMethod(row["method"]),
            citations=tuple(Citation(**each) for each in row["citations"]),
            entity_ids=tuple(row["entity_ids"]),
            relation_ids=tuple(row["relation_ids"]),
            document_ids=tuple(row["document_ids"]),
            period=(row["period"][0], row["period"][1]) if row["period"] else None,
            rating=row["rating"],
            inputs=row["inputs"],
        )


def indexed_reports_of(table: pa.Table) -> Iterator[IndexedReport]:
    """Yield reports with their vectors."""
    if len(table):
        for report, vector in zip(reports_of(table), vectors_of(table), strict=True):
            yield IndexedReport(report, vector)


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for some in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        yield from some.to_pylist()
