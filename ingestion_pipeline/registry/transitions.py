"""The legal transitions of a task, by compare-and-set: the one place where its state changes.

Belongs here: starting, asking, ending, and what each says. Does not belong here: when to do so
(``claims``, ``results``, ``withdrawal``, ``tasks``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import Ask, ErrorKind
from ingestion_pipeline.model.documents import ErrorInfo, Stage
from ingestion_pipeline.model.tasks import Backend, TaskState, TaskType
from ingestion_pipeline.registry.database import now
from ingestion_pipeline.registry.documents import parts
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

NO_ERROR_OF_ITS_OWN = ErrorInfo(
    kind=ErrorKind.UNAVAILABLE,
    message="its documents wait for answers to other tasks: see `ingest tasks --state input`",
)


@dataclass(frozen=True)
class TaskUpdate:
    """Something that happened to a task, to be told to those who watch it."""

    task_id: str
    state: TaskState
    progress: float
    stage: Stage | None
    message: str


@dataclass(frozen=True)
class Ending:
    """How a task ends: an error is its last message."""

    state: TaskState
    message: str = ""
    error: ErrorInfo | None = None
    tokens: int = 0


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
    """End tasks alike; see ``end_each``."""
    return end_each(connection, dict.fromkeys(task_ids, Ending(state, message, error, tokens)))


def end_each(connection: sa.Connection, endings: Mapping[str, Ending]) -> list[TaskUpdate]:
    """End tasks, those from which it is legal."""
    updates: list[TaskUpdate] = []
    for part in parts(list(endings)):
        updates += _end(connection, {task_id: endings[task_id] for task_id in part})
    return updates


def settle_tasks(connection: sa.Connection, task_ids: Sequence[str]) -> list[TaskUpdate]:
    """End those of the tasks whose documents are all done, and bring the others' progress up."""
    updates: list[TaskUpdate] = []
    for part in parts(task_ids):
        updates += _settle(connection, part)
    return updates


def tell(
    connection: sa.Connection, task_ids: Sequence[str], message: str, stage: Stage | None = None
) -> list[TaskUpdate]:
    """Note a message on tasks and return it as what is to be told."""
    updates: list[TaskUpdate] = []
    for part in parts(task_ids):
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


def _end(connection: sa.Connection, endings: Mapping[str, Ending]) -> list[TaskUpdate]:
    """End tasks with a few statements, however many they are and however each ends."""
    before = {
        row.task_id: row
        for row in connection.execute(
            sa.select(tasks.c.task_id, tasks.c.state, tasks.c.progress)
            .where(tasks.c.task_id.in_(endings))
            .order_by(tasks.c.task_id)
            .with_for_update()
        )
    }
    ended = {
        task_id: ending
        for task_id, ending in endings.items()
        if task_id in before and before[task_id].state in LEGAL_SOURCES[ending.state]
    }
    if not ended:
        return []
    updates = []
    rows = []
    for task_id, ending in ended.items():
        error, message = ending.error, ending.message
        if error is not None:
            message = f"[ERROR] {error.kind}: {error.message}"
        is_success = ending.state is TaskState.SUCCEEDED
        progress = 1.0 if is_success else before[task_id].progress
        updates.append(TaskUpdate(task_id, ending.state, progress, None, message))
        rows.append(
            {
                "ended": task_id,
                "state": ending.state,
                "progress": progress,
                "tokens": ending.tokens,
                "error_kind": error.kind if error else None,
                "error_message": error.message if error else None,
            }
        )
    connection.execute(
        tasks.update()
        .where(tasks.c.task_id == sa.bindparam("ended"))
        .values(finished_at=now(), question=None, deadline=None),
        rows,
    )
    add_messages(connection, updates)
    log_ended_tasks(connection, list(ended))
    return updates


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
    open_ = [row for row in counts if row.done < row.all]
    if open_:
        connection.execute(
            tasks.update()
            .where(
                tasks.c.task_id == sa.bindparam("of"), tasks.c.progress < sa.bindparam("reached")
            )
            .values(progress=sa.bindparam("reached")),
            [{"of": row.task_id, "reached": row.done / row.all} for row in open_],
        )
    done = [row for row in counts if row.done == row.all]
    errors = _first_errors(connection, [row.task_id for row in done if row.failed])
    return end_each(connection, {row.task_id: _ending(row, errors) for row in done})


def _ending(row: sa.Row[Any], errors: Mapping[str, ErrorInfo]) -> Ending:
    """Say how a task ends whose documents are all done."""
    if row.canceled == row.all:
        return Ending(TaskState.CANCELED, "Its documents were deleted meanwhile.")
    if row.failed + row.canceled == row.all:
        return Ending(TaskState.FAILED, error=errors.get(row.task_id, NO_ERROR_OF_ITS_OWN))
    if row.type == TaskType.DELETE:
        return Ending(TaskState.SUCCEEDED, f"Task done: {row.all} documents deleted.")
    failures = f", {row.failed} of {row.all} documents failed" if row.failed else ""
    message = f"Task done: {row.chunks or 0} chunks{failures}."
    return Ending(TaskState.SUCCEEDED, message, tokens=row.tokens or 0)


def _first_errors(connection: sa.Connection, task_ids: Sequence[str]) -> dict[str, ErrorInfo]:
    """Return of each task the error of that of its failed documents whose name comes first."""
    found: dict[str, ErrorInfo] = {}
    if not task_ids:
        return found
    query = (
        sa.select(task_documents.c.task_id, documents.c.error_kind, documents.c.error_message)
        .join(documents, documents.c.document_id == task_documents.c.document_id)
        .where(
            task_documents.c.task_id.in_(task_ids),
            task_documents.c.outcome == TaskState.FAILED,
            documents.c.error_kind.is_not(None),
        )
        .order_by(documents.c.name)
    )
    for task_id, kind, message in connection.execute(query):
        found.setdefault(task_id, ErrorInfo(kind=kind, message=message))
    return found


def _transition(
    connection: sa.Connection, task_ids: Sequence[str], to: TaskState, **values: Any
) -> list[str]:
    """Move tasks to a state, those from which it is legal; return which moved."""
    moved: list[str] = []
    for part in parts(task_ids):
        moved += connection.scalars(
            tasks.update()
            .where(tasks.c.task_id.in_(part), tasks.c.state.in_(LEGAL_SOURCES[to]))
            .values(state=to, **values)
            .returning(tasks.c.task_id)
        )
    return moved
