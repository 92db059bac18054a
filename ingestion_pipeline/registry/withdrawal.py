"""Taking documents back from the work that nobody wants any more.

Belongs here: what becomes of documents whose tasks were canceled or ran out of time. The run that
works on such a document learns of it by losing it; its results are then not recorded. Does not
belong here: who decides that (``tasks``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind
from ingestion_pipeline.model.documents import DocumentState, ErrorInfo
from ingestion_pipeline.model.tasks import FINAL_STATES, TaskState, TaskType
from ingestion_pipeline.registry.database import now
from ingestion_pipeline.registry.documents import lock_documents, parts
from ingestion_pipeline.registry.schema import answers, documents, task_documents, tasks
from ingestion_pipeline.registry.stage_records import forget_stages
from ingestion_pipeline.registry.transitions import TaskUpdate, end
from ingestion_pipeline.registry.versions import Version, published_versions

TIMED_OUT = ErrorInfo(
    kind=ErrorKind.TIMEOUT,
    message="not done in time: look at what its messages say, then `ingest retry` it",
)


def cancel(
    connection: sa.Connection, task_ids: Sequence[str], message: str = "Task was canceled."
) -> list[TaskUpdate]:
    """End tasks as canceled; what was published of their documents stays as it was."""
    lock_documents_of(connection, task_ids)
    updates = end(connection, task_ids, TaskState.CANCELED, message)
    _withdraw(connection, updates)
    return updates


def time_out(
    connection: sa.Connection, task_ids: Sequence[str], error: ErrorInfo = TIMED_OUT
) -> list[TaskUpdate]:
    """End tasks whose time is over; their documents have failed."""
    lock_documents_of(connection, task_ids)
    updates = end(connection, task_ids, TaskState.TIMEOUT, error=error)
    _withdraw(connection, updates, error)
    return updates


def fail(connection: sa.Connection, task_ids: Sequence[str], error: ErrorInfo) -> list[TaskUpdate]:
    """End tasks as failed with what was wrong with their document."""
    lock_documents_of(connection, task_ids)
    updates = end(connection, task_ids, TaskState.FAILED, error=error)
    _withdraw(connection, updates, error)
    return updates


def lock_documents_of(connection: sa.Connection, task_ids: Sequence[str]) -> None:
    """Wait for whoever changes what tasks are about, before the tasks are touched."""
    ids: set[str] = set()
    for part in parts(task_ids):
        query = sa.select(task_documents.c.document_id).where(
            task_documents.c.task_id.in_(part), task_documents.c.outcome.is_(None)
        )
        ids.update(connection.scalars(query))
    lock_documents(connection, ids)


def withdraw_documents(
    connection: sa.Connection, ids: Sequence[str], error: ErrorInfo | None = None
) -> None:
    """Take documents back that no open task wants; without an error they are as before."""
    for part in parts(ids):
        wanted = set(
            connection.scalars(
                sa.select(task_documents.c.document_id)
                .join(tasks, tasks.c.task_id == task_documents.c.task_id)
                .where(
                    task_documents.c.document_id.in_(part),
                    task_documents.c.outcome.is_(None),
                    tasks.c.state.not_in(FINAL_STATES),
                    tasks.c.type != TaskType.DELETE,
                )
            )
        )
        free = [document_id for document_id in part if document_id not in wanted]
        connection.execute(answers.delete().where(answers.c.document_id.in_(free)))
        published = published_versions(connection, free)
        for row in connection.execute(_asked_for(free)).all():
            values = _restored(row, published.get(row.document_id), error)
            connection.execute(
                documents.update()
                .where(documents.c.document_id == row.document_id)
                .values(claim_id=None, force=False, attempts=0, crashes=0, updated_at=now())
                .values(values)
            )
            if values["state"] is DocumentState.DELETED:
                forget_stages(connection, row.collection_key, [row.document_id])


def _withdraw(
    connection: sa.Connection, ended: Sequence[TaskUpdate], error: ErrorInfo | None = None
) -> None:
    """Take the open documents of tasks back, which have just ended."""
    ids: set[str] = set()
    for update in ended:
        ids.update(
            connection.scalars(
                task_documents.update()
                .where(
                    task_documents.c.task_id == update.task_id,
                    task_documents.c.outcome.is_(None),
                )
                .values(outcome=update.state, claim_id=None)
                .returning(task_documents.c.document_id)
            )
        )
    withdraw_documents(connection, sorted(ids), error)


def _asked_for(ids: Sequence[str]) -> sa.Select[Any]:
    return sa.select(
        documents.c.document_id,
        documents.c.collection_key,
        documents.c.index_table,
        documents.c.error_kind,
        documents.c.attempts,
    ).where(
        documents.c.document_id.in_(ids),
        documents.c.state.in_(
            (DocumentState.PENDING, DocumentState.PROCESSING, DocumentState.INPUT)
        ),
    )


def _restored(
    row: sa.Row[Any], published: Version | None, error: ErrorInfo | None
) -> dict[str, Any]:
    if error is not None:
        return {
            "state": DocumentState.FAILED,
            "error_kind": error.kind,
            "error_message": error.message,
        }
    if row.error_kind is not None and not row.attempts:  # it had failed before this was asked for
        return {"state": DocumentState.FAILED}
    cleared = {"error_kind": None, "error_message": None}
    if published is not None:
        return cleared | {"state": DocumentState.INDEXED, "fetch": False, **asdict(published)}
    if row.index_table is not None:  # published, and about to be made good after a crash
        return {"state": DocumentState.PENDING}
    return cleared | {"state": DocumentState.DELETED}  # no reader ever found anything of it
