"""Recording how the documents of a claim ended.

Belongs here: what a result changes of a document and of the tasks that wait for it, by
compare-and-set on the claim. Does not belong here: claiming and giving back (``claims``).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import Ask
from ingestion_pipeline.model.documents import DocumentState, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import FINAL_STATES, OF_DOCUMENTS, TaskState
from ingestion_pipeline.registry.arrivals import Attached
from ingestion_pipeline.registry.attachments import lock_with_attachments, record_attachments
from ingestion_pipeline.registry.database import now
from ingestion_pipeline.registry.documents import parents_among, parts
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
from ingestion_pipeline.registry.versions import Version, note_versions

TRANSIENT_ATTEMPTS = 3
TRANSIENT_DELAY_SECONDS = 5.0
"""Pause before the second attempt; doubled before each further one."""
JITTER = 0.25
"""A pause is longer or shorter by up to this share, so that many do not come back at once."""


class _End(Enum):
    """How the work on a document can end."""

    INDEXED = auto()
    FURTHER = auto()
    """Some of its stages are done."""
    FAILED = auto()
    DELAYED = auto()
    """It is tried again, if it was not too often already."""
    ASKING = auto()


@dataclass
class DocumentResult:
    """How the work on one document of a claim ended.

    ``version`` is the sha256 of the bytes it was done on, None when there were none to be had.
    """

    document_id: str
    version: str | None
    stages: dict[str, StageResult] = field(default_factory=dict)
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
    attached: Attached | None = None
    """What else was found in it; None where nobody looked, and that stays as it is."""

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
    record_stages(connection, collection_key, finished, claimed_at)
    asking = {result.document_id for result in kept if result.asks}
    _record_documents(connection, claim_id, claimed_at, kept)
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
    lock_with_attachments(connection, ids, [each.attached for each in results if each.attached])
    parents = parents_among(connection, ids)
    updates: list[TaskUpdate] = []
    for result in results:
        if not result.published or result.attached is None:
            continue
        if not (result.attached.documents or result.document_id in parents):
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
                tasks.c.type.in_(OF_DOCUMENTS),
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


def _record_documents(
    connection: sa.Connection,
    claim_id: int,
    claimed_at: float | None,
    results: Sequence[DocumentResult],
) -> None:
    """Change the rows of documents: one statement for all that ended alike."""
    if not results:
        return
    # Requested once more since it was claimed: then what was just done may be outdated. In doubt,
    # within one step of the clock, it is looked at again.
    again = documents.c.requested_at >= claimed_at
    alike: dict[_End, list[DocumentResult]] = {}
    for result in results:
        alike.setdefault(_end_of(result), []).append(result)
    for end, ended in alike.items():
        connection.execute(
            documents.update()
            .where(documents.c.document_id == sa.bindparam("of"), documents.c.claim_id == claim_id)
            .values(
                **_learned(),
                **_fetched(again),
                **_next_state(end, again),
                claim_id=None,
                crashes=0,
                # What goes through a pipeline step by step is forced until the last one.
                force=sa.and_(
                    documents.c.force,
                    again | documents.c.pipeline.is_not(None) if end is _End.FURTHER else again,
                ),
                updated_at=now(),
            ),
            [_values(result, end) for result in ended],
        )
    note_versions(
        connection,
        [
            (result.document_id, Version(result.version, result.object_key, result.bytes), None)
            for result in results
            if result.object_key is not None and result.version is not None
        ],
    )
    for part in parts([result.document_id for result in results if not result.transient]):
        connection.execute(answers.delete().where(answers.c.document_id.in_(part)))


def _end_of(result: DocumentResult) -> _End:
    if result.error is not None and result.transient:
        return _End.DELAYED
    if result.asks is not None:
        return _End.ASKING
    if result.error is not None:
        return _End.FAILED
    return _End.INDEXED if Stage.INDEXED in result.stages else _End.FURTHER


def _values(result: DocumentResult, end: _End) -> dict[str, Any]:
    """Return what is said of one document in the statement for all that ended alike."""
    error = None if result.asks else result.error  # what is asked is not an error yet
    is_published = Stage.INDEXED in result.stages
    values: dict[str, Any] = {
        "of": result.document_id,
        "error_kind": error.kind if error else None,
        "error_message": error.message if error else None,
        "new_media_type": result.media_type,
        "new_pages": result.pages,
        # What was made but not published counts for nothing yet.
        "new_chunks": result.chunks if is_published else None,
        "new_tokens": result.tokens if is_published else None,
        "new_index_table": result.index_table if is_published else None,
        "is_fetched": result.object_key is not None,
        "new_sha256": result.version,
        "new_object_key": result.object_key,
        "new_bytes": result.bytes,
    }
    if end is _End.DELAYED:
        values["pause"] = TRANSIENT_DELAY_SECONDS * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not for secrets
    return values


def _new(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(f"new_{name}", type_=documents.c[name].type)


def _learned() -> dict[str, Any]:
    """Return what is kept of what was there before, unless there is something new."""
    names = ("media_type", "pages", "chunks", "tokens", "index_table")
    return {name: sa.func.coalesce(_new(name), documents.c[name]) for name in names}


def _fetched(again: sa.ColumnElement[bool]) -> dict[str, Any]:
    """Return what is new of a source that was fetched in this run, unless it is asked for again."""
    is_current = sa.and_(sa.bindparam("is_fetched", type_=sa.Boolean), ~again)
    return {
        **{
            name: sa.case((is_current, _new(name)), else_=documents.c[name])
            for name in ("sha256", "object_key", "bytes")
        },
        "fetch": sa.and_(documents.c.fetch, ~is_current),
    }


def _next_state(end: _End, again: sa.ColumnElement[bool]) -> dict[str, Any]:
    match end:
        case _End.DELAYED:
            tried = documents.c.attempts + 1
            pause = sa.bindparam("pause", type_=sa.Double)
            return {
                "state": sa.case(
                    (again | (tried < TRANSIENT_ATTEMPTS), DocumentState.PENDING),
                    else_=DocumentState.FAILED,
                ),
                "attempts": tried,
                "not_before": now() + pause * sa.literal(1).bitwise_lshift(documents.c.attempts),
            }
        case _End.ASKING:
            return {"state": DocumentState.INPUT}
        case _End.FAILED:
            return {"state": sa.case((again, DocumentState.PENDING), else_=DocumentState.FAILED)}
        case _End.INDEXED:
            state = sa.case((again, DocumentState.PENDING), else_=DocumentState.INDEXED)
            return {"state": state, "attempts": 0}
        case _End.FURTHER:
            waits = (documents.c.state == DocumentState.PROCESSING, DocumentState.PENDING)
            return {"state": sa.case(waits, else_=documents.c.state)}


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
        tasks.c.type.not_in(OF_DOCUMENTS)
        | tasks.c.document_id.is_distinct_from(task_documents.c.document_id),
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
