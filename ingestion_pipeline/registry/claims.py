"""Claims: batches of documents that runs own through leases.

Belongs here: claiming atomically, renewing, recording results by compare-and-set on the claim,
and giving back. Does not belong here: the work itself (``stages``) or deciding whose claims are
dead (``tasks``). A claim's id is its fencing token: it grows and never comes again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, LeaseLostError
from ingestion_pipeline.model.collections import Collection as CollectionOf
from ingestion_pipeline.model.documents import Document, DocumentState, Stage
from ingestion_pipeline.model.tasks import Backend, TaskState, TaskType
from ingestion_pipeline.registry import builds
from ingestion_pipeline.registry.claim_rows import claims_of, open_claim, release_claims
from ingestion_pipeline.registry.database import Database, now
from ingestion_pipeline.registry.documents import NOT_WANTED, is_copied, parts, select_documents
from ingestion_pipeline.registry.generations import Copies, Generation, record_copies
from ingestion_pipeline.registry.results import DocumentResult, record
from ingestion_pipeline.registry.schema import (
    answers,
    claims,
    collections,
    document_stages,
    documents,
    task_documents,
    tasks,
)
from ingestion_pipeline.registry.transitions import TaskUpdate, settle_tasks, start_tasks
from ingestion_pipeline.registry.versions import published_versions
from ingestion_pipeline.registry.withdrawal import cancel, withdraw_documents

HEAD_START_SECONDS = 300.0
"""Urgent documents go before others that were asked for up to this much earlier, so none starves.

As long as planning lets a collection wait before it counts as urgent.
"""
CRASHES_BEFORE_ALONE = 3
"""Runs that may die with a document before it is tried alone; if that one dies too, it is it."""

QUARANTINED = (
    f"{CRASHES_BEFORE_ALONE + 1} runs died while they worked on it, the last one on nothing else: "
    "it is left alone; look at it, then `ingest retry` its task"
)


@dataclass(frozen=True)
class Wanted:
    """What a run can work on: documents, by the stages it selects.

    ``recipes`` holds the current recipe of each selected stage and of its upstream. With
    ``whole`` set, the run takes pending documents through every stage; otherwise it takes
    documents one of whose selected stages is stale while that stage's upstream is current.

    Only the documents that belong to ``pipeline`` count, or those that belong to none. With
    ``step``, a run takes the pending ones for which that step of the pipeline is next; ``upstream``
    are the steps that this one reads.
    """

    recipes: Mapping[str, str]
    stages: tuple[Stage, ...]
    whole: bool
    document_ids: tuple[str, ...] = ()
    models: tuple[str | None, str | None] | None = None
    """The embedding models that the run searches with and is configured for: while a collection has
    others, it gets nothing. See ``models_of``."""
    pipeline: str | None = None
    step: str | None = None
    upstream: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A batch that a run owns until its lease lapses."""

    claim_id: int
    collection_key: str
    run_id: str
    documents: tuple[Document, ...]
    task_ids: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The tasks that wait for each document."""


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
        task_timeout_seconds: float,
        max_documents: int,
        max_bytes: int,
    ) -> tuple[Claim | None, list[TaskUpdate]]:
        """Claim a batch, bounded in number and bytes, or None when nothing is left."""
        with self._database.write() as connection:
            if wanted.models and wanted.models != _models(connection, collection_key):
                return None, []
            ids = _candidates(connection, collection_key, wanted, max_documents, max_bytes)
            if not ids:
                return None, []
            claim_id = open_claim(connection, collection_key, run_id, lease_seconds, ids)
            if wanted.whole or wanted.step:
                connection.execute(
                    documents.update()
                    .where(documents.c.claim_id == claim_id)
                    .values(state=DocumentState.PROCESSING, updated_at=now())
                )
            task_ids = _take_up_tasks(connection, ids, claim_id)
            started = sorted({task_id for some in task_ids.values() for task_id in some})
            if wanted.step is not None:  # the run has them from one step to the next
                started = _new_to(connection, run_id, started)
            updates = start_tasks(connection, started, run_id, backend, task_timeout_seconds)
            batch = select_documents(connection, documents.c.claim_id == claim_id)
        return Claim(claim_id, collection_key, run_id, tuple(batch), task_ids), updates

    def take_left_out(
        self,
        generation: Generation,
        wanted: Wanted,
        *,
        run_id: str,
        lease_seconds: float,
        max_documents: int,
        but: Collection[str],
    ) -> Claim | None:
        """Claim documents whose published version is missing in a generation, and stays published.

        That is those whose newer version failed, or waits for an answer, and with a pipeline those
        that it took through its steps. They come as they are published, and stay in their state.
        None when there are no others than those ``but``.
        """
        key = generation.collection_key
        states = [DocumentState.FAILED, DocumentState.INPUT]
        if wanted.pipeline is not None:
            states.append(DocumentState.INDEXED)
        with self._database.write() as connection:
            if wanted.models != _models(connection, key):
                return None
            ids = connection.scalars(
                sa.select(documents.c.document_id)
                .where(
                    documents.c.collection_key == key,
                    documents.c.claim_id.is_(None),
                    documents.c.pipeline.is_not_distinct_from(wanted.pipeline),
                    documents.c.state.in_(states),
                    documents.c.index_table.is_not(None),
                    documents.c.document_id.not_in(but),
                    ~is_copied(generation.index_table, generation.recipes),
                )
                .order_by(documents.c.document_id)
                .limit(max_documents)
                .with_for_update(skip_locked=True)
            ).all()
            versions = published_versions(connection, ids)
            if not versions:
                return None
            claim_id = open_claim(connection, key, run_id, lease_seconds, sorted(versions))
            batch = [
                replace(each, **asdict(versions[each.document_id]), fetch=False, force=False)
                for each in select_documents(connection, documents.c.claim_id == claim_id)
            ]
        return Claim(claim_id, key, run_id, tuple(batch))

    def record_copies(self, claim: Claim, made: Copies) -> None:
        """Write down what of the documents of a claim was published beside what is searched."""
        with self._database.write() as connection:
            record_copies(connection, claim.claim_id, made)

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

    def owned(self, claim_id: int) -> set[str]:
        """Return the documents of a claim that nobody took back.

        Raises:
            LeaseLostError: when the batch was given back as a whole.
        """
        with self._database.read() as connection:
            ids = set(
                connection.scalars(
                    sa.select(documents.c.document_id).where(documents.c.claim_id == claim_id)
                )
            )
            known = sa.select(claims.c.claim_id).where(claims.c.claim_id == claim_id)
            if not ids and connection.scalar(known) is None:
                raise LeaseLostError(f"claim {claim_id} was given to another run")
        return ids

    def answer(self, document_id: str) -> str | None:
        """Return what a person answered about a document, sealed; None if nobody did."""
        query = sa.select(answers.c.sealed).where(answers.c.document_id == document_id)
        with self._database.read() as connection:
            return connection.scalar(query)

    def record(
        self,
        claim: Claim,
        results: Sequence[DocumentResult],
        *,
        input_timeout_seconds: float,
        made: Copies | None = None,
    ) -> tuple[list[TaskUpdate], list[str]]:
        """Write down how the documents of a claim ended and end their part of it.

        ``made`` is what was published of them beside what is searched.
        Returns what happened to tasks, and the ids of documents that the claim had lost: their
        results are not recorded.
        """
        with self._database.write() as connection:
            if made is not None:
                record_copies(connection, claim.claim_id, made)
            return record(
                connection, claim.claim_id, claim.collection_key, results, input_timeout_seconds
            )

    def release(self, claim_id: int) -> None:
        """Give back what is left of a claim; a claim that is gone already is no error."""
        with self._database.write() as connection:
            release_claims(connection, [claim_id])

    def release_runs(self, run_ids: Sequence[str]) -> None:
        """Give back what runs hold that end in good order; holding nothing is no error."""
        with self._database.write() as connection:
            builds.give_back(connection, run_ids, pause=True)
            release_claims(connection, claims_of(connection, run_ids))

    def give_back_crashed(self, run_ids: Sequence[str]) -> list[TaskUpdate]:
        """Give back what runs hold that died, batches and builds, and count the attempt.

        A document that was tried alone because of earlier crashes has now failed for good.
        """
        with self._database.write() as connection:
            ids = claims_of(connection, run_ids)
            in_work = (documents.c.claim_id.in_(ids)) & (
                documents.c.state == DocumentState.PROCESSING
            )
            quarantined = connection.scalars(
                documents.update()
                .where(in_work, documents.c.crashes >= CRASHES_BEFORE_ALONE)
                .values(
                    state=DocumentState.FAILED,
                    claim_id=None,
                    force=False,
                    error_kind=ErrorKind.QUARANTINED,
                    error_message=QUARANTINED,
                    updated_at=now(),
                )
                .returning(documents.c.document_id)
            ).all()
            connection.execute(
                documents.update().where(in_work).values(crashes=documents.c.crashes + 1)
            )
            touched = connection.scalars(
                task_documents.update()
                .where(
                    task_documents.c.claim_id.in_(ids),
                    task_documents.c.document_id.in_(quarantined),
                    task_documents.c.outcome.is_(None),
                )
                .values(outcome=TaskState.FAILED, claim_id=None)
                .returning(task_documents.c.task_id)
            ).all()
            connection.execute(answers.delete().where(answers.c.document_id.in_(quarantined)))
            release_claims(connection, ids)
            given_up = builds.give_up(connection, run_ids)
            builds.give_back(connection, run_ids, pause=False)
            return given_up + settle_tasks(connection, sorted(set(touched)))

    def cancel_runs(self, run_ids: Sequence[str]) -> list[TaskUpdate]:
        """Cancel what runs work on that a person stopped.

        That is the tasks of their batches and builds, and what they asked for by themselves, of
        which no task knows.
        """
        with self._database.write() as connection:
            ids = claims_of(connection, run_ids)
            task_ids = connection.scalars(
                sa.select(task_documents.c.task_id)
                .join(tasks, tasks.c.task_id == task_documents.c.task_id)
                .where(
                    task_documents.c.claim_id.in_(ids) | _between_steps(run_ids),
                    task_documents.c.outcome.is_(None),
                )
                .distinct()
            ).all()
            message = "Task was canceled: its run was stopped by a person."
            updates = cancel(connection, task_ids, message)
            updates += builds.cancel_tasks(connection, run_ids, message)
            builds.give_back(connection, run_ids, pause=False)
            own = documents.c.claim_id.in_(ids) | (
                documents.c.requested_by.in_(run_ids)
                & (documents.c.state == DocumentState.PENDING)
                & documents.c.claim_id.is_(None)
            )
            query = sa.select(documents.c.document_id).where(
                own, documents.c.state.in_((DocumentState.PENDING, DocumentState.PROCESSING))
            )
            withdraw_documents(connection, connection.scalars(query).all())
            release_claims(connection, ids)
        return updates

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


def models_of(collection: CollectionOf) -> tuple[str | None, str | None]:
    """Return what ``Wanted.models`` is to say for a collection as it was read."""
    return collection.searched_model, collection.config.embedding_model


def _models(connection: sa.Connection, key: str) -> tuple[str | None, str | None] | None:
    """Return the same as it is now, and keep it from changing in this transaction."""
    row = connection.execute(
        sa.select(collections.c.searched_model, collections.c.config)
        .where(collections.c.key == key)
        .with_for_update(read=True)
    ).first()
    return (row.searched_model, row.config.get("embedding_model")) if row else None


def _between_steps(run_ids: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether a task waits for a document that runs took through some steps of its pipeline."""
    own = documents.alias()
    return tasks.c.run_id.in_(run_ids) & sa.exists().where(
        own.c.document_id == task_documents.c.document_id,
        own.c.pipeline.is_not(None),
        own.c.claim_id.is_(None),
        own.c.state == DocumentState.PENDING,
    )


def _candidates(
    connection: sa.Connection,
    collection_key: str,
    wanted: Wanted,
    max_documents: int,
    max_bytes: int,
) -> list[str]:
    query = (
        sa.select(documents.c.document_id, documents.c.bytes, documents.c.crashes)
        .where(
            documents.c.collection_key == collection_key,
            documents.c.claim_id.is_(None),
            documents.c.not_before <= now(),
            documents.c.state.not_in(NOT_WANTED),
            documents.c.pipeline.is_not_distinct_from(wanted.pipeline),
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
        if row.crashes >= CRASHES_BEFORE_ALONE:
            if not chosen:
                return [row.document_id]
            continue
        size += row.bytes or 0
        if chosen and size > max_bytes:
            break
        chosen.append(row.document_id)
    return chosen


def _needs_work(wanted: Wanted) -> sa.ColumnElement[bool]:
    if wanted.step is not None:
        return _is_next(wanted, wanted.step)
    if wanted.whole:
        return documents.c.state == DocumentState.PENDING
    stale = []
    for stage in wanted.stages:
        upstream = stage.upstream
        ready = _is_current(upstream, wanted.recipes[upstream]) if upstream else sa.true()
        stale.append(ready & (documents.c.force | ~_is_current(stage, wanted.recipes[stage])))
    return (documents.c.state != DocumentState.FAILED) & sa.or_(*stale)


def _is_next(wanted: Wanted, step: str) -> sa.ColumnElement[bool]:
    """Whether a step is the next that a document goes through; the last one is, in any case."""
    ready = [_is_current(each, wanted.recipes[each]) for each in wanted.upstream]
    waits = documents.c.state == DocumentState.PENDING
    if step == Stage.INDEXED:
        return sa.and_(waits, ~documents.c.fetch, *ready)
    done = _is_current(step, wanted.recipes[step])
    redone = done & _is_newer_than_request(step)
    stale = ~done | (documents.c.force & ~redone)
    if step == Stage.SOURCED:
        return waits & (stale | documents.c.fetch)
    return sa.and_(waits, ~documents.c.fetch, stale, *ready)


def _is_newer_than_request(step: str) -> sa.ColumnElement[bool]:
    """Whether a step was done since the document was asked for."""
    done = document_stages.alias()
    return sa.exists().where(
        done.c.document_id == documents.c.document_id,
        done.c.stage == step,
        done.c.updated_at >= documents.c.requested_at,
    )


def _new_to(connection: sa.Connection, run_id: str, task_ids: Sequence[str]) -> list[str]:
    """Return which of the tasks a run takes up for the first time."""
    known = {
        task_id
        for part in parts(task_ids)
        for task_id in connection.scalars(
            sa.select(tasks.c.task_id).where(
                tasks.c.task_id.in_(part),
                tasks.c.run_id == run_id,
                tasks.c.state == TaskState.RUNNING,
            )
        )
    }
    return [task_id for task_id in task_ids if task_id not in known]


def _is_current(stage: str, recipe: str) -> sa.ColumnElement[bool]:
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


def _take_up_tasks(
    connection: sa.Connection, ids: Sequence[str], claim_id: int
) -> dict[str, tuple[str, ...]]:
    """Take up the tasks that wait for documents: what becomes of these now ends those.

    But the deletion of what was submitted again ends when its old rows are gone from the index.
    """
    is_deletion = sa.exists().where(
        tasks.c.task_id == task_documents.c.task_id, tasks.c.type == TaskType.DELETE
    )
    rows = connection.execute(
        task_documents.update()
        .where(
            task_documents.c.document_id.in_(ids),
            task_documents.c.outcome.is_(None),
            ~is_deletion,
        )
        .values(claim_id=claim_id)
        .returning(task_documents.c.document_id, task_documents.c.task_id)
    ).all()
    found: dict[str, tuple[str, ...]] = {}
    for document_id, task_id in sorted(map(tuple, rows)):
        found[document_id] = (*found.get(document_id, ()), task_id)
    return found
