"""Connections to where tables are kept, and which tables are there.

Belongs here: opening what a URI names, tables by their names. Does not belong here: what is in
them (``schema``, ``summaries``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, cast

from ingestion_pipeline.indexing.schema import belongs_to
from ingestion_pipeline.settings import library_default

if TYPE_CHECKING:
    from lancedb import Session
    from lancedb.db import LanceDBConnection
    from lancedb.table import LanceTable

_INDEX_BYTES = 1024**3
_METADATA_BYTES = 256 * 1024**2


class TableCache:
    """What is kept in memory of tables and their indexes, for all who share it: 1.25 GiB at most.

    A question to a table of which nothing is kept costs half as much again (measured with 60,000
    chunks).
    """

    @cached_property
    def session(self) -> Session:
        """LanceDB's own name for it; made when it is first needed."""
        import lancedb

        return lancedb.Session(_INDEX_BYTES, _METADATA_BYTES)


def connect(uri: str, cache: TableCache | None = None) -> LanceDBConnection:
    """Return a connection to a folder or an ``s3://`` URI; nothing is read yet."""
    library_default("LANCEDB_LOG", "error")  # it warns on stderr of each table it creates
    import lancedb

    # Of an object store nothing else need be said: AWS_ENDPOINT_URL may begin with http://.
    options = None if is_folder(uri) else {"allow_http": "true"}
    session = (cache or TableCache()).session
    connection = lancedb.connect(uri, storage_options=options, session=session)
    return cast("LanceDBConnection", connection)


def is_folder(uri: str) -> bool:
    """Whether tables are in a folder, not in an object store."""
    return "://" not in uri


def opened(database: LanceDBConnection, name: str) -> LanceTable | None:
    """Return the newest version of a table, None if there is no such table."""
    try:
        return database.open_table(name)
    except ValueError as error:
        if f"'{name}' was not found" not in str(error):
            raise
        return None


def tables_of(database: LanceDBConnection, table: str) -> Iterator[str]:
    """Yield the names of all tables of a collection, whatever they hold."""
    token: str | None = None
    while True:
        page = database.list_tables(page_token=token)
        yield from (name for name in page.tables if belongs_to(name, table))
        token = page.page_token
        if not token:
            return
