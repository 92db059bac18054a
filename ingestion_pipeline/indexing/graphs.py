"""The graph of a collection: four tables beside a generation's chunks, and one that names them.

Each publication writes tables of its own; then the one that names them is replaced, in one commit.
So readers see the whole graph of before or the whole new one, whatever was killed in between, and
upkeep may rewrite any table at any time. Tables of before go when nobody can be reading them.

Belongs here: publishing a graph in one step, removal, reading, upkeep. Does not belong here:
columns (``graph_rows``), how graphs are built and which of it answers a question.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.indexing import maintenance, purging
from ingestion_pipeline.indexing.commits import (
    committed,
    lost_races,
    purged_errors,
    storage_errors,
)
from ingestion_pipeline.indexing.connection import opened, tables_of
from ingestion_pipeline.indexing.graph_rows import (
    SCHEMA_VERSION,
    FoundReport,
    IndexedReport,
    Part,
    communities_of,
    community_rows,
    entities_of,
    entity_rows,
    indexed_reports_of,
    manifest_schema,
    relation_rows,
    relations_of,
    report_rows,
    reports_of,
    table_schemas,
)
from ingestion_pipeline.indexing.rows import Rows
from ingestion_pipeline.indexing.schema import is_any_of, sql_string
from ingestion_pipeline.indexing.summary_rows import Origin, origin_of
from ingestion_pipeline.model.graph import Community, Entity, Relation, Report

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from lancedb.db import LanceDBConnection
    from lancedb.table import LanceTable
    from numpy.typing import NDArray

    from ingestion_pipeline.indexing.index import CollectionIndex

    Tables = Mapping[Part, LanceTable]

IDS_AT_ONCE = 1000
"""That one SQL condition names."""

_TIME_DIGITS = 11
"""Hexadecimal ones, of milliseconds; so names of publications are in the order of their times."""

_CHEAP = {
    Part.ENTITIES: "mentions",
    Part.RELATIONS: "weight",
    Part.COMMUNITIES: "level",
    Part.REPORTS: "rating",
}
"""Columns that may be rewritten at no cost."""


@dataclass(frozen=True, slots=True)
class GraphCounts:
    """How many of each there are."""

    entities: int = 0
    relations: int = 0
    communities: int = 0
    reports: int = 0


class GraphIndex:
    """The graph of one generation of a collection's index.

    One process at a time builds a graph; any number of others read. May be shared by threads, not
    by a fork: LanceDB's own threads do not survive one. Every method raises a ``TransientError`` of
    kind ``unavailable`` when the storage does not answer, or other writers came first again and
    again.
    """

    def __init__(self, index: CollectionIndex) -> None:
        self._index = index

    def publish(
        self,
        entities: Iterable[Entity],
        relations: Iterable[Relation],
        communities: Iterable[Community],
        reports: Iterable[IndexedReport],
        origin: Origin,
        dimension: int,
        before_commit: Callable[[], None],
    ) -> GraphCounts:
        """Make this graph the collection's, in one commit.

        Args:
            entities: All of them; like the others taken as they are written.
            relations: All of them.
            communities: All of them, which keep their order.
            reports: All of them, which keep their order.
            origin: What the graph was made from.
            dimension: Of the reports' vectors.
            before_commit: Called when all are written; may raise, and then nothing has changed.

        Raises:
            PermanentError: of kind ``internal`` if a vector does not fit; nothing has changed.
        """
        database, generation = self._index.database, self._index.name
        schemas = table_schemas(dimension)
        rows = {
            Part.ENTITIES: entity_rows(entities, schemas[Part.ENTITIES]),
            Part.RELATIONS: relation_rows(relations, schemas[Part.RELATIONS]),
            Part.COMMUNITIES: community_rows(communities, schemas[Part.COMMUNITIES]),
            Part.REPORTS: report_rows(reports, schemas[Part.REPORTS]),
        }
        names = _new_names(generation)
        with storage_errors(self._index.uri), lost_races("publishing a graph"):
            try:
                tables = {
                    part: _create(database, names[part], rows[part], schemas[part]) for part in Part
                }
                before_commit()
                _name(database, generation, names, origin)
            except BaseException:
                _drop(database, names.values())
                raise
            _drop_superseded(database, generation, maintenance.KEEP_VERSIONS)
        return _counts(tables)

    def snapshot(self) -> GraphSnapshot:
        """Return the graph that was published last, to read from."""
        with storage_errors(self._index.uri):
            return _opened(self._index.database, self._index.name)

    def remove(self, document_ids: Collection[str]) -> int:
        """Delete what rests on these documents, alone or with others; return how many rows.

        Of entities only those that no other document names. Communities go on naming them.
        """
        removed = 0
        with storage_errors(self._index.uri):
            tables = _opened(self._index.database, self._index.name).tables
            if tables is None:
                return 0
            alone = _named_by_none_but(tables[Part.ENTITIES], frozenset(document_ids))
            for some in _blocks(sorted(document_ids)):
                where = f"array_has_any(document_ids, [{','.join(map(sql_string, some))}])"
                removed += _delete(tables[Part.RELATIONS], where)
                removed += _delete(tables[Part.REPORTS], where)
            for some in _blocks(alone):
                removed += _delete(tables[Part.ENTITIES], is_any_of("entity_id", some))
            _mark_changed(self._index.database, self._index.name)
        return removed

    def remove_missing(self, document_ids: Collection[str]) -> int:
        """Remove those of some documents that are no longer indexed; return how many rows."""
        gone = set(document_ids).difference(self._index.snapshot().document_ids())
        return self.remove(gone) if gone else 0

    def drop(self) -> None:
        """Drop the graph, and what unfinished publications left."""
        with storage_errors(self._index.uri):
            database, generation = self._index.database, self._index.name
            database.drop_table(_manifest(generation), ignore_missing=True)
            for names in _publications(database, generation).values():
                _drop(database, names)


class GraphSnapshot:
    """One version of a collection's graph; without tables, a collection that has none.

    A read raises a ``TransientError`` of kind ``unavailable`` when the version was purged
    meanwhile: ask again, of a new snapshot.
    """

    def __init__(
        self, database: LanceDBConnection | None = None, manifest: LanceTable | None = None
    ) -> None:
        self._database = database
        self._manifest = manifest
        self.origin = None if manifest is None else origin_of(manifest.schema)
        """What the graph was built from."""

    @property
    def empty(self) -> bool:
        """Whether there is no graph; one that was published may have nothing in it all the same."""
        return self._manifest is None

    @cached_property
    def version(self) -> str:
        """What tells it from the collection's other graphs, also after removals; empty if none."""
        if self._manifest is None:
            return ""
        metadata = self._manifest.schema.metadata or {}
        return f"{metadata.get(b'made', b'').decode()}@{self._manifest.version}"

    @cached_property
    def tables(self) -> Tables | None:
        """The tables; a question that asks for none of them does not open them."""
        if self._manifest is None or self._database is None:
            return None
        names = _named(self._manifest)
        tables = {part: opened(self._database, name) for part, name in names.items()}
        found = {part: table for part, table in tables.items() if table is not None}
        if len(found) < len(Part):
            raise TransientError(
                ErrorKind.UNAVAILABLE, "the graph was replaced while it was read; ask again"
            )
        return found

    def counts(self) -> GraphCounts:
        """Count all there is."""
        return GraphCounts() if self.tables is None else _counts(self.tables)

    def entities(self) -> Iterator[Entity]:
        """Yield every entity, by their ids."""
        yield from entities_of(self._rows(Part.ENTITIES, "entity_id"))

    def relations(self) -> Iterator[Relation]:
        """Yield every relation, by their ids."""
        yield from relations_of(self._rows(Part.RELATIONS, "relation_id"))

    def communities(self) -> Iterator[Community]:
        """Yield every community, the coarsest level first."""
        yield from communities_of(self._rows(Part.COMMUNITIES, "place"))

    def reports(self) -> Iterator[Report]:
        """Yield the report of every community, in the order of these."""
        yield from reports_of(self._rows(Part.REPORTS, "place", without="vector"))

    def indexed_reports(self) -> Iterator[IndexedReport]:
        """Yield the reports with their vectors."""
        yield from indexed_reports_of(self._rows(Part.REPORTS, "place"))

    def entity(self, name: str) -> Entity | None:
        """Return the entity of an id or a name; of several that are called so the highest rank."""
        return next(iter(self.named(name)), None)

    def named(self, name: str) -> list[Entity]:
        """Return the entities of an id or a name, the highest rank first."""
        literal = sql_string(name)
        lower = sql_string(name.lower())
        where = (
            f"entity_id = {literal} OR lower(name) = {lower} OR lower(key) = {lower} "
            f"OR array_has(aliases, {literal})"
        )
        found = entities_of(self._rows(Part.ENTITIES, "entity_id", where))
        return sorted(found, key=lambda entity: -entity.rank)

    def relations_of(self, entity_id: str) -> list[Relation]:
        """Return the relations of an entity, those of the greatest weight first."""
        literal = sql_string(entity_id)
        where = f"source = {literal} OR target = {literal}"
        found = relations_of(self._rows(Part.RELATIONS, "relation_id", where))
        return sorted(found, key=lambda relation: -relation.weight)

    def communities_of(self, entity_id: str) -> list[Community]:
        """Return the communities that an entity is in, the coarsest first."""
        where = f"array_has(entity_ids, {sql_string(entity_id)})"
        return list(communities_of(self._rows(Part.COMMUNITIES, "place", where)))

    def report(self, community_id: str) -> Report | None:
        """Return the report of a community."""
        where = f"community_id = {sql_string(community_id)}"
        found = reports_of(self._rows(Part.REPORTS, "place", where, without="vector"))
        return next(found, None)

    def nearest_reports(self, vector: NDArray[np.float32], limit: int) -> list[FoundReport]:
        """Return the reports of greatest cosine with ``vector``, best first; it is the score."""
        if self.tables is None:
            return []
        table = self.tables[Part.REPORTS]
        query = table.search(vector, vector_column_name="vector", query_type="vector")
        columns = [name for name in table.schema.names if name != "vector"]
        with purged_errors():
            rows = (
                query.distance_type("cosine")
                .select([*columns, "_distance"])
                .limit(limit)
                .to_arrow()
            )
        distances = rows["_distance"].to_pylist()
        found = zip(reports_of(rows), distances, strict=True)
        return [FoundReport(report, 1 - distance) for report, distance in found]

    def _rows(
        self, part: Part, order: str, where: str | None = None, without: str | None = None
    ) -> pa.Table:
        if self.tables is None:
            return table_schemas(1)[part].empty_table()
        table = self.tables[part]
        query = table.search()
        if where is not None:
            query = query.where(where)
        columns = [name for name in table.schema.names if name != without]
        with purged_errors():
            return query.select(columns).to_arrow().sort_by(order)


def maintain(
    database: LanceDBConnection,
    generation: str,
    *,
    thorough: bool,
    keep_versions: timedelta | None = None,
) -> None:
    """Do the upkeep that is due for the graph of a generation."""
    _drop_superseded(database, generation, keep_versions or maintenance.KEEP_VERSIONS)
    for table in _all_tables(database, generation):
        maintenance.compact_if_due(table, thorough=thorough, keep_versions=keep_versions)


def purge(
    database: LanceDBConnection,
    generation: str,
    chunk_ids: Collection[str],
    keep_versions: timedelta,
) -> None:
    """Remove for good all that rests on anything but these chunks, and what was removed before.

    That is more than a removal takes: any of an entity's names may be of a chunk that is gone. The
    next build brings back what others say of it.

    Raises:
        TransientError: as ``purging.purge`` does.
    """
    _drop_superseded(database, generation, keep_versions)
    tables = _opened(database, generation).tables
    if tables is None:
        return
    for part, (column, ids) in _stale(tables, frozenset(chunk_ids)).items():
        for some in _blocks(ids):
            _delete(tables[part], is_any_of(column, some))
    for part, table in tables.items():
        purging.purge(table, _CHEAP[part], _no_indexes, keep_versions)
    _mark_changed(database, generation)


def _stale(tables: Tables, present: frozenset[str]) -> dict[Part, tuple[str, Sequence[str]]]:
    """Return what rests on chunks that are no more: by what column, and its values there."""
    named = _columns(tables[Part.ENTITIES], "entity_id", "chunk_ids")
    related = _columns(tables[Part.RELATIONS], "relation_id", "source", "target", "evidence")
    reported = _columns(tables[Part.REPORTS], "community_id", "entity_ids", "citations")
    entities = {entity for entity, chunks in named if not present.issuperset(chunks)}
    relations = {
        relation
        for relation, source, target, evidence in related
        if not entities.isdisjoint((source, target))
        or any(each["chunk_id"] not in present for each in evidence)
    }
    reports = {
        community
        for community, entity_ids, citations in reported
        if not entities.isdisjoint(entity_ids)
        or any(each["chunk_id"] not in present for each in citations)
    }
    return {
        Part.ENTITIES: ("entity_id", sorted(entities)),
        Part.RELATIONS: ("relation_id", sorted(relations)),
        Part.REPORTS: ("community_id", sorted(reports)),
    }


def _named_by_none_but(table: LanceTable, document_ids: frozenset[str]) -> list[str]:
    return [
        entity
        for entity, documents in _columns(table, "entity_id", "document_ids")
        if document_ids.issuperset(documents)
    ]


def _columns(table: LanceTable, *names: str) -> Iterator[tuple[Any, ...]]:
    """Yield some columns of every row."""
    with purged_errors():
        rows = table.search().select(list(names)).to_arrow()
    yield from zip(*(rows[name].to_pylist() for name in names), strict=True)


def _create(
    database: LanceDBConnection, name: str, batches: Iterator[pa.RecordBatch], schema: pa.Schema
) -> LanceTable:
    rows = Rows(batches)
    with rows.errors():
        return database.create_table(name, rows.reader(schema))


def _delete(table: LanceTable, where: str) -> int:
    """Delete rows; return how many there were."""

    def attempt() -> int:
        latest = maintenance.latest(table)
        count = latest.count_rows(where)
        if count:
            latest.delete(where)
        return count

    return committed(attempt, f"removing rows of {table.name}")


def _blocks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), IDS_AT_ONCE):
        yield ids[start : start + IDS_AT_ONCE]


def _counts(tables: Tables) -> GraphCounts:
    return GraphCounts(**{part.value: table.count_rows() for part, table in tables.items()})


def _no_indexes(_table: LanceTable) -> None:
    """There are none to build anew."""


# Which tables there are


def _manifest(generation: str) -> str:
    """Return the name of the table that names the others."""
    return f"{generation}.graph"


def _new_names(generation: str) -> dict[Part, str]:
    """Return names for the tables of a publication that begins now."""
    made = f"{time.time_ns() // 1_000_000:0{_TIME_DIGITS}x}{secrets.token_hex(4)}"
    return {part: f"{_manifest(generation)}.{made}.{part}" for part in Part}


def _name(
    database: LanceDBConnection, generation: str, names: Mapping[Part, str], origin: Origin
) -> None:
    """Say that these tables are the collection's graph."""
    import pyarrow as pa

    rows = [{"part": part, "table": name} for part, name in names.items()]
    made = _publication(generation, names[Part.ENTITIES])
    manifest = pa.Table.from_pylist(rows, schema=manifest_schema(origin, made))
    database.create_table(_manifest(generation), manifest, mode="overwrite")


def _mark_changed(database: LanceDBConnection, generation: str) -> None:
    """Give the graph another version, for those who keep what they read of it."""

    def attempt() -> None:
        manifest = opened(database, _manifest(generation))
        if manifest is not None:
            manifest.update(where=f"part = '{Part.ENTITIES}'", values={"part": Part.ENTITIES.value})

    committed(attempt, "marking a graph as changed")


def _opened(database: LanceDBConnection, generation: str) -> GraphSnapshot:
    """Open the graph of a generation."""
    return GraphSnapshot(database, _readable(database, generation))


def _readable(database: LanceDBConnection, generation: str) -> LanceTable | None:
    """Open the table that names the others; one of another version is as good as none."""
    manifest = opened(database, _manifest(generation))
    if manifest is None:
        return None
    version = (manifest.schema.metadata or {}).get(b"schema_version", b"").decode()
    return manifest if version == SCHEMA_VERSION else None


def _named(manifest: LanceTable) -> dict[Part, str]:
    with purged_errors():
        return {Part(row["part"]): row["table"] for row in manifest.to_arrow().to_pylist()}


def _publications(database: LanceDBConnection, generation: str) -> dict[str, list[str]]:
    """Return the tables of every publication there is, by its name, the oldest first."""
    prefix = f"{_manifest(generation)}."
    found: dict[str, list[str]] = {}
    for name in sorted(tables_of(database, generation.rpartition(".")[0])):
        if name.startswith(prefix):
            found.setdefault(_publication(generation, name), []).append(name)
    return found


def _publication(generation: str, table: str) -> str:
    """Return the name of the publication that a table is of."""
    return table.removeprefix(f"{_manifest(generation)}.").partition(".")[0]


def _all_tables(database: LanceDBConnection, generation: str) -> list[LanceTable]:
    """Return the tables of a graph, and the one that names them."""
    manifest = _readable(database, generation)
    tables = _opened(database, generation).tables
    return [] if manifest is None or tables is None else [manifest, *tables.values()]


def _drop_superseded(
    database: LanceDBConnection, generation: str, keep_versions: timedelta
) -> None:
    """Drop the tables that nobody can be reading any more, and those that were never named.

    Those that are newer than the named ones may be of a publication that goes on.
    """
    manifest = _readable(database, generation)
    publications = _publications(database, generation)
    named = set(_named(manifest).values()) if manifest is not None else set()
    current = next((key for key, names in publications.items() if named & {*names}), "")
    for each, following in pairwise(publications):
        if each < current and _age(following) >= keep_versions:
            _drop(database, publications[each])
    for each, names in publications.items():
        if each > current and _age(each) > purging.ABANDONED_AFTER:
            _drop(database, names)


def replaced(database: LanceDBConnection, generation: str) -> list[str]:
    """Return the tables of publications that are not, or not yet, the graph of a generation."""
    manifest = _readable(database, generation)
    named = set(_named(manifest).values()) if manifest is not None else set()
    publications = _publications(database, generation).values()
    return [name for names in publications for name in names if name not in named]


def _age(publication: str) -> timedelta:
    began = int(publication[:_TIME_DIGITS], 16)
    return timedelta(milliseconds=time.time_ns() // 1_000_000 - began)


def _drop(database: LanceDBConnection, names: Iterable[str]) -> None:
    for name in names:
        database.drop_table(name, ignore_missing=True)
