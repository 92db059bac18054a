"""Documents as they arrive: registered under their id, with the version there is now.

Belongs here: inserting and updating the row of a document that somebody brings. Does not belong
here: asking for work on it (``documents``), and who brings it (``acceptance``, ``attachments``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.model.collections import ParserKind
from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.registry.database import insert_into, now
from ingestion_pipeline.registry.schema import documents
from ingestion_pipeline.registry.versions import Version, note_versions

IN_ORDER_SECONDS = 1e-6
"""Between what one statement inserts, at one time of the clock, so that it stays in order."""


@dataclass(frozen=True)
class NewDocument:
    """A document that somebody brings; its bytes are stored already, or ``fetch`` is set.

    ``parent_id`` is the document it is attached to; ``parser`` its kind, if it has one of its own;
    ``pipeline`` that of its parent; ``stamp`` by what the file it was read from is known
    again.
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
    pipeline: str | None = None
    stamp: str | None = None


@dataclass(frozen=True)
class Attached:
    """What is attached to a document now; ``force`` has what did not change processed again."""

    documents: tuple[NewDocument, ...] = ()
    force: bool = False


def upsert(connection: sa.Connection, arrived: Sequence[tuple[str, NewDocument]]) -> None:
    """Register different documents, each with the key of its collection, as they are now.

    New ones wait in the order in which they come.
    """
    if not arrived:
        return
    insert = insert_into(connection, documents).values(
        state=DocumentState.PENDING,
        attempts=0,
        not_before=0.0,
        priority=Priority.NORMAL.rank,
        requested_at=now() + sa.bindparam("later", type_=sa.Double),
        force=False,
        created_at=now(),
        updated_at=now(),
    )
    new = insert.excluded
    attached = new.parent_id.is_not(None)  # these go their parent's way, others keep their own
    changed = (
        {name: new[name] for name in ("name", "fetch", "parent_id", "parser")}
        | {
            "pipeline": sa.case((attached, new.pipeline), else_=documents.c.pipeline),
        }
        | {
            name: sa.case((new.fetch, documents.c[name]), else_=new[name])
            for name in ("sha256", "object_key", "bytes")
        }
    )
    connection.execute(
        insert.on_conflict_do_update(index_elements=documents.primary_key, set_=changed),
        [
            {"collection_key": key, "later": position * IN_ORDER_SECONDS, **_row(document)}
            for position, (key, document) in enumerate(arrived)
        ],
    )
    note_versions(
        connection,
        [
            (
                document.document_id,
                Version(document.sha256, document.object_key, document.bytes),
                document.stamp,
            )
            for _, document in arrived
            if document.sha256 is not None and document.object_key is not None
        ],
    )


def _row(document: NewDocument) -> dict[str, Any]:
    row = dict(vars(document))
    del row["stamp"]  # it belongs to the version
    if document.fetch:  # what it will be is not known yet
        row |= {"sha256": None, "object_key": None, "bytes": None}
    return row
