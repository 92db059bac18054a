"""Recording how the documents of a claim ended.

Belongs here: what a result changes of a document and of the tasks that wait for it, by
compare-and-set on the claim. Does not belong here: claiming and giving back (``claims``).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import Ask
from ingestion_pipeline.model.documents import DocumentState, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import FINAL_STATES, TaskState, TaskType
from ingestion_pipeline.registry.arrivals import NOTHING_ATTACHED, Attached
from ingestion_pipeline.registry.attachments import lock_with_attachments, record_attachments
from ingestion_pipeline.registry.database import now
from ingestion_pipeline.registry.documents import parents_among
from ingestion_pipeline.registry.publications import publications_recorded, publications_returned
from ingestion_pipeline.registry.schema import (
    answers,
    claims,
    documents,
    task_documents,
    tasks,
)
from ingestion_pipeline.registry.stage_records import FinishedStages, StageResult, record_stages
from ingestion_pipeline.registry.transitions import TaskUpdate, ask, settle_tasks
from ingestion_pipeline.registry.versions import note_version

TRANSIENT_ATTEMPTS = 3
TRANSIENT_DELAY_SECONDS = 5.0
"""Pause before the second attempt; doubled before each further one."""
JITTER = 0.25
"""A pause is longer or shorter by up to this share, so that many do not come back at once."""


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
    asks: Ask | None = None
    """What a person can answer to have it go on in spite of the error."""
    attached: Attached = NOTHING_ATTACHED
    """What else was found in it."""

    @property
    def published(self) -> bool:
        """Whether readers find it now."""
        return self.error is None and Stage.INDEXED in self.stages


def record(
    connection: sa.Connection,
    claim_id: int,
    collection_key: str,
    results: Sequence[DocumentResult],
    input_timeout_seconds: float,
) -> tuple[list[TaskUpdate], list[str]]:
    """Write down results; see ``Claims.record``."""
    claimed_at = connection.scalar(
        sa.select(claims.c.created_at).where(claims.c.claim_id == claim_id)
    )
    updates = _record_attached(connection, claim_id, collection_key, results)
    owned = _owned(connection, claim_id)  # without members that an archive has no more
    kept = [result for result in results if result.document_id in owned]
    updates += _record_questions(connection, claim_id, claimed_at, kept, input_timeout_seconds)
    # What is tried again, or asked about, may yet be withdrawn; its results are found all the same.
    finished = {
        result.document_id: FinishedStages(result.version, result.stages)
        for result in kept
        if not (result.transient or result.asks)
    }
    record_stages(connection, collection_key, finished)
    asking = {result.document_id for result in kept if result.asks}
    for result in kept:
        _record_document(connection, claim_id, claimed_at, result)
    updates += _record_outcomes(connection, claim_id, kept, asking)
    published = [result.document_id for result in kept if result.published]
    publications_recorded(connection, claim_id, published)
    publications_returned(connection, claim_id)
    lost = [result.document_id for result in results if result.document_id not in owned]
    return updates, lost


def _record_attached(
    connection: sa.Connection,
    claim_id: int,
    collection_key: str,
    results: Sequence[DocumentResult],
) -> list[TaskUpdate]:
    """Lock the documents of a claim, and record what is attached to those that are still owned."""
    ids = [result.document_id for result in results]
    lock_with_attachments(connection, ids, [result.attached for result in results])
    parents = parents_among(connection, ids)
    updates: list[TaskUpdate] = []
    for result in results:
        if not result.published or not (result.attached.documents or result.document_id in parents):
            continue
        if result.document_id in _owned(connection, claim_id):  # one before may have removed it
            updates += record_attachments(
                connection, claim_id, collection_key, result.document_id, result.attached
            )
    return updates


def _owned(connection: sa.Connection, claim_id: int) -> set[str]:
    query = sa.select(documents.c.document_id).where(documents.c.claim_id == claim_id)
    return set(connection.scalars(query))


def _record_questions(
    connection: sa.Connection,
    claim_id: int,
    claimed_at: float | None,
    results: Sequence[DocumentResult],
    timeout_seconds: float,
) -> list[TaskUpdate]:
    """Put questions to those who asked for single documents; nobody else can be asked."""
    updates: list[TaskUpdate] = []
    for result in results:
        if result.asks is None or result.error is None:
            continue
        asked = connection.scalars(
            sa.select(tasks.c.task_id)
            .join(task_documents, task_documents.c.task_id == tasks.c.task_id)
            .join(documents, documents.c.document_id == task_documents.c.document_id)
            .where(
                task_documents.c.claim_id == claim_id,
                task_documents.c.document_id == result.document_id,
                task_documents.c.outcome.is_(None),
                tasks.c.type == TaskType.INGEST,
                tasks.c.document_id == task_documents.c.document_id,
                tasks.c.state.not_in(FINAL_STATES),
                documents.c.requested_at < claimed_at,  # a newer version may ask nothing
            )
        ).all()
        if asked:
            updates += ask(connection, asked, result.asks, result.error, timeout_seconds)
        else:
            result.asks = None
    return updates


def _record_document(
    connection: sa.Connection, claim_id: int, claimed_at: float | None, result: DocumentResult
) -> None:
    # Requested once more since it was claimed: then what was just done may be outdated. In doubt,
    # within one step of the clock, it is looked at again.
    again = documents.c.requested_at >= claimed_at
    error = None if result.asks else result.error  # what is asked is not an error yet
    values = {
        **_learned(result),
        **_fetched(result, again),
        **_next_state(result, again),
        "claim_id": None,
        "crashes": 0,
        "force": sa.and_(documents.c.force, again),
        "error_kind": error.kind if error else None,
        "error_message": error.message if error else None,
        "updated_at": now(),
    }
    connection.execute(
        documents.update()
        .where(documents.c.document_id == result.document_id, documents.c.claim_id == claim_id)
        .values(**values)
    )
    if result.object_key is not None and result.version is not None:
        note_version(
            connection, result.document_id, result.version, result.object_key, result.bytes
        )
    if not result.transient:
        connection.execute(answers.delete().where(answers.c.document_id == result.document_id))


def _learned(result: DocumentResult) -> dict[str, Any]:
    learned: dict[str, Any] = {"media_type": result.media_type, "pages": result.pages}
    if Stage.INDEXED in result.stages:  # what was made but not published counts for nothing yet
        learned |= {
            "chunks": result.chunks,
            "tokens": result.tokens,
            "index_table": result.index_table,
        }
    return {name: value for name, value in learned.items() if value is not None}


def _fetched(result: DocumentResult, again: sa.ColumnElement[bool]) -> dict[str, Any]:
    """Return what is new of a source that was fetched in this run, unless it is asked for again."""
    if result.object_key is None:
        return {}
    fetched = {"sha256": result.version, "object_key": result.object_key, "bytes": result.bytes}
    return {
        **{
            name: sa.case((again, documents.c[name]), else_=value)
            for name, value in fetched.items()
        },
        "fetch": sa.and_(documents.c.fetch, again),
    }


def _next_state(result: DocumentResult, again: sa.ColumnElement[bool]) -> dict[str, Any]:
    if result.error is not None and result.transient:
        tried = documents.c.attempts + 1
        pause = TRANSIENT_DELAY_SECONDS * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not for secrets
        return {
            "state": sa.case(
                (again | (tried < TRANSIENT_ATTEMPTS), DocumentState.PENDING),
                else_=DocumentState.FAILED,
            ),
            "attempts": tried,
            "not_before": now() + pause * sa.literal(1).bitwise_lshift(documents.c.attempts),
        }
    if result.asks is not None:
        return {"state": DocumentState.INPUT}
    if result.error is not None:
        return {"state": sa.case((again, DocumentState.PENDING), else_=DocumentState.FAILED)}
    if Stage.INDEXED in result.stages:
        state = sa.case((again, DocumentState.PENDING), else_=DocumentState.INDEXED)
        return {"state": state, "attempts": 0}
    return {}


def _record_outcomes(
    connection: sa.Connection,
    claim_id: int,
    results: Sequence[DocumentResult],
    asking: Collection[str],
) -> list[TaskUpdate]:
    """Note each document's outcome on the tasks that the claim took up, and settle those.

    A document that only got some stages further has no outcome yet, nor has one that is asked
    about, but for the tasks that were not asked.
    """
    retried = set(
        connection.scalars(
            sa.select(documents.c.document_id).where(
                documents.c.document_id.in_([r.document_id for r in results if r.transient]),
                documents.c.state == DocumentState.PENDING,
            )
        )
    )
    succeeded = [result.document_id for result in results if result.published]
    failed = [
        result.document_id
        for result in results
        if result.error is not None and result.document_id not in retried
    ]
    was_not_asked = sa.exists().where(
        tasks.c.task_id == task_documents.c.task_id,
        (tasks.c.type != TaskType.INGEST) | (tasks.c.document_id != task_documents.c.document_id),
    )
    touched: set[str] = set()
    for outcome, ids, condition in (
        (TaskState.SUCCEEDED, succeeded, sa.true()),
        (TaskState.FAILED, [each for each in failed if each not in asking], sa.true()),
        (TaskState.FAILED, [each for each in failed if each in asking], was_not_asked),
    ):
        touched.update(
            connection.scalars(
                task_documents.update()
                .where(
                    task_documents.c.claim_id == claim_id,
                    task_documents.c.document_id.in_(ids),
                    task_documents.c.outcome.is_(None),
                    condition,
                )
                .values(outcome=outcome, claim_id=None)
                .returning(task_documents.c.task_id)
            )
        )
    return settle_tasks(connection, sorted(touched))
