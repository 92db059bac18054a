"""The summaries of a collection: two tables beside a generation's chunks.

Belongs here: publishing a tree in one commit, keeping what an unfinished build has done so far,
removal, reading. Does not belong here: columns (``summary_rows``), chunks (``index``), how trees
are built.

A tree is published as a new version of its table, so readers see the whole tree of before or the
whole new one. Chunks are another table: whoever shows a summary looks whether the chunks that it
cites are still there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from ingestion_pipeline.indexing import maintenance, purging
from ingestion_pipeline.indexing.commits import (
    committed,
    lost_races,
    purged_errors,
    storage_errors,
)
from ingestion_pipeline.indexing.connection import opened
from ingestion_pipeline.indexing.nearest import nearest
from ingestion_pipeline.indexing.rows import READ_AT_ONCE, Rows, packed, vectors_of
from ingestion_pipeline.indexing.schema import is_any_of, sql_string
from ingestion_pipeline.indexing.summary_rows import (
    FOUND_COLUMNS,
    SCHEMA_VERSION,
    FoundSummary,
    IndexedSummary,
    Origin,
    found_in,
    origin_of,
    rows_of,
    summaries_of,
    table_schema,
    with_chunk_ids,
)

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from lancedb.db import LanceDBConnection
    from lancedb.query import LanceQueryBuilder
    from lancedb.table import LanceTable
    from numpy.typing import NDArray

    from ingestion_pipeline.indexing.index import CollectionIndex

ACROSS = "document_id IS NULL"
"""The SQL condition of a summary that spans documents."""

IDS_AT_ONCE = 1000
"""That one SQL condition names."""


class SummaryIndex:
    """The summaries of one generation of a collection's index.

    One process at a time builds a tree; any number of others read. May be shared by threads, not
    by a fork: LanceDB's own threads do not survive one. Every method raises a ``TransientError`` of
    kind ``unavailable`` when the storage does not answer, or other writers came first again and
    again.
    """

    def __init__(self, index: CollectionIndex) -> None:
        self._index = index
        self._published, self._draft = _names(index.name)

    def publish(
        self,
        summaries: Iterable[IndexedSummary],
        origin: Origin,
        dimension: int,
        before_commit: Callable[[], None],
    ) -> int:
        """Make this tree the collection's, in one commit; what was kept is dropped afterwards.

        Args:
            summaries: All of them: those of each document together, the lowest layer first and
                each layer in its order; taken as they are written, and never held all at once.
            origin: What they were made from.
            dimension: Of their vectors.
            before_commit: Called when all are written; may raise, and then nothing has changed.

        Returns:
            How many there are.

        Raises:
            PermanentError: of kind ``internal`` if a vector does not fit; nothing has changed.
        """
        schema = table_schema(dimension, origin)
        rows = Rows(rows_of(summaries, schema, before_commit))
        with (
            storage_errors(self._index.uri),
            lost_races("publishing summaries"),
            rows.errors(),
        ):
            table = self._index.database.create_table(
                self._published, rows.reader(schema), mode="overwrite"
            )
            self._index.database.drop_table(self._draft, ignore_missing=True)
            maintenance.index_summaries(table)
            return table.count_rows()

    def keep(self, summaries: Sequence[IndexedSummary]) -> None:
        """Keep what an unfinished build has made, for ``known``; readers do not see it.

        Of what is kept twice under one id, the later counts.
        """
        if not summaries:
            return
        schema = table_schema(len(summaries[0].vector))

        def attempt() -> None:
            table = _readable(self._index.database, self._draft)
            if table is None:
                create = self._index.database.create_table
                table = create(self._draft, schema=schema, mode="overwrite")
            rows = Rows(rows_of(summaries, schema, _nothing))
            merge = table.merge_insert("summary_id")
            merge.when_matched_update_all().when_not_matched_insert_all()
            with rows.errors():
                merge.execute(rows.reader(schema))
            maintenance.compact_if_due(table)

        with storage_errors(self._index.uri):
            committed(attempt, f"keeping {len(summaries)} summaries")

    def known(self, document_ids: Collection[str] | None) -> dict[str, IndexedSummary]:
        """Return summaries by their ids, without ``chunk_ids``: published ones, and those kept.

        Those of some documents, however many; or with None, those across documents. What an
        unfinished build kept comes before what was published under the same id.
        """
        drafted = self._found(self._draft, document_ids)
        return self._found(self._published, document_ids) | drafted

    def remove(self, document_ids: Collection[str]) -> int:
        """Delete every summary below which one of these documents is; return how many."""
        removed = 0
        for some in _blocks(sorted(document_ids), IDS_AT_ONCE):
            where = f"array_has_any(documents, [{','.join(map(sql_string, some))}])"
            for name in (self._published, self._draft):
                removed += self._delete(name, where)
        return removed

    def snapshot(self) -> SummarySnapshot:
        """Return the tree that was published last, to read from."""
        with storage_errors(self._index.uri):
            return SummarySnapshot(_readable(self._index.database, self._published))

    def drop(self) -> None:
        """Drop all summaries, and what an unfinished build kept."""
        with storage_errors(self._index.uri):
            for name in (self._published, self._draft):
                self._index.database.drop_table(name, ignore_missing=True)

    def _found(self, name: str, document_ids: Collection[str] | None) -> dict[str, IndexedSummary]:
        with storage_errors(self._index.uri):
            reader = SummarySnapshot(_readable(self._index.database, name))
            conditions = [ACROSS]
            if document_ids is not None:
                blocks = _blocks(sorted(document_ids), IDS_AT_ONCE)
                conditions = [is_any_of("document_id", some) for some in blocks]
            return {
                indexed.summary.summary_id: indexed
                for where in conditions
                for indexed in reader.where(where)
            }

    def _delete(self, name: str, where: str) -> int:
        with storage_errors(self._index.uri):
            return _delete(opened(self._index.database, name), where)


class SummarySnapshot:
    """One version of a collection's tree; None is a collection without one.

    A read raises a ``TransientError`` of kind ``unavailable`` when the version was purged
    meanwhile: ask again, of a new snapshot.
    """

    def __init__(self, table: LanceTable | None) -> None:
        self._table = table

    @property
    def empty(self) -> bool:
        """Whether there is no tree; one that was published may have no summaries all the same."""
        return self._table is None

    @property
    def origin(self) -> Origin | None:
        """What the tree was built from."""
        return None if self._table is None else origin_of(self._table.schema)

    @property
    def version(self) -> str:
        """What tells it from the collection's other trees, also after removals; empty if none."""
        if self._table is None:
            return ""
        origin = self.origin or Origin("", "")
        return f"{origin.leaves} {origin.recipe} {self._table.version}"

    def count(self) -> int:
        """Count the summaries."""
        return 0 if self._table is None else self._table.count_rows()

    def all(self) -> Iterator[IndexedSummary]:
        """Yield every summary: each document's, by its id, then those across documents.

        The lowest layer comes first, and each layer in its order. Few are held at a time, but a
        document's all at once. Those across documents come without ``chunk_ids``.
        """
        if self._table is None:
            return
        counts = self._rows("document_id IS NOT NULL", ["document_id"]).group_by("document_id")
        counts = counts.aggregate([([], "count_all")]).sort_by("document_id")
        for block in packed(*counts.select(["document_id", "count_all"]).to_pydict().values()):
            first, last = sql_string(block[0]), sql_string(block[-1])
            found = self.where(f"document_id >= {first} AND document_id <= {last}")
            for _, tree in groupby(found, key=lambda indexed: indexed.summary.document_id):
                yield from with_chunk_ids(list(tree))
        layers = self._rows(ACROSS, ["layer"]).group_by("layer").aggregate([([], "count_all")])
        for row in layers.sort_by("layer").to_pylist():
            for start in range(0, row["count_all"], READ_AT_ONCE):
                places = f"place >= {start} AND place < {start + READ_AT_ONCE}"
                yield from self.where(f"{ACROSS} AND layer = {row['layer']} AND {places}")

    def findable(self) -> tuple[list[FoundSummary], NDArray[np.float32]]:
        """Return every summary as questions find it, all scores being 0, and their vectors."""
        import numpy as np

        if self._table is None:
            return [], np.zeros((0, 0), np.float32)
        with purged_errors():
            rows = self._table.search().select([*FOUND_COLUMNS, "vector"]).to_arrow()
        return found_in(rows.drop_columns(["vector"])), vectors_of(rows)

    def of_document(self, document_id: str) -> list[IndexedSummary]:
        """Return the summaries of a document, the lowest layer first."""
        return with_chunk_ids(self.where(f"document_id = {sql_string(document_id)}"))

    def where(self, condition: str) -> list[IndexedSummary]:
        """Return summaries by trusted SQL, without ``chunk_ids``, in order."""
        if self._table is None:
            return []
        keys = [(key, "ascending") for key in ("document_id", "layer", "place")]
        return summaries_of(self._rows(condition).sort_by(keys))

    def matching(self, terms: str, limit: int) -> list[FoundSummary]:
        """Return the summaries that share words with ``terms``, best BM25 score first.

        None before they are indexed, which takes a moment after they are published.
        """
        query = self._matching(terms)
        return [] if query is None else self._found(query, "_score", limit)

    def scores(self, terms: str, limit: int) -> dict[str, float]:
        """Return the ids and the scores of what ``matching`` returns."""
        query = self._matching(terms)
        if query is None:
            return {}
        with purged_errors():
            rows = query.select(["summary_id", "_score"]).limit(limit).to_arrow()
        return dict(zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True))

    def _matching(self, terms: str) -> LanceQueryBuilder | None:
        from lancedb.query import MatchQuery

        if self._table is None or not self._table.list_indices():
            return None
        match = MatchQuery(terms, "text")  # type: ignore[call-arg] # its defaults are hidden
        return self._table.search(match, query_type="fts")

    def nearest(self, vector: NDArray[np.float32], limit: int) -> list[FoundSummary]:
        """Return the summaries of greatest cosine with ``vector``, best first; it is the score."""
        if self._table is None:
            return []
        found = self._found(nearest(self._table, vector, limit), "_distance", limit)
        return [replace(each, score=1 - each.score) for each in found]

    def _found(self, query: LanceQueryBuilder, score: str, limit: int) -> list[FoundSummary]:
        with purged_errors():
            rows = query.select([*FOUND_COLUMNS, score]).limit(limit).to_arrow()
        return found_in(rows, score)

    def _rows(self, condition: str, columns: list[str] | None = None) -> pa.Table:
        assert self._table is not None  # noqa: S101 - for the type checker
        query = self._table.search().where(condition)
        with purged_errors():
            return (query.select(columns) if columns else query).to_arrow()


def maintain(
    database: LanceDBConnection,
    generation: str,
    *,
    thorough: bool,
    keep_versions: timedelta | None = None,
) -> None:
    """Do the upkeep that is due for the summaries of a generation."""
    published, draft = (opened(database, name) for name in _names(generation))
    if published is not None:
        maintenance.maintain_summaries(published, thorough=thorough, keep_versions=keep_versions)
    if draft is not None:
        maintenance.compact_if_due(draft, thorough=thorough, keep_versions=keep_versions)


def purge(
    database: LanceDBConnection,
    generation: str,
    chunk_ids: Collection[str],
    keep_versions: timedelta,
) -> None:
    """Remove for good every summary of anything but these chunks, and what was removed before.

    Raises:
        TransientError: as ``purging.purge`` does.
    """
    tables = [table for name in _names(generation) if (table := opened(database, name))]
    stale = _stale(tables, chunk_ids)
    for table in tables:
        for some in _blocks(sorted(stale), IDS_AT_ONCE):
            _delete(table, is_any_of("summary_id", some))
        purging.purge(table, "tokens", maintenance.replace_summary_indexes, keep_versions)


def _stale(tables: Sequence[LanceTable], chunk_ids: Collection[str]) -> set[str]:
    """Return the ids of the summaries below which something is that is no more."""
    columns = ["summary_id", "layer", "children"]
    rows = [
        row
        for table in tables
        for row in table.search().select(columns).to_arrow().sort_by("layer").to_pylist()
    ]
    present = {row["summary_id"] for row in rows}.union(chunk_ids)
    stale: set[str] = set()
    for row in sorted(rows, key=lambda row: row["layer"]):
        if not present.issuperset(row["children"]):
            stale.add(row["summary_id"])
            present.discard(row["summary_id"])
    return stale


def _delete(table: LanceTable | None, where: str) -> int:
    """Delete rows; return how many there were."""
    if table is None:
        return 0

    def attempt() -> int:
        latest = maintenance.latest(table)
        count = latest.count_rows(where)
        if count:
            latest.delete(where)
        return count

    return committed(attempt, "removing summaries")


def _names(generation: str) -> tuple[str, str]:
    """Return the names of the tables of published and of kept summaries."""
    return f"{generation}.tree", f"{generation}.tree.draft"


def _readable(database: LanceDBConnection, name: str) -> LanceTable | None:
    """Open a table; one with other columns is as good as none."""
    table = opened(database, name)
    if table is None:
        return None
    version = (table.schema.metadata or {}).get(b"schema_version", b"").decode()
    return table if version == SCHEMA_VERSION else None


def _nothing() -> None:
    """Check nothing."""


def _blocks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
