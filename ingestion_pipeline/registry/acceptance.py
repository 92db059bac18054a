"""Accepting tasks: from then on they are carried out, whatever dies.

Belongs here: inserting a task once and asking for work on its documents. Does not belong here:
reading messages or files (``tasks``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import DocumentState, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import Priority, TaskState, TaskType
from ingestion_pipeline.registry.database import insert_if_missing, now
from ingestion_pipeline.registry.documents import (
    Selection,
    forced,
    lock_documents,
    mark_pending,
    parts,
    require_known,
    selected,
)
from ingestion_pipeline.registry.publications import doubt_deleted
from ingestion_pipeline.registry.schema import (
    answers,
    document_stages,
    documents,
    task_documents,
    tasks,
)
from ingestion_pipeline.registry.stage_records import forget_stages
from ingestion_pipeline.registry.transitions import TaskUpdate, end, settle_tasks, tell
from ingestion_pipeline.registry.versions import note_version


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
    task brings a ``selection``; a delete task names ``delete_ids``. A task with an ``error`` is
    refused: it is recorded as failed.
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
    delete_ids: tuple[str, ...] = ()
    selection: Selection | None = None
    force: bool = False
    error: ErrorInfo | None = None


def accept(connection: sa.Connection, new: NewTask) -> list[TaskUpdate]:
    """Insert a task that is not known yet, and mark its documents as wanted."""
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
        return end(connection, [new.task_id], TaskState.FAILED, error=new.error)
    key = CollectionName(new.tenant, new.collection).key
    try:
        if new.type is TaskType.DELETE:
            return _accept_deletion(connection, new, key)
        if new.selection is not None:
            return _accept_selection(connection, new, key, new.selection)
        return _accept_document(connection, new, key)
    except PermanentError as error:
        info = ErrorInfo(kind=error.kind, message=error.message)
        return end(connection, [new.task_id], TaskState.FAILED, error=info)


def _accept_selection(
    connection: sa.Connection, new: NewTask, key: str, selection: Selection
) -> list[TaskUpdate]:
    require_known(connection, key, selection.document_ids)
    wanted = selected(connection, key, selection)
    if not wanted:
        message = "Nothing to do: no document is selected."
        return end(connection, [new.task_id], TaskState.SUCCEEDED, message)
    connection.execute(
        task_documents.insert(),
        [{"task_id": new.task_id, "document_id": document_id} for document_id in wanted],
    )
    mark_pending(connection, wanted, new.priority, force=forced(selection))
    return tell(connection, [new.task_id], f"{len(wanted)} documents wait for a run.")


def _accept_document(connection: sa.Connection, new: NewTask, key: str) -> list[TaskUpdate]:
    document_id = new.document_id or ""
    if new.document is not None:
        document_id = new.document.document_id
        _upsert(connection, key, new.document)
    else:
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
        message = "Unchanged: nothing to do."
        return end(connection, [new.task_id], TaskState.SUCCEEDED, message)
    connection.execute(task_documents.insert().values(task_id=new.task_id, document_id=document_id))
    mark_pending(connection, [document_id], new.priority, force=new.force)
    return tell(connection, [new.task_id], "Task is queued.")


def _accept_deletion(connection: sa.Connection, new: NewTask, key: str) -> list[TaskUpdate]:
    """Mark documents as deleted and their rows in the index as left over.

    Whoever works on the documents loses them, and their tasks end.
    """
    ids = sorted(set(new.delete_ids))
    require_known(connection, key, ids, deleted_too=True)
    connection.execute(
        task_documents.insert(),
        [{"task_id": new.task_id, "document_id": document_id} for document_id in ids],
    )
    lock_documents(connection, ids)
    ended: set[str] = set()
    for part in parts(ids):
        connection.execute(
            documents.update()
            .where(documents.c.document_id.in_(part))
            .values(
                state=DocumentState.DELETED,
                index_table=None,
                claim_id=None,
                force=False,
                attempts=0,
                crashes=0,
                confirmed=None,
                error_kind=None,
                error_message=None,
                updated_at=now(),
            )
        )
        connection.execute(answers.delete().where(answers.c.document_id.in_(part)))
        forget_stages(connection, key, part)
        doubt_deleted(connection, key, part)
        ended.update(
            connection.scalars(
                task_documents.update()
                .where(
                    task_documents.c.document_id.in_(part),
                    task_documents.c.task_id != new.task_id,
                    sa.exists().where(
                        tasks.c.task_id == task_documents.c.task_id,
                        tasks.c.type != TaskType.DELETE,
                    ),
                    task_documents.c.outcome.is_(None),
                )
                .values(outcome=TaskState.CANCELED, claim_id=None)
                .returning(task_documents.c.task_id)
            )
        )
    updates = settle_tasks(connection, sorted(ended))
    return updates + tell(connection, [new.task_id], f"{len(ids)} documents are being removed.")


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
    if document.sha256 is not None and document.object_key is not None:
        note_version(
            connection,
            document.document_id,
            document.sha256,
            document.object_key,
            document.bytes,
        )
