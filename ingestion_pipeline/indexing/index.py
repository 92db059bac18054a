"""The index of a collection: published atomically, read in snapshots.

Belongs here: opening, creating, publishing and dropping tables of chunks. Does not belong here:
queries (``snapshot``), summaries, graphs, upkeep (``maintenance``, ``purging``), leases (the
caller's ``before_commit``).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from ingestion_pipeline.indexing import graphs, maintenance, purging, summaries
from ingestion_pipeline.indexing.commits import committed, storage_errors
from ingestion_pipeline.indexing.connection import (
    TableCache,
    connect,
    is_folder,
    opened,
    tables_of,
)
from ingestion_pipeline.indexing.rows import Rows
from ingestion_pipeline.indexing.schema import (
    IndexedDocument,
    document_rows,
    is_any_of,
    is_generation,
    require_sound,
    table_name,
    table_schema,
)
from ingestion_pipeline.indexing.snapshot import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.db import LanceDBConnection
    from lancedb.table import LanceTable


Turns = Callable[[str], AbstractContextManager[None]]
"""Lets one process at a time, on whatever host, into blocks of a name."""


def _nothing() -> None:
    """Check nothing before a commit."""


def _at_once(_name: str) -> AbstractContextManager[None]:
    """Let everybody in, for who has a bucket alone."""
    return nullcontext()


class CollectionIndex:
    """What readers query of one collection, for one embedding model.

    ``uri`` is a folder or ``s3://`` URI, ``table`` the collection's table name, ``fingerprint`` the
    identity of the embedding model. Another fingerprint is another table, a *generation*; which one
    is searched, the registry says. ``turns`` is for an object store that several processes publish
    to; ``cache`` for who makes several of these; ``keep_versions`` the age from which on upkeep
    removes older versions (an hour). May be shared by threads, not by a fork.
    """

    def __init__(
        self,
        uri: str,
        table: str,
        fingerprint: str,
        turns: Turns = _at_once,
        cache: TableCache | None = None,
        keep_versions: timedelta | None = None,
    ) -> None:
        self.uri = uri
        self.table = table
        self.fingerprint = fingerprint
        self.name = table_name(table, fingerprint)
        self._turns = turns
        self._cache = cache
        self._keep_versions = keep_versions

    def connect(self) -> None:
        """Load what opens tables now, rather than when it is first needed: it takes a second."""
        self.database  # noqa: B018

    def publish(
        self,
        documents: Sequence[IndexedDocument],
        removed: Collection[str] = (),
        before_commit: Callable[[], None] = _nothing,
    ) -> int:
        """Make ``documents`` visible and ``removed`` ids invisible, in one commit.

        All older rows of exactly these documents disappear in the same commit. The commit also
        rewrites the sentinel row: without it two publications of one *new* document touch no common
        row, and both would survive. ``before_commit`` is called before every attempt, also where
        there is nothing to write, and may raise to prevent it; LanceDB's own redoing of a lost
        race, within an attempt, it cannot stop.

        Returns:
            The new version of the table, 0 if there is no table and nothing to publish.

        Raises:
            TransientError: of kind ``unavailable`` if other writers came first again and again, or
                the storage does not answer.
            PermanentError: of kind ``internal`` if vectors do not fit their chunks or the table.
        """
        replaced = {document.document_id for document in documents} | set(removed)

        def attempt() -> int:
            table = self._open()
            if table is None:
                if not any(document.chunks for document in documents):
                    before_commit()
                    return 0
                table = self._create(dimension=int(documents[0].vectors.shape[1]))
            return _replace(table, documents, replaced, before_commit)

        with storage_errors(self.uri):
            return committed(attempt, f"publishing {len(replaced)} documents")

    def snapshot(self) -> Snapshot:
        """Return the newest version of the table, to read from."""
        with storage_errors(self.uri):
            return Snapshot(self._open())

    def maintain(self, *, thorough: bool = False) -> maintenance.Maintenance:
        """Compact, index and prune where the table's statistics say that it pays, or anyway.

        Raises:
            TransientError: if other writers came first again and again.
        """
        with storage_errors(self.uri):
            keep = self._keep_versions
            summaries.maintain(self.database, self.name, thorough=thorough, keep_versions=keep)
            graphs.maintain(self.database, self.name, thorough=thorough, keep_versions=keep)
            return maintenance.maintain(self._open(), thorough=thorough, keep_versions=keep)

    def stored(self) -> maintenance.Stored:
        """Return what all tables of the collection take, of every generation."""
        return stored_of(self.uri, self.table)

    def drop_others(self, but: Collection[str] = ()) -> int:
        """Drop the tables of other embedding models, but those named; return how many there were.

        To be called when every document of the collection is in this one.
        """
        keep = (self.name, *but)
        names = tables_of(self.database, self.table)
        return _drop(self.database, [name for name in names if not name.startswith(keep)])

    @cached_property
    def database(self) -> LanceDBConnection:
        """Where the tables are."""
        return connect(self.uri, self._cache)

    def _open(self) -> LanceTable | None:
        return opened(self.database, self.name)

    def _create(self, dimension: int) -> LanceTable:
        """Create the table with its sentinel and its indexes, or open it if another was faster.

        LanceDB's creation is not atomic: of two at once, the later replaces what was published in
        between (one time in seven, measured). In a folder the table is therefore made under another
        name and moved into place, which only one can do. An object store cannot move; there,
        processes take turns.
        """
        rows = list(document_rows([], table_schema(dimension, self.fingerprint)))
        if is_folder(self.uri):
            draft = f"{self.name}.{uuid4().hex}"
            self._create_table(draft, rows)
            self._move_into_place(draft)
        else:
            with self._turns(f"create {self.name}"):
                if self._open() is None:
                    self._create_table(self.name, rows)
        return self.database.open_table(self.name)

    def _create_table(self, name: str, rows: list[pa.RecordBatch]) -> None:
        table = self.database.create_table(name, rows, on_bad_vectors="null")
        maintenance.create_missing_indexes(table)

    def _move_into_place(self, draft: str) -> None:
        folder = Path(self.uri)
        try:
            (folder / f"{draft}.lance").rename(folder / f"{self.name}.lance")
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                raise
            self.database.drop_table(draft)


def check_readable(uri: str) -> None:
    """Make sure that tables can be looked up.

    Raises:
        TransientError: of kind ``unavailable`` when they cannot.
    """
    with storage_errors(uri):
        connect(uri).list_tables(limit=1)


def drop_collection(uri: str, table: str, *, dry_run: bool = False) -> int:
    """Drop every generation of a collection's table, and all beside it; return how many.

    In a ``dry_run`` all of them stay.
    """
    database = connect(uri)
    names = list(tables_of(database, table))
    return sum(map(is_generation, names)) if dry_run else _drop(database, names)


def stored_of(uri: str, table: str) -> maintenance.Stored:
    """Return what every generation of a collection's table takes, with all beside it."""
    with storage_errors(uri):
        database = connect(uri)
        return maintenance.stored(database, uri, list(tables_of(database, table)))


def purge_collection(
    uri: str,
    table: str,
    removed: Collection[str] = (),
    keep_versions: timedelta = purging.AT_ONCE,
) -> int:
    """Remove for good what is no longer visible, and ``removed`` documents, from all generations.

    Afterwards no file holds text, words, names or vectors of documents that were removed before,
    nor a summary or a graph of what is no longer visible, except: versions younger than
    ``keep_versions``; and what commits that failed or were killed left behind, for an hour in a
    folder, for 7 days in an object store. It rewrites the tables and their indexes: its cost is
    that of the collection, not of the documents. Publications go on beside it; who reads an older
    version than is kept gets a ``TransientError`` and asks again.

    Returns:
        How many generations there were.

    Raises:
        TransientError: of kind ``unavailable`` if other writers came first again and again, or the
            storage does not answer; what was done stays done, and all of it may be done again.
    """
    with storage_errors(uri):
        database = connect(uri)
        names = [name for name in tables_of(database, table) if is_generation(name)]
        for name in names:
            generation = database.open_table(name)
            _purge(generation, removed, keep_versions)
            chunk_ids = Snapshot(maintenance.latest(generation)).leaf_ids()
            summaries.purge(database, name, chunk_ids, keep_versions)
            graphs.purge(database, name, chunk_ids, keep_versions)
    return len(names)


def _drop(database: LanceDBConnection, names: Sequence[str]) -> int:
    """Drop tables; return how many generations were among them."""
    for name in names:
        database.drop_table(name, ignore_missing=True)
    return sum(map(is_generation, names))


def _purge(table: LanceTable, removed: Collection[str], keep_versions: timedelta) -> None:
    if removed:
        committed(
            lambda: _replace(maintenance.latest(table), [], removed, _nothing),
            f"removing {len(removed)} documents",
        )
    purging.purge(table, "fence", maintenance.replace_indexes, keep_versions)


def _replace(
    table: LanceTable,
    documents: Sequence[IndexedDocument],
    replaced: Collection[str],
    before_commit: Callable[[], None],
) -> int:
    schema = table.schema
    require_sound(documents, schema.field("vector").type.list_size)
    before_commit()
    merge = table.merge_insert("chunk_id")
    merge.when_matched_update_all().when_not_matched_insert_all()
    merge.when_not_matched_by_source_delete(is_any_of("document_id", replaced))
    rows = Rows(document_rows(documents, schema))
    with rows.errors():
        # Only the sentinel has no vector; all others are sound.
        return int(merge.execute(rows.reader(schema), on_bad_vectors="null").version)
