"""Forgetting what is over: tasks that ended, and the log of what they did.

Belongs here: rows that only tell of the past, and reports about them. Does not belong here: what
documents have (``upkeep``), and how long it is kept (``tasks``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from ingestion_pipeline.model.tasks import FINAL_STATES, TaskState
from ingestion_pipeline.registry.database import Database, now
from ingestion_pipeline.registry.schema import operations, task_messages, tasks

ROWS_AT_ONCE = 500
"""That one transaction removes, so that others wait for milliseconds."""


@dataclass(frozen=True)
class Forgotten:
    """How many rows went, or would."""

    tasks: int
    messages: int
    operations: int


@dataclass(frozen=True)
class FailedTasks:
    """How many tasks failed for a reason."""

    error_kind: str
    lately: int
    total: int


class Retention:
    """What one registry keeps of the past."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def forget(self, older_than: float, *, dry_run: bool = False) -> Forgotten:
        """Forget tasks that ended ``older_than`` seconds ago, with their messages and log rows.

        Tasks that are not final stay, however old. A message with the id of a task that is
        forgotten counts as a new one.
        """
        forgotten = messages = 0
        for ids in self._ended_tasks(older_than):
            forgotten += len(ids)
            with self._database.read() as connection:
                said = sa.select(sa.func.count()).where(task_messages.c.task_id.in_(ids))
                messages += connection.scalar(said) or 0
            if not dry_run:
                with self._database.write() as connection:
                    connection.execute(
                        tasks.delete().where(tasks.c.task_id.in_(ids), _ended(older_than))
                    )
        return Forgotten(forgotten, messages, self._forget_operations(older_than, dry_run))

    def failed_tasks(self, within: float) -> list[FailedTasks]:
        """Count failed tasks by their reasons, in the last ``within`` seconds and altogether."""
        kind = sa.func.coalesce(tasks.c.error_kind, "")
        lately = sa.func.count().filter(tasks.c.finished_at > now() - sa.literal(within))
        query = (
            sa.select(kind, lately, sa.func.count())
            .where(tasks.c.state.in_((TaskState.FAILED, TaskState.TIMEOUT)))
            .group_by(kind)
            .order_by(sa.func.count().desc(), kind)
        )
        with self._database.read() as connection:
            return [FailedTasks(*row) for row in connection.execute(query)]

    def _ended_tasks(self, older_than: float) -> Iterator[list[str]]:
        """Yield the ids of tasks that ended long ago, some at a time."""
        last = ""
        while True:
            query = (
                sa.select(tasks.c.task_id)
                .where(_ended(older_than), tasks.c.task_id > last)
                .order_by(tasks.c.task_id)
                .limit(ROWS_AT_ONCE)
            )
            with self._database.read() as connection:
                ids = list(connection.scalars(query))
            if not ids:
                return
            yield ids
            last = ids[-1]

    def _forget_operations(self, older_than: float, dry_run: bool) -> int:
        ended = operations.c.began_at + operations.c.seconds
        old = ended <= now() - sa.literal(older_than)
        with self._database.read() as connection:
            ids = list(connection.scalars(sa.select(operations.c.operation_id).where(old)))
        for start in range(0, 0 if dry_run else len(ids), ROWS_AT_ONCE):
            part = ids[start : start + ROWS_AT_ONCE]
            with self._database.write() as connection:
                connection.execute(operations.delete().where(operations.c.operation_id.in_(part)))
        return len(ids)


def _ended(older_than: float) -> sa.ColumnElement[bool]:
    return tasks.c.state.in_(FINAL_STATES) & (tasks.c.finished_at <= now() - sa.literal(older_than))
