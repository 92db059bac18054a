"""The versions of documents: where the bytes of each are, and which one readers find.

Belongs here: writing and reading ``document_versions``. Does not belong here: which version is
wanted (``documents``) or when bytes are removed (``tasks.purge``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.model.documents import DocumentState, Stage
from ingestion_pipeline.registry.database import insert_into, now
from ingestion_pipeline.registry.schema import document_stages, document_versions, documents


@dataclass(frozen=True)
class Version:
    """One version of a document, by the names of the columns of ``documents``."""

    sha256: str
    object_key: str
    bytes: int | None


@dataclass(frozen=True)
class StampedVersion(Version):
    """A version that was read from a file; ``is_current`` if it is published, and nothing newer."""

    is_current: bool


def note_versions(
    connection: sa.Connection, found: Iterable[tuple[str, Version, str | None]]
) -> None:
    """Remember where the bytes of versions of documents are, and the stamps of the files."""
    rows = [
        {"document_id": document_id, **vars(version), "stamp": stamp}
        for document_id, version, stamp in found
    ]
    if not rows:
        return
    insert = insert_into(connection, document_versions).values(created_at=now())
    stamp = sa.func.coalesce(insert.excluded.stamp, document_versions.c.stamp)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=document_versions.primary_key, set_={"stamp": stamp}
        ),
        rows,
    )


def stamped_versions(
    connection: sa.Connection, document_ids: Sequence[str]
) -> dict[tuple[str, str], StampedVersion]:
    """Return the versions of documents that were read from files, by document and stamp."""
    query = (
        sa.select(
            document_versions.c.document_id,
            document_versions.c.stamp,
            document_versions.c.sha256,
            document_versions.c.object_key,
            document_versions.c.bytes,
            sa.and_(
                documents.c.state == DocumentState.INDEXED,
                documents.c.sha256 == document_versions.c.sha256,
            ).label("is_current"),
        )
        .join(documents, documents.c.document_id == document_versions.c.document_id)
        .where(
            document_versions.c.document_id.in_(document_ids),
            document_versions.c.stamp.is_not(None),
        )
    )
    return {
        (row.document_id, row.stamp): StampedVersion(
            row.sha256, row.object_key, row.bytes, bool(row.is_current)
        )
        for row in connection.execute(query)
    }


def embedded_versions(
    connection: sa.Connection, object_keys: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """Return of each of some stored bytes one document that was embedded with them.

    And the fingerprint of that result.
    """
    query = _versions_at(
        Stage.EMBEDDED,
        document_versions.c.object_key,
        document_stages.c.document_id,
        document_stages.c.fingerprint,
    ).where(document_versions.c.object_key.in_(object_keys))
    return {key: (document_id, of) for key, document_id, of in connection.execute(query)}


def published_versions(
    connection: sa.Connection, document_ids: Sequence[str]
) -> dict[str, Version]:
    """Return the version of each document that was recorded as published."""
    rows = connection.execute(
        _versions_at(
            Stage.INDEXED,
            document_versions.c.document_id,
            document_versions.c.sha256,
            document_versions.c.object_key,
            document_versions.c.bytes,
        ).where(document_versions.c.document_id.in_(document_ids))
    )
    return {row.document_id: Version(row.sha256, row.object_key, row.bytes) for row in rows}


def _versions_at(stage: Stage, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Select of the versions that a stage was recorded for."""
    recorded = (document_stages.c.document_id == document_versions.c.document_id) & (
        document_stages.c.version == document_versions.c.sha256
    )
    return (
        sa.select(*columns)
        .select_from(document_versions)
        .join(document_stages, recorded)
        .where(document_stages.c.stage == stage)
    )
