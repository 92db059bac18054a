"""The operation log: one row for each task that ended, the newest of each collection kept.

Belongs here: reading the log. Rows are written by ``tasks`` in the transaction that ends a task.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline.registry.schema import operations, tasks

KEPT_PER_COLLECTION = 1000


@dataclass(frozen=True)
class Operation:
    """What one task did. Times are seconds since the epoch."""

    task_id: str
    type: str
    collection: str
    tenant: str
    document_id: str | None
    state: str
    progress: float
    tokens: int
    error_message: str | None
    began_at: float
    seconds: float


class Operations:
    """The operation log of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, name: CollectionName, limit: int = KEPT_PER_COLLECTION) -> list[Operation]:
        """Return the newest operations of a collection, newest first."""
        columns = [operations.c[field] for field in Operation.__dataclass_fields__]
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(*columns)
                .where(operations.c.tenant == name.tenant, operations.c.collection == name.name)
                .order_by(operations.c.operation_id.desc())
                .limit(limit)
            ).all()
        return [Operation(*row) for row in rows]


def log_ended_tasks(connection: sa.Connection, task_ids: list[str]) -> None:
    """Write one row for each of the tasks, which have just ended, and trim the log."""
    seconds = tasks.c.finished_at - sa.func.coalesce(tasks.c.started_at, tasks.c.finished_at)
    connection.execute(
        operations.insert().from_select(
            [
                "task_id",
                "type",
                "collection",
                "tenant",
                "document_id",
                "state",
                "progress",
                "tokens",
                "error_message",
                "began_at",
                "seconds",
            ],
            sa.select(
                tasks.c.task_id,
                tasks.c.type,
                tasks.c.collection,
                tasks.c.tenant,
                tasks.c.document_id,
                tasks.c.state,
                tasks.c.progress,
                tasks.c.tokens,
                tasks.c.error_message,
                sa.func.coalesce(tasks.c.started_at, tasks.c.created_at),
                seconds,
            ).where(tasks.c.task_id.in_(task_ids)),
        )
    )
    owners = connection.execute(
        sa.select(tasks.c.tenant, tasks.c.collection)
        .where(tasks.c.task_id.in_(task_ids))
        .distinct()
    ).all()
    for tenant, collection in owners:
        _trim(connection, tenant, collection)


def _trim(connection: sa.Connection, tenant: str, collection: str) -> None:
    mine = (operations.c.tenant == tenant) & (operations.c.collection == collection)
    newest_to_go = (
        sa.select(operations.c.operation_id)
        .where(mine)
        .order_by(operations.c.operation_id.desc())
        .offset(KEPT_PER_COLLECTION)
        .limit(1)
        .scalar_subquery()
    )
    connection.execute(operations.delete().where(mine, operations.c.operation_id <= newest_to_go))
