"""The versions of documents: where the bytes of each are, and which one readers find.

Belongs here: writing and reading ``document_versions``. Does not belong here: which version is
wanted (``documents``) or when bytes are removed (``tasks.purge``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.registry.database import insert_all_missing, now
from ingestion_pipeline.registry.schema import document_stages, document_versions


@dataclass(frozen=True)
class Version:
    """One version of a document, by the names of the columns of ``documents``."""

    sha256: str
    object_key: str
    bytes: int | None


def note_versions(connection: sa.Connection, found: Iterable[tuple[str, Version]]) -> None:
    """Remember where the bytes of versions of documents are."""
    insert_all_missing(
        connection,
        document_versions,
        [{"document_id": document_id, **vars(version)} for document_id, version in found],
        created_at=now(),
    )


def published_versions(
    connection: sa.Connection, document_ids: Sequence[str]
) -> dict[str, Version]:
    """Return the version of each document that was recorded as published."""
    rows = connection.execute(
        sa.select(
            document_versions.c.document_id,
            document_versions.c.sha256,
            document_versions.c.object_key,
            document_versions.c.bytes,
        )
        .join(
            document_stages,
            (document_stages.c.document_id == document_versions.c.document_id)
            & (document_stages.c.version == document_versions.c.sha256),
        )
        .where(
            document_stages.c.stage == Stage.INDEXED,
            document_versions.c.document_id.in_(document_ids),
        )
    )
    return {row.document_id: Version(row.sha256, row.object_key, row.bytes) for row in rows}
