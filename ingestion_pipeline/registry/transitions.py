"""The legal transitions of a task, by compare-and-set: the one place where its state changes.

Belongs here: starting, asking, ending, and what each says. Does not belong here: when to do so
(``claims``, ``results``, ``withdrawal``, ``tasks``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import Ask, ErrorKind
from ingestion_pipeline.model.documents import ErrorInfo, Stage
from ingestion_pipeline.model.tasks import Backend, TaskState, TaskType
from ingestion_pipeline.registry.database import now
from ingestion_pipeline.registry.documents import CHUNK
from ingestion_pipeline.registry.operations import log_ended_tasks
from ingestion_pipeline.registry.schema import documents, task_documents, task_messages, tasks

LEGAL_SOURCES: dict[TaskState, tuple[TaskState, ...]] = {
    TaskState.WAITING: (TaskState.FAILED, TaskState.TIMEOUT),
    TaskState.RUNNING: (TaskState.WAITING, TaskState.RUNNING, TaskState.INPUT),
    TaskState.INPUT: (TaskState.RUNNING,),
    TaskState.SUCCEEDED: (TaskState.WAITING, TaskState.RUNNING),
    TaskState.FAILED: (TaskState.WAITING, TaskState.RUNNING, TaskState.INPUT),
    TaskState.CANCELED: (TaskState.WAITING, TaskState.RUNNING, TaskState.INPUT),
    TaskState.TIMEOUT: (TaskState.WAITING, TaskState.RUNNING, TaskState.INPUT),
}
"""For each state, the states a task may come from. Only a person's retry leads out of a final one,
and nothing out of ``succeeded`` and ``canceled``.
"""


@dataclass(frozen=True)
class TaskUpdate:
    """Something that happened to a task, to be told to those who watch it."""

    task_id: str
    state: TaskState
    progress: float
    stage: Stage | None
    message: str


def start_tasks(
    connection: sa.Connection,
    task_ids: Sequence[str],
    run_id: str,
    backend: Backend,
    timeout_seconds: float,
) -> list[TaskUpdate]:
    """Move tasks to running, as work of a run; the time they have begins with the first one."""
    deadline = sa.case(
        (tasks.c.state == TaskState.INPUT, now() + timeout_seconds),  # it held the answer's until
        else_=sa.func.coalesce(tasks.c.deadline, now() + timeout_seconds),
    )
    started = _transition(
        connection,
        task_ids,
        TaskState.RUNNING,
        run_id=run_id,
        backend=backend,
        attempts=tasks.c.attempts + 1,
        started_at=sa.func.coalesce(tasks.c.started_at, now()),
        deadline=deadline,
        question=None,
    )
    return tell(connection, started, f"Task has been received by run {run_id}.")


def ask(
    connection: sa.Connection,
    task_ids: Sequence[str],
    asks: Ask,
    doubt: ErrorInfo,
    timeout_seconds: float,
) -> list[TaskUpdate]:
    """Have tasks wait for a person's answer."""
    asking = _transition(
        connection,
        task_ids,
        TaskState.INPUT,
        question={"asks": asks, "kind": doubt.kind, "message": doubt.message},
        deadline=now() + timeout_seconds,
    )
    return tell(connection, asking, f"[INPUT] {asks}: {doubt.message}")


def go_on(connection: sa.Connection, task_ids: Sequence[str], message: str) -> list[TaskUpdate]:
    """Have tasks that waited for an answer run on; the first answer wins."""
    going = connection.scalars(
        tasks.update()
        .where(tasks.c.task_id.in_(task_ids), tasks.c.state == TaskState.INPUT)
        .values(state=TaskState.RUNNING, question=None, deadline=None)
        .returning(tasks.c.task_id)
    ).all()
    return tell(connection, going, message)


def reopen(connection: sa.Connection, task_ids: Sequence[str]) -> list[TaskUpdate]:
    """Have tasks that did not succeed wait for a run again."""
    reopened = _transition(
        connection,
        task_ids,
        TaskState.WAITING,
        progress=0.0,
        error_kind=None,
        error_message=None,
        finished_at=None,
        deadline=None,
    )
    return tell(connection, reopened, "Task is queued once more.")


def end(
    connection: sa.Connection,
    task_ids: Sequence[str],
    state: TaskState,
    message: str = "",
    error: ErrorInfo | None = None,
    tokens: int = 0,
) -> list[TaskUpdate]:
    """End tasks, those from which it is legal; an error is their last message."""
    values: dict[str, Any] = {
        "finished_at": now(),
        "tokens": tokens,
        "question": None,
        "deadline": None,
    }
    if state is TaskState.SUCCEEDED:
        values["progress"] = 1.0
    if error is not None:
        values |= {"error_kind": error.kind, "error_message": error.message}
        message = f"[ERROR] {error.kind}: {error.message}"
    ended = _transition(connection, task_ids, state, **values)
    updates = tell(connection, ended, message)
    log_ended_tasks(connection, ended)
    return updates


def settle_tasks(connection: sa.Connection, task_ids: Sequence[str]) -> list[TaskUpdate]:
    """End those of the tasks whose documents are all done, and bring the others' progress up."""
    updates: list[TaskUpdate] = []
    for start in range(0, len(task_ids), CHUNK):
        updates += _settle(connection, task_ids[start : start + CHUNK])
    return updates


def tell(
    connection: sa.Connection, task_ids: Sequence[str], message: str, stage: Stage | None = None
) -> list[TaskUpdate]:
    """Note a message on tasks and return it as what is to be told."""
    updates: list[TaskUpdate] = []
    for start in range(0, len(task_ids), CHUNK):
        part = task_ids[start : start + CHUNK]
        query = sa.select(tasks.c.task_id, tasks.c.state, tasks.c.progress).where(
            tasks.c.task_id.in_(part)
        )
        updates += [
            TaskUpdate(row.task_id, TaskState(row.state), row.progress, stage, message)
            for row in connection.execute(query)
        ]
    add_messages(connection, updates)
    return updates


def add_messages(connection: sa.Connection, updates: Sequence[TaskUpdate]) -> None:
    """Append the updates' messages to their tasks, in the seed's form ``HH:MM:SS text``."""
    at = f"{datetime.now(UTC):%H:%M:%S}"
    if updates:
        connection.execute(
            task_messages.insert().values(at=now()),
            [{"task_id": update.task_id, "text": f"{at} {update.message}"} for update in updates],
        )


def _settle(connection: sa.Connection, task_ids: Sequence[str]) -> list[TaskUpdate]:
    # Of two runs that each record one of a task's last documents, the second must see the first's.
    connection.execute(
        sa.select(tasks.c.task_id)
        .where(tasks.c.task_id.in_(task_ids))
        .order_by(tasks.c.task_id)
        .with_for_update()
    )

    def ended_as(state: TaskState) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((task_documents.c.outcome == state, 1), else_=0))

    counts = connection.execute(
        sa.select(
            task_documents.c.task_id,
            tasks.c.type,
            sa.func.count().label("all"),
            sa.func.count(task_documents.c.outcome).label("done"),
            ended_as(TaskState.FAILED).label("failed"),
            ended_as(TaskState.CANCELED).label("canceled"),
            sa.func.sum(documents.c.tokens).label("tokens"),
            sa.func.sum(documents.c.chunks).label("chunks"),
        )
        .join(tasks, tasks.c.task_id == task_documents.c.task_id)
        .outerjoin(documents, documents.c.document_id == task_documents.c.document_id)
        .where(task_documents.c.task_id.in_(task_ids))
        .group_by(task_documents.c.task_id, tasks.c.type)
    ).all()
    updates = []
    for row in counts:
        if row.done < row.all:
            progress = row.done / row.all
            connection.execute(
                tasks.update()
                .where(tasks.c.task_id == row.task_id, tasks.c.progress < progress)
                .values(progress=progress)
            )
        elif row.canceled == row.all:
            message = "Its documents were deleted meanwhile."
            updates += end(connection, [row.task_id], TaskState.CANCELED, message)
        elif row.failed + row.canceled == row.all:
            error = _first_error(connection, row.task_id)
            updates += end(connection, [row.task_id], TaskState.FAILED, error=error)
        elif row.type == TaskType.DELETE:
            message = f"Task done: {row.all} documents deleted."
            updates += end(connection, [row.task_id], TaskState.SUCCEEDED, message)
        else:
            failures = f", {row.failed} of {row.all} documents failed" if row.failed else ""
            message = f"Task done: {row.chunks or 0} chunks{failures}."
            updates += end(
                connection, [row.task_id], TaskState.SUCCEEDED, message, tokens=row.tokens or 0
            )
    return updates


def _first_error(connection: sa.Connection, task_id: str) -> ErrorInfo:
    row = connection.execute(
        sa.select(documents.c.error_kind, documents.c.error_message)
        .join(task_documents, task_documents.c.document_id == documents.c.document_id)
        .where(
            task_documents.c.task_id == task_id,
            task_documents.c.outcome == TaskState.FAILED,
            documents.c.error_kind.is_not(None),
        )
        .order_by(documents.c.name)
    ).first()
    if row is None:
        message = "its documents wait for answers to other tasks: see `ingest tasks --state input`"
        return ErrorInfo(kind=ErrorKind.UNAVAILABLE, message=message)
    return ErrorInfo(kind=row.error_kind, message=row.error_message)


def _transition(
    connection: sa.Connection, task_ids: Sequence[str], to: TaskState, **values: Any
) -> list[str]:
    """Move tasks to a state, those from which it is legal; return which moved."""
    moved: list[str] = []
    for start in range(0, len(task_ids), CHUNK):
        part = task_ids[start : start + CHUNK]
        moved += connection.scalars(
            tasks.update()
            .where(tasks.c.task_id.in_(part), tasks.c.state.in_(LEGAL_SOURCES[to]))
            .values(state=to, **values)
            .returning(tasks.c.task_id)
        )
    return moved
