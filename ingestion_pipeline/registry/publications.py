"""Announced publications: where index and registry may differ, and for how long that is watched.

The index and the registry cannot commit together. So a publication is announced here before the
index commit, and the announcement goes in the transaction that records it. What is left over marks
documents whose rows in the index are in doubt: its publisher died in between, lost the document to
a cancellation, a deletion or another run, or may still wake up and commit late.

Belongs here: announcing, and handing doubtful documents to whoever compares and repairs. Does not
belong here: the comparison (``tasks.doubts``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import sqlalchemy as sa

from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.model.documents import DocumentState, Stage
from ingestion_pipeline.registry.claim_rows import open_claim
from ingestion_pipeline.registry.database import Database, insert_all_missing, now
from ingestion_pipeline.registry.documents import parents_among, parts
from ingestion_pipeline.registry.schema import claims, document_stages, documents, publications
from ingestion_pipeline.registry.stage_records import (
    FinishedStages,
    StageResult,
    forget_stages,
    record_stages,
)

WATCH_SECONDS = 600.0
"""How long a publisher that fell silent may still wake up and commit."""
DELETED = 0
"""Stands for a claim where no publisher left the doubt but a deletion."""
COMPARED = -1
"""Stands for a claim where a comparison found that index and registry differ."""


@dataclass(frozen=True)
class Doubts:
    """Documents that are held while index and registry are compared for them."""

    claim_id: int
    collection_key: str
    document_ids: tuple[str, ...]


@dataclass(frozen=True)
class Adopted:
    """A version that is in the index and was not recorded; ``recipe`` and ``fingerprint`` of it."""

    version: str
    chunks: int
    recipe: str
    fingerprint: str


class Publications:
    """The announced publications of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def announce(
        self, claim_id: int, document_ids: Collection[str], with_attachments: Collection[str] = ()
    ) -> set[str]:
        """Say that documents of a claim are about to be committed; return those still owned.

        Only what is returned may be committed: the others were canceled or deleted meanwhile.
        What is attached to those ``with_attachments`` is not known before the commit is recorded.

        Raises:
            LeaseLostError: when the lease lapsed or the batch was given back.
        """
        with self._database.write() as connection:
            collection_key = connection.scalar(
                sa.select(claims.c.collection_key).where(
                    claims.c.claim_id == claim_id, claims.c.expires_at > now()
                )
            )
            if collection_key is None:
                raise LeaseLostError(f"the lease of claim {claim_id} lapsed")
            owned = set(
                connection.scalars(
                    sa.select(documents.c.document_id).where(documents.c.claim_id == claim_id)
                )
            ) & set(document_ids)
            # Of what it lost it may have committed something before: that stays in doubt.
            publications_recorded(connection, claim_id, sorted(owned))
            if owned:
                parents = {*with_attachments, *parents_among(connection, owned)}
                connection.execute(
                    publications.insert().values(
                        claim_id=claim_id,
                        collection_key=collection_key,
                        announced_at=now(),
                        returned=False,
                    ),
                    [
                        {
                            "document_id": document_id,
                            "attached": document_id in parents,
                        }
                        for document_id in sorted(owned)
                    ],
                )
        return owned

    def doubt(self, collection_key: str, document_ids: Sequence[str]) -> None:
        """Have documents of a collection compared and repaired; see ``tasks.doubts``."""
        with self._database.write() as connection:
            _doubt(connection, collection_key, document_ids, COMPARED)

    def doubtful_collections(self) -> list[str]:
        """Return the collections that have doubtful documents."""
        query = sa.select(publications.c.collection_key).where(_is_doubtful()).distinct()
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def hold_doubtful(
        self, collection_key: str, run_id: str, lease_seconds: float
    ) -> Doubts | None:
        """Hold the doubtful documents that nobody works on or is about to; None without any."""
        with self._database.write() as connection:
            query = (
                sa.select(documents.c.document_id)
                .where(
                    documents.c.collection_key == collection_key,
                    documents.c.claim_id.is_(None),
                    sa.exists().where(
                        publications.c.document_id == documents.c.document_id,
                        _is_doubtful(),
                        # A run makes good what is pending, and a reader shall not lose it until
                        # then; but what was deleted goes at once.
                        (publications.c.claim_id == DELETED)
                        | (documents.c.state != DocumentState.PENDING),
                    ),
                )
                .with_for_update(skip_locked=True)
            )
            ids = connection.scalars(query).all()
            if not ids:
                return None
            claim_id = open_claim(connection, collection_key, run_id, lease_seconds, ids)
        return Doubts(claim_id, collection_key, tuple(ids))

    def settle(
        self,
        doubts: Doubts,
        *,
        agreeing: Sequence[str] = (),
        adopt: Mapping[str, Adopted] = MappingProxyType({}),
        republish: Sequence[str] = (),
    ) -> None:
        """Record the comparison of the documents that are still held, and let them go.

        Doubts about ``agreeing`` documents end, unless their publisher may still wake up. Those to
        ``adopt`` are recorded as they are in the index, and agree then. Those to ``republish``
        count as not indexed, so that a run publishes them again; so do those to adopt whose
        publisher knew of attachments, as nobody else does. One that was taken back meanwhile
        stays in doubt: it was deleted, or the lease lapsed.
        """
        with self._database.write() as connection:
            held = set(
                connection.scalars(
                    sa.select(documents.c.document_id)
                    .where(documents.c.claim_id == doubts.claim_id)
                    .order_by(documents.c.document_id)  # see ``lock_documents``
                    .with_for_update()
                )
            )
            publications_recorded(connection, doubts.claim_id, sorted(held))
            unknown = _with_unknown_attachments(
                connection, [each for each in adopt if each in held]
            )
            adopted = {key: adopt[key] for key in adopt if key in held and key not in unknown}
            _adopt(connection, doubts.collection_key, adopted)
            _end_doubts(
                connection,
                doubts.claim_id,
                [*(each for each in agreeing if each in held), *adopted],
            )
            _publish_again(
                connection,
                doubts.collection_key,
                [*(each for each in republish if each in held), *sorted(unknown)],
            )
            connection.execute(
                documents.update()
                .where(documents.c.claim_id == doubts.claim_id)
                .values(claim_id=None)
            )
            connection.execute(claims.delete().where(claims.c.claim_id == doubts.claim_id))

    def returned(self, claim_id: int) -> None:
        """Note of what a claim announced that its publisher will not commit it any more."""
        with self._database.write() as connection:
            publications_returned(connection, claim_id)


def _with_unknown_attachments(connection: sa.Connection, document_ids: Sequence[str]) -> set[str]:
    """Return the documents that were announced with attachments and never recorded."""
    return {
        document_id
        for part in parts(document_ids)
        for document_id in connection.scalars(
            sa.select(publications.c.document_id).where(
                publications.c.document_id.in_(part), publications.c.attached
            )
        )
    }


def _end_doubts(connection: sa.Connection, claim_id: int, document_ids: Sequence[str]) -> None:
    """End the doubts about documents in which index and registry agree."""
    watched = ~publications.c.returned & (
        publications.c.announced_at > now() - sa.literal(WATCH_SECONDS)
    )
    held_since = (
        sa.select(claims.c.created_at).where(claims.c.claim_id == claim_id).scalar_subquery()
    )
    for part in parts(document_ids):
        connection.execute(
            publications.delete().where(
                publications.c.document_id.in_(part),
                _is_doubtful(),
                ~watched,
                # Later ones may tell of a commit that came after the comparison.
                (publications.c.claim_id == DELETED) | (publications.c.announced_at < held_since),
            )
        )
        connection.execute(  # it was to be published again, and failed instead
            documents.update()
            .where(
                documents.c.document_id.in_(part),
                ~sa.exists().where(
                    document_stages.c.document_id == documents.c.document_id,
                    document_stages.c.stage == Stage.INDEXED,
                ),
            )
            .values(index_table=None)
        )


def _publish_again(connection: sa.Connection, key: str, document_ids: Sequence[str]) -> None:
    """Have a run publish documents again, as if they had never been."""
    for part in parts(document_ids):
        forget_stages(connection, key, part, [Stage.INDEXED])
        connection.execute(
            documents.update()
            .where(documents.c.document_id.in_(part))
            .values(state=DocumentState.PENDING, not_before=0.0, attempts=0, updated_at=now())
        )


def _adopt(connection: sa.Connection, key: str, adopted: Mapping[str, Adopted]) -> None:
    stages = {
        document_id: FinishedStages(
            each.version, {Stage.INDEXED: StageResult(each.recipe, each.fingerprint)}
        )
        for document_id, each in adopted.items()
    }
    record_stages(connection, key, stages)
    for document_id, each in adopted.items():
        connection.execute(
            documents.update()
            .where(documents.c.document_id == document_id)
            .values(chunks=each.chunks, updated_at=now())
        )


def publications_recorded(
    connection: sa.Connection, claim_id: int, document_ids: Sequence[str]
) -> None:
    """Withdraw the announcements of what was published and recorded."""
    for part in parts(document_ids):
        connection.execute(
            publications.delete().where(
                publications.c.claim_id == claim_id, publications.c.document_id.in_(part)
            )
        )


def publications_returned(connection: sa.Connection, claim_id: int) -> None:
    """Note of what else a claim announced that its publisher will not commit it any more."""
    connection.execute(
        publications.update()
        .where(publications.c.claim_id == claim_id)
        .values(returned=True, announced_at=now())
    )


def doubt_deleted(
    connection: sa.Connection, collection_key: str, document_ids: Sequence[str]
) -> None:
    """Have the rows of deleted documents removed from the index."""
    _doubt(connection, collection_key, document_ids, DELETED)


def _doubt(
    connection: sa.Connection, collection_key: str, document_ids: Sequence[str], claim_id: int
) -> None:
    insert_all_missing(
        connection,
        publications,
        [{"document_id": document_id} for document_id in document_ids],
        claim_id=claim_id,
        collection_key=collection_key,
        announced_at=now(),
        returned=True,
    )


def _is_doubtful() -> sa.ColumnElement[bool]:
    """Whether a publication's claim is gone, or has lost the document."""
    holder = documents.alias()
    return ~sa.exists().where(
        holder.c.document_id == publications.c.document_id,
        holder.c.claim_id == publications.c.claim_id,
    )
