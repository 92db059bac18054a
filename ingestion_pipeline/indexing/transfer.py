"""Tables on their way into a backup and out of it, as rows.

Belongs here: which tables of a collection count, their rows at one version, making tables of rows.
Does not belong here: where a backup keeps them (``tasks.backup``).

Rows, not files: a table's folder also holds old versions, deleted rows and indexes. So a backup
has what readers find, and nothing else; and it may be restored to a folder or a bucket alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.indexing import graphs, maintenance, pins, summaries
from ingestion_pipeline.indexing.commits import purged_errors, storage_errors
from ingestion_pipeline.indexing.connection import connect, opened, tables_of
from ingestion_pipeline.indexing.rows import READ_AT_ONCE, Rows
from ingestion_pipeline.indexing.schema import is_generation, is_unfinished

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.db import LanceDBConnection
    from lancedb.table import LanceTable


class PinnedTable:
    """One version of a table, which stays until it is released."""

    def __init__(self, table: LanceTable) -> None:
        self.name = table.name
        self._table = table
        self._pin = pins.pin(table)

    def parts(self, most_rows: int) -> Iterator[pa.Table]:
        """Yield all rows, so many at a time, and at least one table, of none.

        Raises:
            TransientError: of kind ``unavailable`` if the table was dropped meanwhile.
        """
        import pyarrow as pa

        schema = self._table.schema
        held = [schema.empty_table()]
        with purged_errors():
            for batch in self._table.search().to_batches(READ_AT_ONCE):
                held.append(pa.Table.from_batches([batch]).cast(schema))
                if sum(map(len, held)) >= most_rows:
                    yield pa.concat_tables(held)
                    held = []
        if held:
            yield pa.concat_tables(held)

    def release(self) -> None:
        """Let the version go."""
        self._pin.release()


@contextmanager
def pinned(uri: str, tables: Iterable[str]) -> Iterator[list[PinnedTable]]:
    """Pin everything that readers of collections find now, by the names of their tables.

    Raises:
        TransientError: of kind ``unavailable`` when a table is dropped in this moment, or the
            storage does not answer.
    """
    with ExitStack() as stack:
        found: list[PinnedTable] = []
        with storage_errors(uri):
            database = connect(uri)
            for table in tables:
                for name in _names(database, table):
                    found.append(PinnedTable(_open(database, name)))
                    stack.callback(found[-1].release)
        yield found


def create(uri: str, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """Create a table of rows.

    Raises:
        TransientError: if the storage does not answer.
    """
    rows = Rows(batches)
    with storage_errors(uri), rows.errors():
        connect(uri).create_table(name, rows.reader(schema), on_bad_vectors="null")


def index_all(uri: str, table: str) -> None:
    """Build every index of a collection's tables, and compact what was made in many parts."""
    with storage_errors(uri):
        database = connect(uri)
        for name in [name for name in tables_of(database, table) if is_generation(name)]:
            maintenance.maintain(database.open_table(name), thorough=True)
            summaries.maintain(database, name, thorough=True)
            graphs.maintain(database, name, thorough=True)


def holds_tables(uri: str) -> bool:
    """Whether there is any table."""
    with storage_errors(uri):
        return bool(connect(uri).list_tables(limit=1).tables)


def _names(database: LanceDBConnection, table: str) -> list[str]:
    """Return the tables of a collection that count: none half made, and no replaced graph."""
    names = [name for name in tables_of(database, table) if not is_unfinished(name)]
    replaced = {
        name
        for generation in filter(is_generation, names)
        for name in graphs.replaced(database, generation)
    }
    return [name for name in names if name not in replaced]


def _open(database: LanceDBConnection, name: str) -> LanceTable:
    table = opened(database, name)
    if table is None:
        raise TransientError(ErrorKind.UNAVAILABLE, f"the table {name} was dropped meanwhile")
    return table
