"""Sources in the registry: which there are, and what each held when it was last seen.

Belongs here: the durable position of every source. Does not belong here: looking at sources
(``storage``) and deciding what follows from a look (``tasks.following``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.registry.database import Database, insert_all_missing, now
from ingestion_pipeline.registry.documents import parts
from ingestion_pipeline.registry.schema import documents, source_files, sources

ON_THEIR_WAY = (DocumentState.PENDING, DocumentState.PROCESSING, DocumentState.INPUT)


@dataclass(frozen=True)
class SourceFile:
    """A file, object or page that a source held when it was last seen.

    ``signature`` changes when the content does. ``bytes`` is None where the source does not tell.
    A file that is ``missing`` was there and is not any more; ``confirmed`` says that a person
    agreed that it is to go.
    """

    uri: str
    document_id: str
    signature: str
    bytes: int | None = None
    missing: bool = False
    confirmed: bool = False


@dataclass(frozen=True)
class SourceRecord:
    """What is known of a source; times are seconds since the epoch."""

    name: str
    collection_key: str
    kind: str
    address: str
    looked_at: float | None
    complete_at: float | None
    problem: str | None
    files: int
    missing: int


class Sources:
    """The sources of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(self, name: str, collection_key: str, kind: str, address: str) -> None:
        """Register a source, or its new address.

        Raises:
            PermanentError: of kind ``invalid_option`` when it feeds another collection.
        """
        with self._database.write() as connection:
            insert_all_missing(
                connection,
                sources,
                [
                    {
                        "name": name,
                        "collection_key": collection_key,
                        "kind": kind,
                        "address": address,
                    }
                ],
            )
            mine = sources.c.name == name
            owner = connection.scalar(sa.select(sources.c.collection_key).where(mine))
            if owner != collection_key:
                raise PermanentError(
                    ErrorKind.INVALID_OPTION,
                    f"the source {name!r} feeds collection {owner!r}: give the one for "
                    f"{collection_key!r} another name, or `ingest sources forget {name}` first",
                )
            connection.execute(sources.update().where(mine).values(kind=kind, address=address))

    def all(self) -> list[SourceRecord]:
        """Return all sources, by name."""
        query = (
            sa.select(
                sources,
                sa.func.count(source_files.c.uri).label("files"),
                sa.func.count(source_files.c.missing_since).label("missing"),
            )
            .outerjoin(source_files, source_files.c.source == sources.c.name)
            .group_by(sources.c.name)
            .order_by(sources.c.name)
        )
        with self._database.read() as connection:
            return [SourceRecord(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - its documented name

    def files(self, name: str) -> list[SourceFile]:
        """Return what a source is known to hold, by URI."""
        query = sa.select(source_files).where(source_files.c.source == name)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = [
            SourceFile(
                row.uri,
                row.document_id,
                row.signature,
                row.bytes,
                row.missing_since is not None,
                row.confirmed,
            )
            for row in rows
        ]
        return sorted(found, key=lambda file: file.uri)

    def record(
        self,
        name: str,
        handed_over: Sequence[SourceFile],
        back: Sequence[str] = (),
        missing: Sequence[str] = (),
        *,
        complete: bool,
        problem: str | None,
    ) -> None:
        """Remember what a look at a source has shown; ``back`` was missing and is there again."""
        with self._database.write() as connection:
            mine = source_files.c.source == name
            for part in parts([file.uri for file in handed_over]):
                connection.execute(source_files.delete().where(mine, source_files.c.uri.in_(part)))
            if handed_over:
                connection.execute(
                    source_files.insert(), [_row(name, each) for each in handed_over]
                )
            for part in parts(back):
                connection.execute(
                    source_files.update()
                    .where(mine, source_files.c.uri.in_(part))
                    .values(missing_since=None, confirmed=False)
                )
            for part in parts(missing):
                connection.execute(
                    source_files.update()
                    .where(mine, source_files.c.uri.in_(part))
                    .values(missing_since=now())
                )
            seen = {"complete_at": now()} if complete else {}
            connection.execute(
                sources.update()
                .where(sources.c.name == name)
                .values(looked_at=now(), problem=problem, **seen)
            )

    def arriving(self, name: str) -> list[int | None]:
        """Return the sizes of what a source brought and no reader finds yet."""
        query = (
            sa.select(source_files.c.bytes)
            .join(documents, documents.c.document_id == source_files.c.document_id)
            .where(
                source_files.c.source == name,
                source_files.c.missing_since.is_(None),
                documents.c.state.in_(ON_THEIR_WAY),
                documents.c.index_table.is_(None),
            )
        )
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def removable(self, document_ids: Sequence[str]) -> list[str]:
        """Return which of the documents are there, and in no source any more."""
        held = (
            sa.select(sa.literal(1))
            .where(
                source_files.c.document_id == documents.c.document_id,
                source_files.c.missing_since.is_(None),
            )
            .exists()
        )
        query = sa.select(documents.c.document_id).where(
            documents.c.state != DocumentState.DELETED, ~held
        )
        with self._database.read() as connection:
            return [
                found
                for part in parts(document_ids)
                for found in connection.scalars(query.where(documents.c.document_id.in_(part)))
            ]

    def drop(self, name: str, uris: Collection[str]) -> None:
        """Forget files that a source held."""
        with self._database.write() as connection:
            for part in parts(sorted(uris)):
                connection.execute(
                    source_files.delete().where(
                        source_files.c.source == name, source_files.c.uri.in_(part)
                    )
                )

    def confirm(self, name: str) -> int:
        """Agree that what is missing now is to go; return how many files that are.

        Raises:
            PermanentError: of kind ``not_found``.
        """
        with self._database.write() as connection:
            _require(connection, name)
            return connection.execute(
                source_files.update()
                .where(source_files.c.source == name, source_files.c.missing_since.is_not(None))
                .values(confirmed=True)
            ).rowcount

    def forget(self, name: str) -> None:
        """Forget a source and what it held; its documents stay.

        Raises:
            PermanentError: of kind ``not_found``.
        """
        with self._database.write() as connection:
            _require(connection, name)
            connection.execute(sources.delete().where(sources.c.name == name))


def _row(name: str, file: SourceFile) -> dict[str, object]:
    return {
        "source": name,
        "uri": file.uri,
        "document_id": file.document_id,
        "signature": file.signature,
        "bytes": file.bytes,
        "missing_since": None,
        "confirmed": False,
    }


def _require(connection: sa.Connection, name: str) -> None:
    if connection.scalar(sa.select(sources.c.name).where(sources.c.name == name)) is None:
        raise PermanentError(
            ErrorKind.NOT_FOUND, f"there is no source {name!r}: see `ingest sources`"
        )
