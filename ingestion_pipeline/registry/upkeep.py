"""What maintenance asks of the registry: what is still used, and forgetting what is not.

Belongs here: questions about all of a collection at once. Does not belong here: removing files and
rows of the index (``tasks.maintenance``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from ingestion_pipeline.model.documents import DocumentState, Stage
from ingestion_pipeline.registry.database import Database, now
from ingestion_pipeline.registry.documents import lock_documents, parts
from ingestion_pipeline.registry.schema import (
    claims,
    copies,
    document_stages,
    document_versions,
    documents,
    publications,
)


class Upkeep:
    """Upkeep of one registry's collections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def oldest_claim_seconds(self, collection_key: str) -> float:
        """Return for how long the oldest batch has been worked on; 0 without any."""
        query = sa.select(now() - sa.func.min(claims.c.created_at)).where(
            claims.c.collection_key == collection_key
        )
        with self._database.read() as connection:
            return connection.scalar(query) or 0.0

    def deleted(self, collection_key: str, older_than: float) -> list[str]:
        """Return the documents that were deleted ``older_than`` seconds ago or before."""
        query = sa.select(documents.c.document_id).where(
            documents.c.collection_key == collection_key,
            documents.c.state == DocumentState.DELETED,
            documents.c.updated_at <= now() - sa.literal(older_than),
        )
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def purgeable(
        self, collection_key: str, document_ids: Sequence[str] | None = None
    ) -> dict[str, list[str]]:
        """Return the deleted documents of which nothing is left in the index, all or those named.

        Each comes with the keys of its source bytes, those that no other document has too.
        """
        found: dict[str, list[str]] = {}
        with self._database.read() as connection:
            for part in parts(document_ids) if document_ids is not None else [None]:
                named = sa.true() if part is None else documents.c.document_id.in_(part)
                query = sa.select(documents.c.document_id).where(_purgeable(collection_key), named)
                found |= _with_own_bytes(connection, connection.scalars(query).all())
        return found

    def forget_deleted(
        self,
        collection_key: str,
        document_ids: Sequence[str],
        remove_bytes: Callable[[str], None] = lambda _: None,
    ) -> set[str]:
        """Forget deleted documents altogether; return which.

        Not one that was submitted again meanwhile, or submitted and deleted once more: then its
        rows in the index are in doubt again. ``remove_bytes`` is called with the key of all source
        bytes that no other document has, while none of the documents can be submitted again.
        """
        forgotten: set[str] = set()
        with self._database.write() as connection:
            lock_documents(connection, document_ids)
            for part in parts(document_ids):
                query = sa.select(documents.c.document_id).where(
                    _purgeable(collection_key), documents.c.document_id.in_(part)
                )
                own = _with_own_bytes(connection, connection.scalars(query).all())
                for key in {key for keys in own.values() for key in keys}:
                    remove_bytes(key)
                connection.execute(documents.delete().where(documents.c.document_id.in_(own)))
                forgotten.update(own)
        return forgotten

    def fingerprints(self, collection_key: str) -> dict[str, set[str] | None]:
        """Return the recorded results of each document; None for one that is worked on."""
        query = (
            sa.select(documents.c.document_id, documents.c.claim_id, document_stages.c.fingerprint)
            .outerjoin(document_stages)
            .where(documents.c.collection_key == collection_key)
        )
        found: dict[str, set[str] | None] = {}
        beside = (
            sa.select(copies.c.document_id, copies.c.stages)
            .join(documents)
            .where(documents.c.collection_key == collection_key)
        )
        with self._database.read() as connection:
            for document_id, claim_id, fingerprint in connection.execute(query):
                recorded = found.setdefault(document_id, set() if claim_id is None else None)
                if recorded is not None and fingerprint is not None:
                    recorded.add(fingerprint)
            for document_id, stages in connection.execute(beside):
                if (recorded := found.get(document_id)) is not None:
                    recorded.update(fingerprint for _, fingerprint in stages.values())
        return found

    def version_ages(self, collection_key: str) -> dict[str, float]:
        """Return for how many seconds each document has had its current bytes."""
        query = (
            sa.select(
                documents.c.document_id, (now() - document_versions.c.created_at).label("age")
            )
            .join(document_versions)
            .where(
                documents.c.collection_key == collection_key,
                documents.c.sha256 == document_versions.c.sha256,
            )
        )
        with self._database.read() as connection:
            return {row.document_id: row.age for row in connection.execute(query)}

    def doubtful(self, collection_key: str) -> set[str]:
        """Return the documents of which the index is announced to change, or in doubt."""
        query = sa.select(publications.c.document_id).where(
            publications.c.collection_key == collection_key
        )
        with self._database.read() as connection:
            return set(connection.scalars(query))

    def object_keys(self, collection_key: str) -> set[str]:
        """Return where the bytes are of every version that is not forgotten."""
        mine = documents.c.collection_key == collection_key
        query = sa.union(
            sa.select(document_versions.c.object_key).join(documents).where(mine),
            sa.select(documents.c.object_key).where(mine, documents.c.object_key.is_not(None)),
        )
        with self._database.read() as connection:
            return set(connection.scalars(query))

    def forget_superseded(
        self, collection_key: str, older_than: float, *, dry_run: bool = False
    ) -> int:
        """Forget versions that are neither current nor published; return how many.

        Those of deleted documents stay until these are purged, and those of documents that are
        worked on, for the run may be about to publish one.
        """
        is_superseded = (
            (document_versions.c.created_at <= now() - sa.literal(older_than))
            & sa.exists().where(
                documents.c.document_id == document_versions.c.document_id,
                documents.c.collection_key == collection_key,
                documents.c.state != DocumentState.DELETED,
                documents.c.claim_id.is_(None),
                documents.c.sha256 != document_versions.c.sha256,
            )
            & ~sa.exists().where(
                document_stages.c.document_id == document_versions.c.document_id,
                document_stages.c.stage == Stage.INDEXED,
                document_stages.c.version == document_versions.c.sha256,
            )
        )
        if dry_run:
            with self._database.read() as connection:
                count = sa.select(sa.func.count()).select_from(document_versions)
                return connection.scalar(count.where(is_superseded)) or 0
        forgotten = 0
        with self._database.write() as connection:
            query = sa.select(document_versions.c.document_id).where(is_superseded).distinct()
            ids = connection.scalars(query).all()
            # Then nobody makes one of them the current version until it is gone or seen to be used.
            lock_documents(connection, ids)
            for part in parts(ids):
                forgotten += connection.execute(
                    document_versions.delete().where(
                        document_versions.c.document_id.in_(part), is_superseded
                    )
                ).rowcount
        return forgotten


def _purgeable(collection_key: str) -> sa.ColumnElement[bool]:
    """Whether a document is deleted, and nothing of it is left in the index."""
    return sa.and_(
        documents.c.collection_key == collection_key,
        documents.c.state == DocumentState.DELETED,
        documents.c.claim_id.is_(None),
        documents.c.document_id.not_in(sa.select(publications.c.document_id)),
    )


def _with_own_bytes(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return documents with the keys of their source bytes that no other document has too."""
    mine, others = document_versions.alias(), document_versions.alias()
    owner = documents.alias()
    used_elsewhere = sa.exists().where(
        others.c.object_key == mine.c.object_key,
        others.c.document_id != mine.c.document_id,
        owner.c.document_id == others.c.document_id,
        owner.c.state != DocumentState.DELETED,
    )
    found: dict[str, list[str]] = {document_id: [] for document_id in ids}
    for part in parts(ids):
        query = sa.select(mine.c.document_id, mine.c.object_key).where(
            mine.c.document_id.in_(part), ~used_elsewhere
        )
        for document_id, key in connection.execute(query):
            found[document_id].append(key)
    return found
