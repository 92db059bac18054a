"""The connection to the registry's database: engine, transactions, clock.

Belongs here: what differs between SQLite and PostgreSQL. Does not belong here: tables
(``schema``), their versions (``revisions``) and queries (the modules beside this one).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.registry.revisions import (
    newest_revision,
    require_known,
    revision_of,
    upgrade,
)

BUSY_TIMEOUT_SECONDS = 30
STALLED_SECONDS = 60


class now(ColumnElement[float]):  # noqa: N801 - reads as the SQL function it compiles to
    """Seconds since the epoch by the database's clock, the only clock that leases go by."""

    type = sa.Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_on_sqlite(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_on_postgresql(*_: Any, **__: Any) -> str:
    return "extract(epoch from clock_timestamp())"


class Database:
    """Transactions on one database; safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Prepare the connection; nothing is connected before the first transaction.

        Raises:
            PermanentError: of kind ``invalid_option`` if the URL cannot be understood,
                ``dependency_missing`` if its driver is not installed.
        """
        try:
            self._engine = self._open(url)
        except sa.exc.ArgumentError:  # no cause: it may hold the password
            message = "INGEST_DATABASE_URL is not a URL of SQLite or PostgreSQL"
            raise PermanentError(ErrorKind.INVALID_OPTION, message) from None
        except ModuleNotFoundError as error:
            message = f"the registry's database needs the package {error.name}: install it"
            raise PermanentError(ErrorKind.DEPENDENCY_MISSING, message) from error

    def _open(self, url: str) -> sa.Engine:
        address = sa.make_url(url)
        if address.drivername == "postgresql":
            # SQLAlchemy 2.1 takes psycopg 3 for the bare name; the postgres extra brings psycopg2.
            address = address.set(drivername="postgresql+psycopg2")
        self.is_sqlite = address.get_backend_name() == "sqlite"
        if self.is_sqlite and address.database:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = (
            {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}}
            if self.is_sqlite
            else {"executemany_mode": "values_plus_batch"}  # one round trip also for many updates
        )
        engine = sa.create_engine(address, pool_pre_ping=not self.is_sqlite, **options)
        if self.is_sqlite:
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction that may write.

        On SQLite it takes the write lock at once (``BEGIN IMMEDIATE``): the standard driver takes
        no lock at the first SELECT, so reading and then updating would not be atomic.
        """
        with self._connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads, without waiting for writers."""
        with self._connect() as connection:
            reader = connection.execution_options(read_only=True)
            with reader.begin():
                yield reader

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads, and sees all as it was at the first thing it read."""
        # A transaction of SQLite with a write-ahead log always does.
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._connect() as connection:
            reader = connection.execution_options(read_only=True, **level)
            with reader.begin():
                yield reader

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            where = self._engine.url.render_as_string(hide_password=True)
            raise TransientError(
                ErrorKind.UNAVAILABLE, f"the registry at {where} does not answer: {error.orig}"
            ) from error

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Let one process at a time, on whatever host, into blocks of this name.

        Blocks take seconds. PostgreSQL ends the turn of a process that was stopped, or whose host
        is gone, after ``STALLED_SECONDS``; such a process learns of it when it leaves the block.
        """
        with self.write() as connection:
            if not self.is_sqlite:
                limit = sa.func.set_config(
                    "idle_in_transaction_session_timeout", f"{STALLED_SECONDS * 1000:g}ms", True
                )
                connection.execute(sa.select(limit))
            lock_names(connection, [name])
            yield

    def migrate(self) -> None:
        """Bring the schema to the newest version; safe when several processes start at once.

        Raises:
            PermanentError: of kind ``unavailable`` if a newer version of this program wrote it.
        """
        with self._connect() as connection, connection.begin():
            if not self.is_sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(4207849484)"))
            revision = revision_of(connection)
            require_known(revision)
            if revision != newest_revision():
                upgrade(connection)

    def dispose(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()


def insert_if_missing(connection: sa.Connection, table: sa.Table, **values: Any) -> bool:
    """Insert a row unless its primary key is taken, also by a transaction that commits meanwhile.

    Returns whether the row is new.
    """
    statement = insert_into(connection, table).values(**values).on_conflict_do_nothing()
    return connection.execute(statement).rowcount > 0


def insert_all_missing(
    connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]], **values: Any
) -> None:
    """Insert those of the rows whose primary keys are not taken; ``values`` are alike in all."""
    if rows:
        connection.execute(
            insert_into(connection, table).values(**values).on_conflict_do_nothing(), rows
        )


def insert_into(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that can say what becomes of rows whose primary keys are taken."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def lock_names(connection: sa.Connection, names: Iterable[str]) -> None:
    """Have transactions that lock the same names follow each other, whether or not rows exist.

    On SQLite all writers follow each other anyway.
    """
    if connection.dialect.name == "sqlite":
        return
    ordered = sa.cast(sorted(set(names)), postgresql.ARRAY(sa.Text))
    name = sa.func.unnest(ordered).column_valued("name")
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))


def _prepare_sqlite(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
