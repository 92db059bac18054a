"""The operation log: one row for each task that ended, the newest of each collection kept.

Belongs here: reading the log. ``transitions`` writes a row in the transaction that ends a
task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline.registry.schema import documents, operations, task_messages, tasks

KEPT_PER_COLLECTION = 1000
TASKS_PER_QUERY = 500
SUFFIX_CHARACTERS = 32
PIPELINE = "general"
"""The way through the five stages; there is no other yet."""


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
    name: str | None
    suffix: str | None
    source: str | None
    pipeline: str | None
    messages: str | None
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


def log_ended_tasks(connection: sa.Connection, task_ids: Sequence[str]) -> None:
    """Write one row for each of the tasks, which have just ended, and trim the log."""
    for start in range(0, len(task_ids), TASKS_PER_QUERY):
        part = task_ids[start : start + TASKS_PER_QUERY]
        query = (
            sa.select(tasks, documents.c.name, documents.c.uri)
            .outerjoin(documents, documents.c.document_id == tasks.c.document_id)
            .where(tasks.c.task_id.in_(part))
        )
        ended = {row.task_id: row for row in connection.execute(query)}
        said = _messages(connection, part)
        rows = [_entry(ended[task_id], said.get(task_id, [])) for task_id in part]
        connection.execute(operations.insert(), rows)
        for tenant, collection in {(row.tenant, row.collection) for row in ended.values()}:
            _trim(connection, tenant, collection)


def _entry(row: sa.Row[Any], messages: Sequence[str]) -> dict[str, Any]:
    name = row.name
    suffix = PurePath(name).suffix[1 : SUFFIX_CHARACTERS + 1].lower() if name else None
    return {
        "task_id": row.task_id,
        "type": row.type,
        "collection": row.collection,
        "tenant": row.tenant,
        "document_id": row.document_id,
        "state": row.state,
        "progress": row.progress,
        "tokens": row.tokens,
        "error_message": row.error_message,
        "name": name,
        "suffix": suffix,
        "source": row.uri,
        "pipeline": row.options.get("pipeline", PIPELINE),
        "messages": "\n".join(messages),
        "began_at": row.started_at or row.created_at,
        "seconds": row.finished_at - (row.started_at or row.finished_at),
    }


def _messages(connection: sa.Connection, task_ids: Sequence[str]) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {}
    query = (
        sa.select(task_messages.c.task_id, task_messages.c.text)
        .where(task_messages.c.task_id.in_(task_ids))
        .order_by(task_messages.c.message_id)
    )
    for task_id, text in connection.execute(query):
        said.setdefault(task_id, []).append(text)
    return said


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
