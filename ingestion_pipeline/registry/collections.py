"""Collections in the registry, and the data versions of their stages.

Belongs here: creating, configuring and listing collections. Does not belong here: what a
configuration means (``model.collections``, ``stages``).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import Collection, CollectionConfig, CollectionName
from ingestion_pipeline.model.documents import ErrorInfo, Stage
from ingestion_pipeline.registry import multiset
from ingestion_pipeline.registry.database import Database, insert_if_missing, now
from ingestion_pipeline.registry.schema import collections, stage_versions
from ingestion_pipeline.registry.tasks import fail_open_tasks
from ingestion_pipeline.registry.transitions import TaskUpdate


class Collections:
    """The collections of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> Collection:
        """Return a collection.

        Raises:
            PermanentError: of kind ``not_found``.
        """
        found = self.find(key)
        if found is None:
            raise PermanentError(
                ErrorKind.NOT_FOUND,
                f"there is no collection {key!r}: create it with `ingest collections create {key}`",
            )
        return found

    def find(self, key: str) -> Collection | None:
        """Return a collection, None if there is none of that key."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(collections).where(collections.c.key == key)).first()
        return None if row is None else collection_of(row)

    def all(self) -> list[Collection]:
        """Return all collections, by key."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(collections).order_by(collections.c.key)).all()
        return [collection_of(row) for row in rows]

    def ensure(self, name: CollectionName) -> tuple[Collection, bool]:
        """Return the collection, created with the defaults if new, and whether it is new."""
        with self._database.write() as connection:
            created = _insert(connection, name, CollectionConfig())
        return self.get(name.key), created

    def create(self, name: CollectionName, config: CollectionConfig) -> Collection:
        """Create a collection.

        Raises:
            PermanentError: of kind ``invalid_option`` when it exists, ``not_found`` when it is to
                learn tags from a collection that does not.
        """
        with self._database.write() as connection:
            _require_teacher(connection, name.tenant, config)
            created = _insert(connection, name, config)
        if not created:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                f"collection {name.key!r} exists: change it with `ingest collections configure`",
            )
        return self.get(name.key)

    def configure(self, key: str, changes: dict[str, Any]) -> Collection:
        """Validate and apply configuration changes; None restores a default.

        Raises:
            PermanentError: of kind ``invalid_option``, or ``not_found`` as for ``create``.
        """
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(collections).where(collections.c.key == key).with_for_update()
            ).first()
            if row is not None:
                config = collection_of(row).config.updated(changes)
                _require_teacher(connection, row.tenant, config)
                connection.execute(
                    collections.update()
                    .where(collections.c.key == key)
                    .values(config=config.model_dump(mode="json", exclude_unset=True))
                )
        return self.get(key)

    def delete(self, name: CollectionName) -> list[TaskUpdate]:
        """Forget a collection with its documents, stages and claims.

        Its tasks remain; those that are open fail, for nobody will carry them out.
        """
        error = ErrorInfo(
            kind=ErrorKind.NOT_FOUND, message=f"the collection {name.key!r} was deleted"
        )
        with self._database.write() as connection:
            connection.execute(collections.delete().where(collections.c.key == name.key))
            return fail_open_tasks(connection, name, error)

    def data_version(self, key: str, stage: Stage) -> str:
        """Return a hash of which result of ``stage`` each document of the collection has."""
        with self._database.read() as connection:
            return version_of(connection, key, stage)


def version_of(connection: sa.Connection, key: str, stage: Stage) -> str:
    """Return the data version of a stage of a collection; see ``Collections.data_version``."""
    row = connection.execute(
        sa.select(stage_versions.c.multiset, stage_versions.c.documents).where(
            stage_versions.c.collection_key == key, stage_versions.c.stage == stage
        )
    ).first()
    return data_version(row.documents, row.multiset) if row else data_version(0, multiset.EMPTY)


def data_version(documents: int, multiset: str) -> str:
    """Return the data version of a stage, from its row of ``schema.stage_versions``."""
    return f"{documents}-{multiset[:32]}"


def _require_teacher(connection: sa.Connection, tenant: str, config: CollectionConfig) -> None:
    """Make sure that there is the collection that tags are to be learned from."""
    if config.enrichment.tags is None:
        return
    key = CollectionName(tenant, config.enrichment.tags).key
    if connection.scalar(sa.select(collections.c.key).where(collections.c.key == key)) is None:
        raise PermanentError(
            ErrorKind.NOT_FOUND,
            f"there is no collection {key!r} to learn tags from: create it first, and ingest texts "
            "with tags there",
        )


def _insert(connection: sa.Connection, name: CollectionName, config: CollectionConfig) -> bool:
    return insert_if_missing(
        connection,
        collections,
        key=name.key,
        tenant=name.tenant,
        name=name.name,
        config=config.model_dump(mode="json", exclude_unset=True),
        created_at=now(),
    )


def collection_of(row: sa.Row[Any]) -> Collection:
    """Return the collection of a row of ``schema.collections``."""
    return Collection(
        name=CollectionName(row.tenant, row.name),
        config=CollectionConfig.model_validate(row.config),
        created_at=row.created_at,
        searched_model=row.searched_model,
    )
