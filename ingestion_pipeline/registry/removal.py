"""Removing documents: from this moment on readers do not find them.

Belongs here: marking them as deleted, and ending what waits for them. Does not belong here:
removing what is stored of them (``tasks``).
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import TaskState, TaskType
from ingestion_pipeline.registry.database import now
from ingestion_pipeline.registry.documents import lock_documents, parts
from ingestion_pipeline.registry.publications import doubt_deleted
from ingestion_pipeline.registry.schema import (
    answers,
    copies,
    documents,
    task_documents,
    tasks,
)
from ingestion_pipeline.registry.stage_records import forget_stages
from ingestion_pipeline.registry.transitions import TaskUpdate, settle_tasks


def with_attachments(connection: sa.Connection, document_ids: Collection[str]) -> list[str]:
    """Return documents and everything that is attached to them, at any depth; sorted."""
    found = set(document_ids)
    new = found
    while new:
        attached = {
            document_id
            for part in parts(sorted(new))
            for document_id in connection.scalars(
                sa.select(documents.c.document_id).where(documents.c.parent_id.in_(part))
            )
        }
        new = attached - found
        found = found | new
    return sorted(found)


def remove_documents(
    connection: sa.Connection, key: str, ids: Collection[str], *, but_for: str | None = None
) -> list[TaskUpdate]:
    """Mark documents as deleted and their rows in the index as left over.

    Whoever works on the documents loses them, and their tasks end; all ``but_for`` the one task
    that has them removed, and other deletions.
    """
    lock_documents(connection, ids)
    ended: set[str] = set()
    for part in parts(sorted(ids)):
        connection.execute(
            documents.update()
            .where(documents.c.document_id.in_(part))
            .values(
                state=DocumentState.DELETED,
                index_table=None,
                claim_id=None,
                force=False,
                pipeline=None,
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
        connection.execute(copies.delete().where(copies.c.document_id.in_(part)))
        doubt_deleted(connection, key, part)
        ended.update(
            connection.scalars(
                task_documents.update()
                .where(
                    task_documents.c.document_id.in_(part),
                    task_documents.c.task_id != (but_for or ""),
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
    return settle_tasks(connection, sorted(ended))
