"""Tasks in the registry: accepting, finding, progress, and what people do to them.

Belongs here: one transaction for each thing that can be done to tasks. Does not belong here:
legal transitions (``transitions``), accepting in detail (``acceptance``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import Ask, ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import DocumentState, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import (
    FINAL_STATES,
    OF_DOCUMENTS,
    Backend,
    Priority,
    Question,
    Task,
    TaskState,
    TaskType,
)
from ingestion_pipeline.registry.acceptance import NewTask, accept, is_build, pass_over
from ingestion_pipeline.registry.database import Database, lock_names, now
from ingestion_pipeline.registry.documents import CHUNK, lock_documents, mark_pending, parts
from ingestion_pipeline.registry.schema import (
    answers,
    documents,
    publications,
    task_documents,
    task_messages,
    tasks,
)
from ingestion_pipeline.registry.transitions import (
    LEGAL_SOURCES,
    TaskUpdate,
    add_messages,
    go_on,
    reopen,
    settle_tasks,
)
from ingestion_pipeline.registry.withdrawal import cancel, fail, lock_documents_of, time_out


class Tasks:
    """The tasks of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def accept(self, new_tasks: Sequence[NewTask]) -> list[TaskUpdate]:
        """Insert tasks that are not known yet, and mark their documents as wanted.

        Idempotent by task id. A task whose document needs no work ends at once, as does a
        reindex that selects nothing.
        """
        with self._database.write() as connection:
            ids = {new.document.document_id for new in new_tasks if new.document}
            lock_names(connection, ids)  # a document that is new has no row to lock yet
            lock_documents(connection, ids)
            return accept(connection, new_tasks)

    def pass_over(self, new_tasks: Sequence[NewTask]) -> set[str]:
        """Return the ids of those that would end at once if they were accepted now."""
        with self._database.write() as connection:
            return pass_over(connection, new_tasks)

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
        with self._database.write() as connection:
            running = _running(connection, claim_id, {document_id for document_id, *_ in lines})
            reached: dict[str, float] = {}
            updates: list[TaskUpdate] = []
            for document_id, stage, fraction, message in lines:
                for task_id, before in running.get(document_id, ()):
                    reached[task_id] = max(reached.get(task_id, before), fraction)
                    updates.append(
                        TaskUpdate(task_id, TaskState.RUNNING, reached[task_id], stage, message)
                    )
            if reached:
                connection.execute(
                    tasks.update().where(tasks.c.task_id == sa.bindparam("of")),
                    [
                        {"of": task_id, "progress": fraction}
                        for task_id, fraction in sorted(reached.items())
                    ],
                )
            add_messages(connection, updates)
        return updates

    def cancel(self, task_ids: Sequence[str]) -> list[TaskUpdate]:
        """Cancel those of the tasks that are not final; what is deleted is so already."""
        with self._database.write() as connection:
            possible = [
                task_id
                for part in parts(task_ids)
                for task_id in connection.scalars(
                    sa.select(tasks.c.task_id).where(
                        tasks.c.task_id.in_(part), tasks.c.type != TaskType.DELETE
                    )
                )
            ]
            return cancel(connection, possible)

    def retry(self, task_ids: Sequence[str]) -> list[TaskUpdate]:
        """Have tasks that failed or ran out of time carried out once more.

        What succeeded, was canceled or is still under way is left as it is, and so is a task of
        which there is nothing to try: it was refused, or its documents were deleted.
        """
        with self._database.write() as connection:
            again = [each for each in task_ids if _try_again(connection, each)]
            return reopen(connection, again + _builds_among(connection, task_ids))

    def answer(self, task_id: str, asks: Ask, sealed: str) -> list[TaskUpdate]:
        """Answer what a task asks with something to work with; the first answer wins.

        Raises:
            PermanentError: of kind ``invalid_option`` when the task does not ask that (any more).
        """
        with self._database.write() as connection:
            question = _require_question(connection, task_id)
            if question.asks is not asks:
                raise _not_asked(task_id, question)
            ids = _let_go_on(connection, task_id)
            if asks is Ask.PASSWORD:
                connection.execute(answers.delete().where(answers.c.document_id.in_(ids)))
                for document_id in ids:
                    connection.execute(
                        answers.insert().values(document_id=document_id, sealed=sealed)
                    )
            else:
                connection.execute(
                    documents.update()
                    .where(documents.c.document_id.in_(ids))
                    .values(confirmed=documents.c.sha256)
                )
            return go_on(connection, [task_id], f"Answered: {asks}; waits for a run.")

    def decline(self, task_id: str) -> list[TaskUpdate]:
        """Answer no to what a task asks: then the doubt is its error.

        Raises:
            PermanentError: of kind ``invalid_option`` when the task asks nothing (any more).
        """
        with self._database.write() as connection:
            question = _require_question(connection, task_id)
            return fail(connection, [task_id], question.doubt)

    def expire(self) -> list[TaskUpdate]:
        """End the tasks whose time is over, be it for running or for an answer."""
        query = sa.select(tasks.c.task_id, tasks.c.question).where(
            tasks.c.deadline < now(), tasks.c.state.not_in(FINAL_STATES)
        )
        with self._database.read() as connection:
            if connection.execute(query.limit(1)).first() is None:
                return []
        with self._database.write() as connection:
            over = connection.execute(query).all()
            updates = time_out(connection, [row.task_id for row in over if not row.question])
            for row in over:
                if row.question:
                    message = f"nobody answered in time: {_question(row.question).doubt.message}"
                    error = ErrorInfo(kind=ErrorKind.TIMEOUT, message=message)
                    updates += time_out(connection, [row.task_id], error)
        return updates

    def deletions(self) -> list[Task]:
        """Return the delete tasks that are under way."""
        query = sa.select(tasks).where(
            tasks.c.type == TaskType.DELETE, tasks.c.state.not_in(FINAL_STATES)
        )
        with self._database.read() as connection:
            return [_task(row, ()) for row in connection.execute(query)]

    def documents_of(self, task_id: str) -> list[str]:
        """Return the ids of the documents that a task is about."""
        query = sa.select(task_documents.c.document_id).where(task_documents.c.task_id == task_id)
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def finish_deletion(self, task_id: str) -> list[TaskUpdate]:
        """End a delete task if nothing of its documents is left in the index."""
        in_doubt = sa.select(publications.c.document_id)
        with self._database.write() as connection:
            connection.execute(
                task_documents.update()
                .where(
                    task_documents.c.task_id == task_id,
                    task_documents.c.document_id.not_in(in_doubt),
                )
                .values(outcome=TaskState.SUCCEEDED)
            )
            return settle_tasks(connection, [task_id])


def fail_open_tasks(
    connection: sa.Connection, name: CollectionName, error: ErrorInfo
) -> list[TaskUpdate]:
    """End whatever of a collection is not final."""
    query = sa.select(tasks.c.task_id).where(
        tasks.c.tenant == name.tenant,
        tasks.c.collection == name.name,
        tasks.c.state.not_in(FINAL_STATES),
    )
    return fail(connection, connection.scalars(query).all(), error)


def _try_again(connection: sa.Connection, task_id: str) -> bool:
    """Ask once more for the documents that failed a task; return whether there are any."""
    rows = connection.execute(
        sa.select(task_documents.c.document_id, tasks.c.priority)
        .join(tasks, tasks.c.task_id == task_documents.c.task_id)
        .join(documents, documents.c.document_id == task_documents.c.document_id)
        .where(
            tasks.c.task_id == task_id,
            tasks.c.state.in_(LEGAL_SOURCES[TaskState.WAITING]),
            task_documents.c.outcome.in_((TaskState.FAILED, TaskState.TIMEOUT)),
            documents.c.state != DocumentState.DELETED,
        )
    ).all()
    if not rows:
        return False
    ids = [row.document_id for row in rows]
    mark_pending(connection, ids, _priority(rows[0].priority), force=False)
    for part in parts(ids):
        connection.execute(
            task_documents.update()
            .where(task_documents.c.task_id == task_id, task_documents.c.document_id.in_(part))
            .values(outcome=None)
        )
    return True


def _builds_among(connection: sa.Connection, task_ids: Sequence[str]) -> list[str]:
    """Return the tasks that build something; trying again is all they need."""
    found: list[str] = []
    for part in parts(task_ids):
        query = sa.select(tasks.c.task_id).where(tasks.c.task_id.in_(part), is_build())
        found += connection.scalars(query)
    return found


def _require_question(connection: sa.Connection, task_id: str) -> Question:
    lock_documents_of(connection, [task_id])
    row = connection.execute(
        sa.select(tasks.c.state, tasks.c.question)
        .where(tasks.c.task_id == task_id)
        .with_for_update()
    ).first()
    if row is None:
        raise PermanentError(
            ErrorKind.NOT_FOUND, f"there is no task {task_id!r}: see `ingest tasks`"
        )
    if row.state != TaskState.INPUT:
        raise PermanentError(
            ErrorKind.INVALID_OPTION, f"task {task_id} asks nothing: it is {row.state}"
        )
    return _question(row.question)


def _not_asked(task_id: str, question: Question) -> PermanentError:
    return PermanentError(
        ErrorKind.INVALID_OPTION,
        f"task {task_id} asks for {question.asks}: answer that with `ingest reply {task_id}`",
    )


def _let_go_on(connection: sa.Connection, task_id: str) -> list[str]:
    """Have the documents that a task asks about wait for a run; return them.

    None, if another version was submitted meanwhile: that one waits for a run already.
    """
    ids = connection.scalars(
        documents.update()
        .where(
            documents.c.document_id.in_(
                sa.select(task_documents.c.document_id).where(
                    task_documents.c.task_id == task_id, task_documents.c.outcome.is_(None)
                )
            ),
            documents.c.state == DocumentState.INPUT,
        )
        .values(state=DocumentState.PENDING, updated_at=now(), requested_at=now())
        .returning(documents.c.document_id)
    )
    return list(ids)


def _running(
    connection: sa.Connection, claim_id: int, document_ids: Collection[str]
) -> dict[str, list[tuple[str, float]]]:
    """Return the tasks about one document each that a claim works on, and how far they are."""
    found: dict[str, list[tuple[str, float]]] = {}
    query = (
        sa.select(task_documents.c.document_id, tasks.c.task_id, tasks.c.progress)
        .join(task_documents, task_documents.c.task_id == tasks.c.task_id)
        .where(
            task_documents.c.claim_id == claim_id,
            tasks.c.state.not_in(FINAL_STATES),
            tasks.c.type.in_(OF_DOCUMENTS),
            tasks.c.document_id == task_documents.c.document_id,
        )
    )
    for part in parts(sorted(document_ids)):
        for row in connection.execute(query.where(task_documents.c.document_id.in_(part))):
            found.setdefault(row.document_id, []).append((row.task_id, row.progress))
    return found


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
        priority=_priority(row.priority),
        options=row.options,
        state=TaskState(row.state),
        progress=row.progress,
        attempts=row.attempts,
        tokens=row.tokens,
        error=ErrorInfo(kind=row.error_kind, message=row.error_message) if row.error_kind else None,
        question=_question(row.question) if row.question else None,
        backend=Backend(row.backend) if row.backend else None,
        run_id=row.run_id,
        created_at=row.created_at,
        started_at=row.started_at,
        deadline=row.deadline,
        finished_at=row.finished_at,
        messages=messages,
    )


def _question(stored: dict[str, str]) -> Question:
    doubt = ErrorInfo(kind=ErrorKind(stored["kind"]), message=stored["message"])
    return Question(asks=Ask(stored["asks"]), doubt=doubt)


def _priority(rank: int) -> Priority:
    return Priority.HIGH if rank else Priority.NORMAL
