"""Tasks in the registry: accepting them, their legal transitions, their progress and their end.

Belongs here: the one place where a task's state changes, by compare-and-set. Does not belong
here: when to change it (``claims`` for work on documents, ``tasks`` for the rest).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import DocumentState, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import (
    FINAL_STATES,
    Backend,
    Priority,
    Task,
    TaskState,
    TaskType,
)
from ingestion_pipeline.registry.database import Database, insert_if_missing, now
from ingestion_pipeline.registry.documents import (
    CHUNK,
    Selection,
    forced,
    mark_pending,
    require_known,
    selected,
)
from ingestion_pipeline.registry.operations import log_ended_tasks
from ingestion_pipeline.registry.schema import (
    document_stages,
    documents,
    task_documents,
    task_messages,
    tasks,
)

LEGAL_SOURCES: dict[TaskState, tuple[TaskState, ...]] = {
    TaskState.RUNNING: (TaskState.WAITING, TaskState.RUNNING, TaskState.INPUT),
    TaskState.SUCCEEDED: (TaskState.WAITING, TaskState.RUNNING),
    TaskState.FAILED: (TaskState.WAITING, TaskState.RUNNING, TaskState.INPUT),
}
"""For each state, the states a task may come from; a final state has no way out."""


@dataclass(frozen=True)
class NewDocument:
    """The document an ingest task is about; bytes are stored already, or ``fetch`` is set."""

    document_id: str
    name: str
    uri: str
    fetch: bool
    sha256: str | None = None
    object_key: str | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class NewTask:
    """A task to accept.

    An ingest task brings its ``document``, or names a known one by ``document_id``; a reindex
    task brings a ``selection``. A task with an ``error`` is refused: it is recorded as failed.
    """

    task_id: str
    type: TaskType
    collection: str
    tenant: str
    priority: Priority
    recipe: str = ""
    batch_id: str | None = None
    options: dict[str, Any] | None = None
    document: NewDocument | None = None
    document_id: str | None = None
    selection: Selection | None = None
    force: bool = False
    error: ErrorInfo | None = None


@dataclass(frozen=True)
class TaskUpdate:
    """Something that happened to a task, to be told to those who watch it."""

    task_id: str
    state: TaskState
    progress: float
    stage: Stage | None
    message: str


class Tasks:
    """The tasks of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def accept(self, new_tasks: Sequence[NewTask]) -> list[TaskUpdate]:
        """Insert tasks that are not known yet, and mark their documents as wanted.

        Idempotent by task id. A task whose document needs no work ends at once, as does a
        reindex that selects nothing.
        """
        updates: list[TaskUpdate] = []
        with self._database.write() as connection:
            for new in new_tasks:
                updates += _accept(connection, new)
        return updates

    def get(self, task_id: str) -> Task:
        """Return one task with its messages.

        Raises:
            PermanentError: of kind ``not_found``.
        """
        found = self.find(task_ids=[task_id], with_messages=True)
        if not found:
            raise PermanentError(
                ErrorKind.NOT_FOUND, f"there is no task {task_id!r}: see `ingest tasks`"
            )
        return found[0]

    def find(
        self,
        *,
        task_ids: Sequence[str] | None = None,
        batch_id: str | None = None,
        name: CollectionName | None = None,
        state: TaskState | None = None,
        with_messages: bool = False,
        limit: int | None = None,
    ) -> list[Task]:
        """Return tasks, newest first."""
        query = sa.select(tasks).order_by(tasks.c.created_at.desc(), tasks.c.task_id).limit(limit)
        if batch_id is not None:
            query = query.where(tasks.c.batch_id == batch_id)
        if name is not None:
            query = query.where(tasks.c.tenant == name.tenant, tasks.c.collection == name.name)
        if state is not None:
            query = query.where(tasks.c.state == state)
        with self._database.read() as connection:
            rows: list[sa.Row[Any]] = []
            if task_ids is None:
                rows = list(connection.execute(query))
            else:
                for start in range(0, len(task_ids), CHUNK):
                    part = task_ids[start : start + CHUNK]
                    rows += connection.execute(query.where(tasks.c.task_id.in_(part)))
            messages = _messages(connection, [row.task_id for row in rows]) if with_messages else {}
        return [_task(row, messages.get(row.task_id, ())) for row in rows]

    def states(self, task_ids: Sequence[str]) -> dict[str, TaskState]:
        """Return the state of each known task."""
        found: dict[str, TaskState] = {}
        with self._database.read() as connection:
            for start in range(0, len(task_ids), CHUNK):
                part = task_ids[start : start + CHUNK]
                query = sa.select(tasks.c.task_id, tasks.c.state).where(tasks.c.task_id.in_(part))
                found |= {task_id: TaskState(state) for task_id, state in connection.execute(query)}
        return found

    def progress(
        self, claim_id: int, lines: Sequence[tuple[str, Stage, float, str]]
    ) -> list[TaskUpdate]:
        """Record ``(document_id, stage, fraction, message)`` of claimed documents.

        Progress never goes backwards.
        """
        updates: list[TaskUpdate] = []
        with self._database.write() as connection:
            for document_id, stage, fraction, message in lines:
                running = _tasks_of(connection, claim_id, document_id)
                for task_id, progress in running:
                    fraction_now = max(progress, fraction)
                    connection.execute(
                        tasks.update()
                        .where(tasks.c.task_id == task_id, tasks.c.type == TaskType.INGEST)
                        .values(progress=fraction_now)
                    )
                    updates.append(
                        TaskUpdate(task_id, TaskState.RUNNING, fraction_now, stage, message)
                    )
            add_messages(connection, updates)
        return updates


def start_tasks(
    connection: sa.Connection, task_ids: Sequence[str], run_id: str, backend: Backend
) -> list[TaskUpdate]:
    """Move tasks to running, as work of a run."""
    started = _transition(
        connection,
        task_ids,
        TaskState.RUNNING,
        run_id=run_id,
        backend=backend,
        attempts=tasks.c.attempts + 1,
        started_at=sa.func.coalesce(tasks.c.started_at, now()),
    )
    updates = [
        TaskUpdate(
            task_id, TaskState.RUNNING, 0.0, None, f"Task has been received by run {run_id}."
        )
        for task_id in started
    ]
    add_messages(connection, updates)
    return updates


def settle_tasks(connection: sa.Connection, task_ids: Sequence[str]) -> list[TaskUpdate]:
    """End those of the tasks whose documents are all done, and bring the others' progress up."""
    updates: list[TaskUpdate] = []
    for start in range(0, len(task_ids), CHUNK):
        updates += _settle(connection, task_ids[start : start + CHUNK])
    return updates


def fail_open_tasks(
    connection: sa.Connection, name: CollectionName, error: ErrorInfo
) -> list[TaskUpdate]:
    """End whatever of a collection is not final."""
    query = sa.select(tasks.c.task_id).where(
        tasks.c.tenant == name.tenant,
        tasks.c.collection == name.name,
        tasks.c.state.not_in(FINAL_STATES),
    )
    updates: list[TaskUpdate] = []
    for task_id in connection.scalars(query).all():
        updates += _end(connection, task_id, TaskState.FAILED, "", error)
    return updates


def add_messages(connection: sa.Connection, updates: Sequence[TaskUpdate]) -> None:
    """Append the updates' messages to their tasks, in the seed's form ``HH:MM:SS text``."""
    at = f"{datetime.now(UTC):%H:%M:%S}"
    if updates:
        connection.execute(
            task_messages.insert().values(at=now()),
            [{"task_id": update.task_id, "text": f"{at} {update.message}"} for update in updates],
        )


def _accept(connection: sa.Connection, new: NewTask) -> list[TaskUpdate]:
    document_id = new.document.document_id if new.document else new.document_id
    is_new = insert_if_missing(
        connection,
        tasks,
        task_id=new.task_id,
        batch_id=new.batch_id,
        type=new.type,
        collection=new.collection,
        tenant=new.tenant,
        document_id=document_id,
        priority=new.priority.rank,
        options=new.options or {},
        state=TaskState.WAITING,
        progress=0.0,
        attempts=0,
        tokens=0,
        created_at=now(),
    )
    if not is_new:
        return []
    if new.error is not None:
        return _end(connection, new.task_id, TaskState.FAILED, "", new.error)
    key = CollectionName(new.tenant, new.collection).key
    try:
        if new.selection is not None:
            return _accept_selection(connection, new, key, new.selection)
        return _accept_document(connection, new, key)
    except PermanentError as error:
        info = ErrorInfo(kind=error.kind, message=error.message)
        return _end(connection, new.task_id, TaskState.FAILED, "", info)


def _accept_selection(
    connection: sa.Connection, new: NewTask, key: str, selection: Selection
) -> list[TaskUpdate]:
    require_known(connection, key, selection.document_ids)
    wanted = selected(connection, key, selection)
    if not wanted:
        message = "Nothing to do: no document is selected."
        return _end(connection, new.task_id, TaskState.SUCCEEDED, message)
    connection.execute(
        task_documents.insert(),
        [{"task_id": new.task_id, "document_id": document_id} for document_id in wanted],
    )
    mark_pending(connection, wanted, new.priority, force=forced(selection))
    return [_told(connection, new.task_id, f"{len(wanted)} documents wait for a run.")]


def _accept_document(connection: sa.Connection, new: NewTask, key: str) -> list[TaskUpdate]:
    document_id = new.document_id or ""
    if new.document is not None:
        document_id = new.document.document_id
        _upsert(connection, key, new.document)
    require_known(connection, key, [document_id])
    row = connection.execute(
        sa.select(
            documents.c.fetch, documents.c.state, document_stages.c.version, documents.c.sha256
        )
        .outerjoin(
            document_stages,
            (document_stages.c.document_id == documents.c.document_id)
            & (document_stages.c.stage == Stage.INDEXED)
            & (document_stages.c.recipe == new.recipe),
        )
        .where(documents.c.document_id == document_id, documents.c.collection_key == key)
    ).one()
    unchanged = row.state == DocumentState.INDEXED and row.version == row.sha256 and not row.fetch
    if unchanged and not new.force:
        return _end(connection, new.task_id, TaskState.SUCCEEDED, "Unchanged: nothing to do.")
    connection.execute(task_documents.insert().values(task_id=new.task_id, document_id=document_id))
    mark_pending(connection, [document_id], new.priority, force=new.force)
    return [_told(connection, new.task_id, "Task is queued.")]


def _upsert(connection: sa.Connection, key: str, document: NewDocument) -> None:
    values: dict[str, Any] = {"name": document.name, "fetch": document.fetch}
    if not document.fetch:
        values |= {
            "sha256": document.sha256,
            "object_key": document.object_key,
            "bytes": document.bytes,
        }
    is_new = insert_if_missing(
        connection,
        documents,
        document_id=document.document_id,
        collection_key=key,
        uri=document.uri,
        state=DocumentState.PENDING,
        attempts=0,
        not_before=0.0,
        priority=Priority.NORMAL.rank,
        requested_at=now(),
        force=False,
        created_at=now(),
        updated_at=now(),
        **values,
    )
    if not is_new:
        connection.execute(
            documents.update()
            .where(documents.c.document_id == document.document_id)
            .values(**values)
        )


def _settle(connection: sa.Connection, task_ids: Sequence[str]) -> list[TaskUpdate]:
    # Of two runs that each record one of a task's last documents, the second must see the first's.
    connection.execute(
        sa.select(tasks.c.task_id)
        .where(tasks.c.task_id.in_(task_ids))
        .order_by(tasks.c.task_id)
        .with_for_update()
    )
    counts = connection.execute(
        sa.select(
            task_documents.c.task_id,
            sa.func.count().label("all"),
            sa.func.count(task_documents.c.outcome).label("done"),
            sa.func.sum(sa.case((task_documents.c.outcome == TaskState.FAILED, 1), else_=0)).label(
                "failed"
            ),
            sa.func.sum(documents.c.tokens).label("tokens"),
            sa.func.sum(documents.c.chunks).label("chunks"),
        )
        .join(documents, documents.c.document_id == task_documents.c.document_id)
        .where(task_documents.c.task_id.in_(task_ids))
        .group_by(task_documents.c.task_id)
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
        elif row.failed == row.all:
            error = _first_error(connection, row.task_id)
            updates += _end(connection, row.task_id, TaskState.FAILED, "", error)
        else:
            failures = f", {row.failed} of {row.all} documents failed" if row.failed else ""
            message = f"Task done: {row.chunks or 0} chunks{failures}."
            updates += _end(
                connection, row.task_id, TaskState.SUCCEEDED, message, tokens=row.tokens or 0
            )
    return updates


def _first_error(connection: sa.Connection, task_id: str) -> ErrorInfo:
    row = connection.execute(
        sa.select(documents.c.error_kind, documents.c.error_message)
        .join(task_documents, task_documents.c.document_id == documents.c.document_id)
        .where(task_documents.c.task_id == task_id, documents.c.error_kind.is_not(None))
        .order_by(documents.c.name)
    ).first()
    assert row is not None  # noqa: S101 - the document that failed last is in this transaction
    return ErrorInfo(kind=row.error_kind, message=row.error_message)


def _end(
    connection: sa.Connection,
    task_id: str,
    state: TaskState,
    message: str,
    error: ErrorInfo | None = None,
    tokens: int = 0,
) -> list[TaskUpdate]:
    values: dict[str, Any] = {"finished_at": now(), "tokens": tokens}
    if state is TaskState.SUCCEEDED:
        values["progress"] = 1.0
    if error is not None:
        values |= {"error_kind": error.kind, "error_message": error.message}
        message = f"[ERROR] {error.kind}: {error.message}"
    if not _transition(connection, [task_id], state, **values):
        return []
    update = _told(connection, task_id, message)
    log_ended_tasks(connection, [task_id])
    return [update]


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


def _told(connection: sa.Connection, task_id: str, message: str) -> TaskUpdate:
    row = connection.execute(
        sa.select(tasks.c.state, tasks.c.progress).where(tasks.c.task_id == task_id)
    ).one()
    update = TaskUpdate(task_id, TaskState(row.state), row.progress, None, message)
    add_messages(connection, [update])
    return update


def _tasks_of(
    connection: sa.Connection, claim_id: int, document_id: str
) -> list[tuple[str, float]]:
    query = (
        sa.select(tasks.c.task_id, tasks.c.progress)
        .join(task_documents, task_documents.c.task_id == tasks.c.task_id)
        .where(
            task_documents.c.claim_id == claim_id,
            task_documents.c.document_id == document_id,
            tasks.c.state.not_in(FINAL_STATES),
            tasks.c.type == TaskType.INGEST,
        )
    )
    return [(row.task_id, row.progress) for row in connection.execute(query)]


def _messages(connection: sa.Connection, task_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(task_ids), CHUNK):
        query = (
            sa.select(task_messages.c.task_id, task_messages.c.text)
            .where(task_messages.c.task_id.in_(task_ids[start : start + CHUNK]))
            .order_by(task_messages.c.message_id)
        )
        for task_id, text in connection.execute(query):
            found[task_id] = (*found.get(task_id, ()), text)
    return found


def _task(row: sa.Row[Any], messages: tuple[str, ...]) -> Task:
    return Task(
        task_id=row.task_id,
        batch_id=row.batch_id,
        type=TaskType(row.type),
        collection=row.collection,
        tenant=row.tenant,
        document_id=row.document_id,
        priority=Priority.HIGH if row.priority else Priority.NORMAL,
        options=row.options,
        state=TaskState(row.state),
        progress=row.progress,
        attempts=row.attempts,
        tokens=row.tokens,
        error=ErrorInfo(kind=row.error_kind, message=row.error_message) if row.error_kind else None,
        backend=Backend(row.backend) if row.backend else None,
        run_id=row.run_id,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        messages=messages,
    )
