"""Documents as they arrive: registered under their id, with the version there is now.

Belongs here: inserting and updating the row of a document that somebody brings. Does not belong
here: asking for work on it (``documents``), and who brings it (``acceptance``, ``attachments``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.model.collections import ParserKind
from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.registry.database import insert_if_missing, now
from ingestion_pipeline.registry.schema import documents
from ingestion_pipeline.registry.versions import note_version


@dataclass(frozen=True)
class NewDocument:
    """A document that somebody brings; its bytes are stored already, or ``fetch`` is set.

    ``parent_id`` is the document it is attached to; ``parser`` its kind, if it has one of its own.
    """

    document_id: str
    name: str
    uri: str
    fetch: bool
    sha256: str | None = None
    object_key: str | None = None
    bytes: int | None = None
    parent_id: str | None = None
    parser: ParserKind | None = None


@dataclass(frozen=True)
class Attached:
    """What is attached to a document now; ``force`` has what did not change processed again."""

    documents: tuple[NewDocument, ...] = ()
    force: bool = False


NOTHING_ATTACHED = Attached()


def upsert(connection: sa.Connection, key: str, document: NewDocument) -> None:
    """Register a document, or the version of it that there is now."""
    values: dict[str, Any] = {
        "name": document.name,
        "fetch": document.fetch,
        "parent_id": document.parent_id,
        "parser": document.parser,
    }
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
