"""The registry's rows on their way into a backup and out of it.

Belongs here: all rows of one moment, what they refer to, and filling an empty database with them.
Does not belong here: where a backup keeps them (``tasks.backup``).

They travel as plain values, so that a backup of SQLite may be restored to PostgreSQL, and the other
way round; neither needs a program of its own for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.registry.collections import collection_of
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline.registry.revisions import (
    newest_revision,
    require_known,
    revision_of,
    upgrade,
)
from ingestion_pipeline.registry.schema import (
    claims,
    collections,
    copies,
    document_stages,
    document_versions,
    documents,
    metadata,
    runs,
    tasks,
)

ROWS_AT_ONCE = 5000

Row = dict[str, Any]


@dataclass(frozen=True)
class Referred:
    """What the registry says there is of a collection."""

    collection: Collection
    objects: frozenset[str]
    """Keys of source bytes, of all versions."""
    fingerprints: dict[str, set[str]]
    """Of the stored results of each document."""


class RegistrySnapshot:
    """The registry as it was at one moment."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        revision = revision_of(connection)
        require_known(revision)
        self.revision = revision or newest_revision()
        self.last_claim = _last_claim(connection)
        """The newest fencing token that was given out."""
        rows = connection.execute(sa.select(collections).order_by(collections.c.key)).all()
        self.collections = [collection_of(row) for row in rows]

    def rows(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield the rows of each table, some at a time; a table comes after those it refers to.

        Runs at work are left out: they are processes, and work on this registry alone.
        """
        for table in metadata.sorted_tables:
            if table is runs:
                continue
            found = self._connection.execute(
                sa.select(table), execution_options={"yield_per": ROWS_AT_ONCE}
            )
            for part in found.mappings().partitions(ROWS_AT_ONCE):
                yield table.name, [dict(row) for row in part]

    def referred(self) -> list[Referred]:
        """Return what there is of each collection."""
        return [self._referred(collection) for collection in self.collections]

    def _referred(self, collection: Collection) -> Referred:
        mine = documents.c.collection_key == collection.key
        keys = sa.union(
            sa.select(document_versions.c.object_key).join(documents).where(mine),
            sa.select(documents.c.object_key).where(mine, documents.c.object_key.is_not(None)),
        )
        results = (
            sa.select(documents.c.document_id, document_stages.c.fingerprint)
            .outerjoin(document_stages)
            .where(mine)
        )
        beside = sa.select(copies.c.document_id, copies.c.stages).join(documents).where(mine)
        fingerprints: dict[str, set[str]] = {}
        for document_id, fingerprint in self._connection.execute(results):
            recorded = fingerprints.setdefault(document_id, set())
            if fingerprint is not None:
                recorded.add(fingerprint)
        for document_id, stages in self._connection.execute(beside):
            fingerprints[document_id].update(fingerprint for _, fingerprint in stages.values())
        return Referred(collection, frozenset(self._connection.scalars(keys)), fingerprints)


@contextmanager
def snapshot(database: Database) -> Iterator[RegistrySnapshot]:
    """Read everything as it is at this moment; nobody waits for it."""
    with database.snapshot() as connection:
        yield RegistrySnapshot(connection)


def is_empty(database: Database) -> bool:
    """Whether the registry knows of no collection and no task, or there is none yet."""
    with database.read() as connection:
        there = sa.inspect(connection).get_table_names()
        return not any(
            connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
            for table in (collections, tasks)
            if table.name in there
        )


def fill(
    database: Database,
    revision: str,
    rows: Mapping[str, Iterable[list[Row]]],
    *,
    last_claim: int,
    age_seconds: float,
) -> None:
    """Fill an empty registry with the rows of another one, all of them in one transaction.

    The tables are made as the rows were read, of schema ``revision``, and then migrated. What has
    to end at some time gets the ``age_seconds`` that passed since; no publisher of before is left.

    Raises:
        PermanentError: of kind ``unavailable`` if a newer version of this program wrote the rows.
    """
    require_known(revision)
    with database.write() as connection:
        _drop_tables(connection)
        upgrade(connection, revision)
        tables = _tables_there(connection)
        for table in tables:
            for part in rows.get(table.name, ()):
                connection.execute(table.insert(), part)
        _continue_numbers(connection, tables, last_claim)
        upgrade(connection)
        deadline = tasks.c.deadline + age_seconds
        connection.execute(tasks.update().values(deadline=deadline))
        connection.execute(metadata.tables["publications"].update().values(returned=True))


def _drop_tables(connection: sa.Connection) -> None:
    there = {*sa.inspect(connection).get_table_names()}
    found = sa.MetaData()
    names = [name for name in (*metadata.tables, "alembic_version") if name in there]
    found.reflect(connection, only=names)
    found.drop_all(connection)


def _tables_there(connection: sa.Connection) -> list[sa.Table]:
    """Return the tables as they are; one comes after those it refers to."""
    found = sa.MetaData()
    found.reflect(connection)
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, sa.JSON):
                column.type = sa.JSON(none_as_null=True)
    return found.sorted_tables


def _last_claim(connection: sa.Connection) -> int:
    if connection.dialect.name == "sqlite":
        query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'claims'")
    else:
        query = sa.text(f"SELECT last_value FROM {_sequence(connection, claims)}")  # noqa: S608
    return connection.scalar(query) or 0


def _continue_numbers(
    connection: sa.Connection, tables: Sequence[sa.Table], last_claim: int
) -> None:
    """Have numbers that the database gives out go on: fencing tokens must never come again."""
    if connection.dialect.name == "sqlite":
        # The other numbers go on after the greatest that is there.
        table = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
        connection.execute(table.delete().where(table.c.name == claims.name))
        connection.execute(table.insert().values(name=claims.name, seq=last_claim))
        return
    for table in tables:
        column, *others = table.primary_key
        if others or column.server_default is None:
            continue
        greatest = connection.scalar(sa.select(sa.func.max(column))) or 0
        last = max(greatest, last_claim if table.name == claims.name else 0)
        sequence = sa.func.setval(_sequence(connection, table), max(last, 1), last > 0)
        connection.execute(sa.select(sequence))


def _sequence(connection: sa.Connection, table: sa.Table) -> str:
    (column,) = table.primary_key
    sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
    return str(connection.scalar(sa.select(sequence)))
