"""Attachments: documents that were found within another, and live and end with it.

Belongs here: making them documents of their own in the transaction that records the publication of
their parent, and removing those that a new version of the parent has no more. Does not belong here:
finding and storing them (``stages.parsed``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.registry.arrivals import Attached, upsert
from ingestion_pipeline.registry.database import insert_all_missing
from ingestion_pipeline.registry.documents import lock_documents, mark_pending, parts
from ingestion_pipeline.registry.removal import remove_documents, with_attachments
from ingestion_pipeline.registry.schema import documents, task_documents
from ingestion_pipeline.registry.transitions import TaskUpdate, tell

_OPEN = (DocumentState.PENDING, DocumentState.PROCESSING)


def lock_with_attachments(
    connection: sa.Connection, document_ids: Collection[str], attached: Collection[Attached]
) -> None:
    """Lock documents with all that is attached to them, before or now; see ``lock_documents``."""
    new = {document.document_id for each in attached for document in each.documents}
    lock_documents(connection, {*with_attachments(connection, document_ids), *new})


def record_attachments(
    connection: sa.Connection, claim_id: int, key: str, parent_id: str, attached: Attached
) -> list[TaskUpdate]:
    """Register what is attached to a document of a claim that was published just now.

    Tasks that wait for the document wait for its attachments, too. What an attachment's bytes say
    already is not asked for again, unless by force.
    """
    known = {
        row.document_id: row
        for row in connection.execute(
            sa.select(
                documents.c.document_id,
                documents.c.sha256,
                documents.c.state,
                documents.c.parser,
                documents.c.pipeline,
            ).where(documents.c.parent_id == parent_id)
        )
    }
    now_attached = {document.document_id: document for document in attached.documents}
    gone = [
        document_id
        for document_id, row in known.items()
        if document_id not in now_attached and row.state != DocumentState.DELETED
    ]
    updates: list[TaskUpdate] = []
    if gone:
        updates += remove_documents(connection, key, with_attachments(connection, gone))
    changed = [
        document_id
        for document_id, document in now_attached.items()
        if document_id not in known
        # One that is being processed is made anew anyway.
        or (attached.force and known[document_id].state != DocumentState.PROCESSING)
        or known[document_id].state == DocumentState.DELETED
        or known[document_id].sha256 != document.sha256
        or known[document_id].parser != document.parser
        or known[document_id].pipeline != document.pipeline
    ]
    rank = connection.scalar(
        sa.select(documents.c.priority).where(documents.c.document_id == parent_id)
    )
    priority = Priority.HIGH if rank else Priority.NORMAL
    upsert(connection, [(key, now_attached[document_id]) for document_id in changed])
    mark_pending(connection, changed, priority, force=attached.force)
    waiting = connection.scalars(
        sa.select(task_documents.c.task_id).where(
            task_documents.c.document_id == parent_id,
            task_documents.c.claim_id == claim_id,
            task_documents.c.outcome.is_(None),
        )
    ).all()
    open_ = [key for key, row in known.items() if row.state in _OPEN and key in now_attached]
    for task_id in waiting:
        _wait_for(connection, task_id, sorted({*changed, *open_}))
    if changed:
        updates += tell(connection, waiting, f"{len(changed)} attached documents wait for a run.")
    return updates


def _wait_for(connection: sa.Connection, task_id: str, document_ids: Sequence[str]) -> None:
    insert_all_missing(
        connection,
        task_documents,
        [{"task_id": task_id, "document_id": document_id} for document_id in document_ids],
    )
    for part in parts(document_ids):  # a task that is tried again knows them already
        connection.execute(
            task_documents.update()
            .where(task_documents.c.task_id == task_id, task_documents.c.document_id.in_(part))
            .values(outcome=None)
        )
