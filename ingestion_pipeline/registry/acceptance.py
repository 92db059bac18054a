"""Accepting tasks: from then on they are carried out, whatever dies.

Belongs here: inserting a task once and asking for work on its documents. Does not belong here:
reading messages or files (``tasks``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.collections import CollectionName, ParserKind
from ingestion_pipeline.model.documents import DocumentState, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import BUILDS, Priority, TaskState, TaskType
from ingestion_pipeline.registry.arrivals import NewDocument, upsert
from ingestion_pipeline.registry.database import insert_if_missing, now
from ingestion_pipeline.registry.documents import (
    Selection,
    forced,
    mark_pending,
    require_known,
    selected,
)
from ingestion_pipeline.registry.removal import remove_documents, with_attachments
from ingestion_pipeline.registry.schema import document_stages, documents, task_documents, tasks
from ingestion_pipeline.registry.transitions import TaskUpdate, end, tell


@dataclass(frozen=True)
class NewTask:
    """A task to accept.

    An ingest task brings its ``document``, or names a known one by ``document_id``; a reindex
    task brings a ``selection``; a delete task names ``delete_ids``; one to build something names
    its documents, if it is not about all, among its options as ``document_ids``. A task with an
    ``error`` is refused: it is recorded as failed. ``parser`` is the kind that its document is to
    be taken for, where that is not the collection's.
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
    parser: ParserKind | None = None
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
        if new.type in BUILDS:
            return _accept_build(connection, new, key)
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


def _accept_build(connection: sa.Connection, new: NewTask, key: str) -> list[TaskUpdate]:
    require_known(connection, key, (new.options or {}).get("document_ids", ()))
    return tell(connection, [new.task_id], "Task is queued.")


def _accept_document(connection: sa.Connection, new: NewTask, key: str) -> list[TaskUpdate]:
    document_id = new.document.document_id if new.document else new.document_id or ""
    parser = sa.select(documents.c.parser).where(documents.c.document_id == document_id)
    parser_before = connection.scalar(parser)
    if new.document is not None:
        upsert(connection, key, replace(new.document, parser=new.parser))
    else:
        require_known(connection, key, [document_id])
        if new.parser is not None:
            mine = documents.c.document_id == document_id
            connection.execute(documents.update().where(mine).values(parser=new.parser))
    row = connection.execute(
        sa.select(
            documents.c.fetch,
            documents.c.state,
            documents.c.parser,
            document_stages.c.version,
            documents.c.sha256,
        )
        .outerjoin(
            document_stages,
            (document_stages.c.document_id == documents.c.document_id)
            & (document_stages.c.stage == Stage.INDEXED)
            & (document_stages.c.recipe == new.recipe),
        )
        .where(documents.c.document_id == document_id, documents.c.collection_key == key)
    ).one()
    unchanged = (
        row.state == DocumentState.INDEXED
        and row.version == row.sha256
        and row.parser == parser_before
        and not row.fetch
    )
    if unchanged and not new.force:
        message = "Unchanged: nothing to do."
        return end(connection, [new.task_id], TaskState.SUCCEEDED, message)
    connection.execute(task_documents.insert().values(task_id=new.task_id, document_id=document_id))
    mark_pending(connection, [document_id], new.priority, force=new.force)
    return tell(connection, [new.task_id], "Task is queued.")


def _accept_deletion(connection: sa.Connection, new: NewTask, key: str) -> list[TaskUpdate]:
    """Remove documents, and what is attached to them."""
    require_known(connection, key, new.delete_ids, deleted_too=True)
    ids = with_attachments(connection, new.delete_ids)
    connection.execute(
        task_documents.insert(),
        [{"task_id": new.task_id, "document_id": document_id} for document_id in ids],
    )
    updates = remove_documents(connection, key, ids, but_for=new.task_id)
    return updates + tell(connection, [new.task_id], f"{len(ids)} documents are being removed.")
