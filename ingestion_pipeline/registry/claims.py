"""Claims: batches of documents that runs own through leases.

Belongs here: claiming atomically, renewing, recording results by compare-and-set on the claim,
and giving back. Does not belong here: the work itself (``stages``) or deciding whose claims are
dead (``tasks``). A claim's id is its fencing token: it grows and never comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.model.documents import Document, DocumentState, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import Backend, TaskState
from ingestion_pipeline.registry import multiset
from ingestion_pipeline.registry.database import Database, insert_if_missing, now
from ingestion_pipeline.registry.documents import NOT_WANTED, select_documents
from ingestion_pipeline.registry.schema import (
    claims,
    document_stages,
    documents,
    stage_versions,
    task_documents,
)
from ingestion_pipeline.registry.tasks import TaskUpdate, settle_tasks, start_tasks

HEAD_START_SECONDS = 300.0
"""Urgent documents go before others that were asked for up to this much earlier, so none starves.

As long as planning lets a collection wait before it counts as urgent.
"""
TRANSIENT_ATTEMPTS = 3
TRANSIENT_DELAY_SECONDS = 5.0
"""Pause before the second attempt; doubled before each further one."""


@dataclass(frozen=True)
class Wanted:
    """What a run can work on: documents, by the stages it selects.

    ``recipes`` holds the current recipe of each selected stage and of its upstream. With
    ``whole`` set, the run takes pending documents through every stage; otherwise it takes
    documents one of whose selected stages is stale while that stage's upstream is current.
    """

    recipes: dict[Stage, str]
    stages: tuple[Stage, ...]
    whole: bool
    document_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A batch that a run owns until its lease lapses."""

    claim_id: int
    collection_key: str
    run_id: str
    documents: tuple[Document, ...]


@dataclass(frozen=True)
class StageResult:
    """What names a stored result of a stage; see ``document_stages``."""

    recipe: str
    fingerprint: str


@dataclass
class DocumentResult:
    """How the work on one document of a claim ended.

    ``version`` is the sha256 of the bytes it was done on, None when there were none to be had.
    """

    document_id: str
    version: str | None
    stages: dict[Stage, StageResult] = field(default_factory=dict)
    object_key: str | None = None
    bytes: int | None = None
    media_type: str | None = None
    pages: int | None = None
    chunks: int | None = None
    tokens: int | None = None
    index_table: str | None = None
    error: ErrorInfo | None = None
    transient: bool = False


class Claims:
    """The claims of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self,
        collection_key: str,
        wanted: Wanted,
        *,
        run_id: str,
        backend: Backend,
        lease_seconds: float,
        max_documents: int,
        max_bytes: int,
    ) -> tuple[Claim | None, list[TaskUpdate]]:
        """Claim a batch, bounded in number and bytes, or None when nothing is left."""
        with self._database.write() as connection:
            _release(
                connection, claims.c.expires_at < now(), claims.c.collection_key == collection_key
            )
            ids = _candidates(connection, collection_key, wanted, max_documents, max_bytes)
            if not ids:
                return None, []
            claim_id = connection.execute(
                claims.insert()
                .values(
                    collection_key=collection_key,
                    run_id=run_id,
                    created_at=now(),
                    expires_at=now() + lease_seconds,
                )
                .returning(claims.c.claim_id)
            ).scalar_one()
            connection.execute(
                documents.update().where(documents.c.document_id.in_(ids)).values(claim_id=claim_id)
            )
            if wanted.whole:
                connection.execute(
                    documents.update()
                    .where(documents.c.claim_id == claim_id)
                    .values(state=DocumentState.PROCESSING, updated_at=now())
                )
            updates = _start_tasks(connection, ids, claim_id, run_id, backend)
            batch = select_documents(connection, documents.c.claim_id == claim_id)
        return Claim(claim_id, collection_key, run_id, tuple(batch)), updates

    def renew(self, claim_id: int, lease_seconds: float) -> None:
        """Extend a lease from now.

        Raises:
            LeaseLostError: when the batch was given back meanwhile.
        """
        with self._database.write() as connection:
            renewed = connection.execute(
                claims.update()
                .where(claims.c.claim_id == claim_id)
                .values(expires_at=now() + lease_seconds)
            )
        if renewed.rowcount == 0:
            raise LeaseLostError(f"claim {claim_id} was given to another run")

    def check(self, claim_id: int) -> None:
        """Make sure that the lease holds right now.

        Raises:
            LeaseLostError: when it lapsed or the batch was given back.
        """
        query = sa.select(claims.c.claim_id).where(
            claims.c.claim_id == claim_id, claims.c.expires_at > now()
        )
        with self._database.read() as connection:
            if connection.scalar(query) is None:
                raise LeaseLostError(f"the lease of claim {claim_id} lapsed")

    def record(
        self, claim: Claim, results: Sequence[DocumentResult]
    ) -> tuple[list[TaskUpdate], list[str]]:
        """Write down how the documents of a claim ended and end their part of it.

        Returns what happened to tasks, and the ids of documents that the claim had lost: their
        results are not recorded.
        """
        with self._database.write() as connection:
            claimed_at = connection.scalar(
                sa.select(claims.c.created_at).where(claims.c.claim_id == claim.claim_id)
            )
            owned = set(
                connection.scalars(
                    sa.select(documents.c.document_id)
                    .where(documents.c.claim_id == claim.claim_id)
                    .with_for_update()
                )
            )
            kept = [result for result in results if result.document_id in owned]
            _record_stages(connection, claim.collection_key, kept)
            for result in kept:
                _record_document(connection, claim.claim_id, claimed_at, result)
            updates = _record_outcomes(connection, claim.claim_id, kept)
        return updates, [
            result.document_id for result in results if result.document_id not in owned
        ]

    def release(self, claim_id: int) -> None:
        """Give back what is left of a claim; a claim that is gone already is no error."""
        with self._database.write() as connection:
            _release(connection, claims.c.claim_id == claim_id)

    def release_runs(self, run_ids: Sequence[str]) -> int:
        """Give back the batches of runs that ended; return how many claims that were."""
        with self._database.write() as connection:
            return _release(connection, claims.c.run_id.in_(run_ids))

    def live_runs(self) -> dict[str, set[str]]:
        """Return the runs that hold a lease right now, by collection."""
        query = sa.select(claims.c.collection_key, claims.c.run_id).where(
            claims.c.expires_at > now()
        )
        found: dict[str, set[str]] = {}
        with self._database.read() as connection:
            for collection_key, run_id in connection.execute(query):
                found.setdefault(collection_key, set()).add(run_id)
        return found

    def release_lapsed(self) -> int:
        """Give back every batch whose lease lapsed; return how many claims that were."""
        with self._database.write() as connection:
            return _release(connection, claims.c.expires_at < now())


def _candidates(
    connection: sa.Connection,
    collection_key: str,
    wanted: Wanted,
    max_documents: int,
    max_bytes: int,
) -> list[str]:
    query = (
        sa.select(documents.c.document_id, documents.c.bytes)
        .where(
            documents.c.collection_key == collection_key,
            documents.c.claim_id.is_(None),
            documents.c.not_before <= now(),
            documents.c.state.not_in(NOT_WANTED),
            _needs_work(wanted),
        )
        .order_by(
            documents.c.requested_at - HEAD_START_SECONDS * documents.c.priority,
            documents.c.document_id,
        )
        .limit(max_documents)
        .with_for_update(skip_locked=True)
    )
    if wanted.document_ids:
        query = query.where(documents.c.document_id.in_(wanted.document_ids))
    chosen: list[str] = []
    size = 0
    for row in connection.execute(query):
        size += row.bytes or 0
        if chosen and size > max_bytes:
            break
        chosen.append(row.document_id)
    return chosen


def _needs_work(wanted: Wanted) -> sa.ColumnElement[bool]:
    if wanted.whole:
        return documents.c.state == DocumentState.PENDING
    stale = []
    for stage in wanted.stages:
        upstream = stage.upstream
        ready = _is_current(upstream, wanted.recipes[upstream]) if upstream else sa.true()
        stale.append(ready & (documents.c.force | ~_is_current(stage, wanted.recipes[stage])))
    return (documents.c.state != DocumentState.FAILED) & sa.or_(*stale)


def _is_current(stage: Stage, recipe: str) -> sa.ColumnElement[bool]:
    done = document_stages.alias()
    return (
        sa.select(sa.literal(1))
        .where(
            done.c.document_id == documents.c.document_id,
            done.c.stage == stage,
            done.c.version == documents.c.sha256,
            done.c.recipe == recipe,
        )
        .exists()
    )


def _start_tasks(
    connection: sa.Connection, ids: Sequence[str], claim_id: int, run_id: str, backend: Backend
) -> list[TaskUpdate]:
    """Take up the tasks that wait for documents: what becomes of these now ends those."""
    task_ids = connection.scalars(
        task_documents.update()
        .where(task_documents.c.document_id.in_(ids), task_documents.c.outcome.is_(None))
        .values(claim_id=claim_id)
        .returning(task_documents.c.task_id)
    ).all()
    return start_tasks(connection, sorted(set(task_ids)), run_id, backend)


def _record_stages(
    connection: sa.Connection, collection_key: str, results: Sequence[DocumentResult]
) -> None:
    """Upsert the stages' fingerprints and bring the collection's data versions up to date."""
    ids = [result.document_id for result in results]
    rows = connection.execute(
        sa.select(
            document_stages.c.document_id, document_stages.c.stage, document_stages.c.fingerprint
        ).where(document_stages.c.document_id.in_(ids))
    )
    before = {(row.document_id, row.stage): row.fingerprint for row in rows}
    for stage in Stage:
        new = {
            result.document_id: (result.version, result.stages[stage])
            for result in results
            if stage in result.stages
        }
        if not new:
            continue
        connection.execute(
            document_stages.delete().where(
                document_stages.c.document_id.in_(new), document_stages.c.stage == stage
            )
        )
        connection.execute(
            document_stages.insert().values(updated_at=now()),
            [
                {
                    "document_id": document_id,
                    "stage": stage,
                    "version": version,
                    "recipe": done.recipe,
                    "fingerprint": done.fingerprint,
                }
                for document_id, (version, done) in new.items()
            ],
        )
        old = {key: before[key, stage] for key in new if (key, stage) in before}
        _update_stage_version(
            connection,
            collection_key,
            stage,
            removed=[f"{key}:{fingerprint}" for key, fingerprint in old.items()],
            added=[f"{key}:{done.fingerprint}" for key, (_, done) in new.items()],
        )


def _update_stage_version(
    connection: sa.Connection,
    collection_key: str,
    stage: Stage,
    *,
    removed: Sequence[str],
    added: Sequence[str],
) -> None:
    mine = (stage_versions.c.collection_key == collection_key) & (stage_versions.c.stage == stage)
    insert_if_missing(
        connection,
        stage_versions,
        collection_key=collection_key,
        stage=stage,
        multiset=multiset.EMPTY,
        documents=0,
    )
    row = connection.execute(sa.select(stage_versions).where(mine).with_for_update()).one()
    connection.execute(
        stage_versions.update()
        .where(mine)
        .values(
            multiset=multiset.replace(row.multiset, removed, added),
            documents=row.documents + len(added) - len(removed),
        )
    )


def _record_document(
    connection: sa.Connection, claim_id: int, claimed_at: float | None, result: DocumentResult
) -> None:
    # Requested once more since it was claimed: then what was just done may be outdated. In doubt,
    # within one step of the clock, it is looked at again.
    again = documents.c.requested_at >= claimed_at
    values: dict[str, Any] = {"claim_id": None, "updated_at": now()}
    learned = {
        "media_type": result.media_type,
        "pages": result.pages,
    }
    if Stage.INDEXED in result.stages:  # what was made but not published counts for nothing yet
        learned |= {
            "chunks": result.chunks,
            "tokens": result.tokens,
            "index_table": result.index_table,
        }
    values |= {name: value for name, value in learned.items() if value is not None}
    if result.object_key is not None:  # fetched in this run
        fetched = {"sha256": result.version, "object_key": result.object_key, "bytes": result.bytes}
        values |= {
            name: sa.case((again, documents.c[name]), else_=value)
            for name, value in fetched.items()
        }
        values["fetch"] = sa.and_(documents.c.fetch, again)
    state: sa.ColumnElement[Any]
    if result.error is not None and result.transient:
        tried = documents.c.attempts + 1
        state = sa.case(
            (again | (tried < TRANSIENT_ATTEMPTS), DocumentState.PENDING),
            else_=DocumentState.FAILED,
        )
        values |= {
            "attempts": tried,
            "not_before": now()
            + TRANSIENT_DELAY_SECONDS * sa.literal(1).bitwise_lshift(documents.c.attempts),
        }
    elif result.error is not None:
        state = sa.case((again, DocumentState.PENDING), else_=DocumentState.FAILED)
    elif Stage.INDEXED in result.stages:
        state = sa.case((again, DocumentState.PENDING), else_=DocumentState.INDEXED)
        values |= {"attempts": 0}
    else:
        state = documents.c.state
    values |= {
        "state": state,
        "force": sa.and_(documents.c.force, again),
        "error_kind": result.error.kind if result.error else None,
        "error_message": result.error.message if result.error else None,
    }
    connection.execute(
        documents.update()
        .where(documents.c.document_id == result.document_id, documents.c.claim_id == claim_id)
        .values(**values)
    )


def _record_outcomes(
    connection: sa.Connection, claim_id: int, results: Sequence[DocumentResult]
) -> list[TaskUpdate]:
    """Note each document's outcome on the tasks that the claim took up, and settle those.

    A document that only got some stages further has no outcome yet.
    """
    touched: set[str] = set()
    retried = set(
        connection.scalars(
            sa.select(documents.c.document_id).where(
                documents.c.document_id.in_([r.document_id for r in results if r.transient]),
                documents.c.state == DocumentState.PENDING,
            )
        )
    )
    for outcome in (TaskState.SUCCEEDED, TaskState.FAILED):
        ids = [
            result.document_id
            for result in results
            if result.document_id not in retried
            and (
                result.error is not None
                if outcome is TaskState.FAILED
                else result.error is None and Stage.INDEXED in result.stages
            )
        ]
        touched.update(
            connection.scalars(
                task_documents.update()
                .where(
                    task_documents.c.claim_id == claim_id,
                    task_documents.c.document_id.in_(ids),
                    task_documents.c.outcome.is_(None),
                )
                .values(outcome=outcome, claim_id=None)
                .returning(task_documents.c.task_id)
            )
        )
    return settle_tasks(connection, sorted(touched))


def _release(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> int:
    ids = connection.scalars(sa.select(claims.c.claim_id).where(*which).with_for_update()).all()
    if not ids:
        return 0
    connection.execute(
        documents.update()
        .where(documents.c.claim_id.in_(ids))
        .values(
            state=sa.case(
                (documents.c.state == DocumentState.PROCESSING, DocumentState.PENDING),
                else_=documents.c.state,
            ),
            claim_id=None,
        )
    )
    connection.execute(
        task_documents.update().where(task_documents.c.claim_id.in_(ids)).values(claim_id=None)
    )
    connection.execute(claims.delete().where(claims.c.claim_id.in_(ids)))
    return len(ids)
