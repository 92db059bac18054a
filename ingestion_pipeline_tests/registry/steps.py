"""What tests of the registry do again and again: submit, claim, finish, fail."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from ingestion_pipeline.errors import Ask, ErrorKind
from ingestion_pipeline.model.documents import (
    STAGES,
    Document,
    DocumentState,
    ErrorInfo,
    Stage,
    document_id,
)
from ingestion_pipeline.model.tasks import Backend, Priority, ReindexOnly, TaskState, TaskType
from ingestion_pipeline.registry.acceptance import NewTask
from ingestion_pipeline.registry.arrivals import NewDocument
from ingestion_pipeline.registry.claims import Claim, Wanted
from ingestion_pipeline.registry.documents import Selection
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.results import DocumentResult
from ingestion_pipeline.registry.schema import claims, documents, publications, tasks
from ingestion_pipeline.registry.stage_records import StageResult
from ingestion_pipeline.registry.transitions import TaskUpdate

KEY = "docs"
TABLE = "docs.G1"
TASK_TIMEOUT_SECONDS = 3600.0
INPUT_TIMEOUT_SECONDS = 600.0


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def recipes(edition: str = "1") -> dict[Stage, str]:
    return {stage: digest(stage, edition) for stage in STAGES}


def id_of(name: str, key: str = KEY) -> str:
    return document_id(key, f"file:///{name}")


def new_task(name: str, *, version: str = "1", size: int = 10, **changes: Any) -> NewTask:
    """A request to ingest the document of that name, whose bytes are stored."""
    document = NewDocument(
        document_id=id_of(name, changes.get("collection", KEY)),
        name=name,
        uri=f"file:///{name}",
        fetch=False,
        sha256=digest(name, version),
        object_key=f"objects/{digest(name, version)}",
        bytes=size,
    )
    values: dict[str, Any] = {
        "task_id": uuid4().hex,
        "type": TaskType.INGEST,
        "collection": KEY,
        "tenant": "default",
        "priority": Priority.NORMAL,
        "recipe": recipes()[Stage.INDEXED],
        "document": document,
    }
    return NewTask(**values | changes)


def submit(registry: Registry, *names: str, **changes: Any) -> list[str]:
    """Accept one task for each document and return their ids."""
    tasks = [new_task(name, **changes) for name in names]
    registry.tasks.accept(tasks)
    return [task.task_id for task in tasks]


def submit_reindex(
    registry: Registry,
    only: ReindexOnly = ReindexOnly.ALL,
    *document_names: str,
    edition: str = "1",
) -> str:
    task = NewTask(
        task_id=uuid4().hex,
        type=TaskType.REINDEX,
        collection=KEY,
        tenant="default",
        priority=Priority.NORMAL,
        selection=Selection(
            only,
            recipes(edition)[Stage.INDEXED],
            document_ids=tuple(id_of(name) for name in document_names),
        ),
    )
    registry.tasks.accept([task])
    return task.task_id


def delete(registry: Registry, *names: str) -> str:
    """Accept a task that deletes documents and return its id."""
    task = NewTask(
        task_id=uuid4().hex,
        type=TaskType.DELETE,
        collection=KEY,
        tenant="default",
        priority=Priority.NORMAL,
        delete_ids=tuple(id_of(name) for name in names),
    )
    registry.tasks.accept([task])
    return task.task_id


def take(
    registry: Registry,
    key: str = KEY,
    *,
    run_id: str = "run",
    stages: tuple[Stage, ...] = STAGES,
    edition: str = "1",
    document_ids: tuple[str, ...] = (),
    **bounds: Any,
) -> Claim | None:
    """Claim the next batch."""
    limits = {"lease_seconds": 60.0, "max_documents": 64, "max_bytes": 10**9} | bounds
    wanted = Wanted(recipes(edition), stages, stages == STAGES, document_ids)
    claim, _ = registry.claims.take(
        key,
        wanted,
        run_id=run_id,
        backend=Backend.IN_PROCESS,
        task_timeout_seconds=TASK_TIMEOUT_SECONDS,
        **limits,
    )
    return claim


def taken(registry: Registry, **options: Any) -> Claim:
    """Claim the next batch, which there must be."""
    claim = take(registry, **options)
    assert claim is not None
    return claim


def names(claim: Claim | None) -> list[str]:
    return [] if claim is None else [document.name for document in claim.documents]


def done(
    document: Document, stages: Sequence[Stage] = STAGES, edition: str = "1", chunks: int = 2
) -> DocumentResult:
    """The result of a document that went through stages."""
    assert document.sha256 is not None
    return DocumentResult(
        document.document_id,
        document.sha256,
        stages={
            stage: StageResult(
                recipes(edition)[stage],
                digest(document.document_id, document.sha256, recipes(edition)[stage]),
            )
            for stage in stages
        },
        chunks=chunks,
        tokens=10 * chunks,
        index_table=TABLE if Stage.INDEXED in stages else None,
    )


def failed(
    document: Document, kind: ErrorKind = ErrorKind.BROKEN, *, transient: bool = False
) -> DocumentResult:
    """The result of a document that something went wrong with."""
    error = ErrorInfo(kind=kind, message=f"{document.name} went wrong")
    return DocumentResult(document.document_id, document.sha256, error=error, transient=transient)


def asking(document: Document, asks: Ask = Ask.PASSWORD) -> DocumentResult:
    """The result of a document that a person can help on."""
    result = failed(document, ErrorKind.ENCRYPTED)
    result.asks = asks
    return result


def record_only(
    registry: Registry, claim: Claim, *results: DocumentResult
) -> tuple[list[TaskUpdate], list[str]]:
    """Record results; return what happened to tasks, and what the claim had lost."""
    return registry.claims.record(claim, results, input_timeout_seconds=INPUT_TIMEOUT_SECONDS)


def record(registry: Registry, claim: Claim, *results: DocumentResult) -> list[TaskUpdate]:
    """Record results and give back what is left, as a run does."""
    updates, _ = record_only(registry, claim, *results)
    registry.claims.release(claim.claim_id)
    return updates


def index(registry: Registry, *names: str, **changes: Any) -> list[str]:
    """Submit documents and take them through all stages; return their tasks' ids."""
    task_ids = submit(registry, *names, **changes)
    ids = tuple(id_of(name) for name in names)
    claim = taken(registry, document_ids=ids)
    record(registry, claim, *map(done, claim.documents))
    return task_ids


def fail(registry: Registry, name: str, **changes: Any) -> str:
    """Submit a document that something is wrong with; return its task's id."""
    (task_id,) = submit(registry, name, **changes)
    claim = taken(registry, document_ids=(id_of(name),))
    record(registry, claim, failed(claim.documents[0]))
    return task_id


def ask(registry: Registry, name: str, asks: Ask = Ask.PASSWORD) -> str:
    """Submit a document that a person can help on; return the task that asks."""
    (task_id,) = submit(registry, name)
    claim = taken(registry, document_ids=(id_of(name),))
    record(registry, claim, asking(claim.documents[0], asks))
    return task_id


def work_off(registry: Registry, **options: Any) -> list[str]:
    """Take what waits through all stages; return the names of the documents, in order."""
    seen: list[str] = []
    while (claim := take(registry, **options)) is not None:
        edition = options.get("edition", "1")
        record(registry, claim, *(done(each, edition=edition) for each in claim.documents))
        seen += names(claim)
    return seen


def lapse(registry: Registry, claim: Claim) -> None:
    """Let the lease of a claim be over, as if its run had been silent for long."""
    with registry.database.write() as connection:
        connection.execute(
            claims.update().where(claims.c.claim_id == claim.claim_id).values(expires_at=1.0)
        )


def crash(registry: Registry, **options: Any) -> list[str]:
    """Have a run die with the next batch; return what it had."""
    claim = taken(registry, **options)
    registry.claims.give_back_crashed([claim.run_id])
    return names(claim)


def let_deadline_pass(registry: Registry, task_id: str) -> None:
    with registry.database.write() as connection:
        connection.execute(tasks.update().where(tasks.c.task_id == task_id).values(deadline=1.0))


def doubts(registry: Registry) -> set[str]:
    """Return the names of documents of which the index is announced to change, or in doubt."""
    query = sa.select(documents.c.name).join(
        publications, publications.c.document_id == documents.c.document_id
    )
    with registry.database.read() as connection:
        return set(connection.scalars(query))


def finish_deletion(registry: Registry, task_id: str) -> None:
    """Have the rows of what was deleted removed from the index, and the task ended."""
    held = registry.publications.hold_doubtful(KEY, "settle", 60)
    assert held is not None
    registry.publications.settle(held, agreeing=held.document_ids)
    registry.tasks.finish_deletion(task_id)


def let_retries_be_due(registry: Registry) -> None:
    with registry.database.write() as connection:
        connection.execute(documents.update().values(not_before=0.0))


def put_back(registry: Registry, name: str, seconds: float) -> None:
    """Let a document have been asked for so much earlier than it was."""
    with registry.database.write() as connection:
        connection.execute(
            documents.update()
            .where(documents.c.document_id == id_of(name))
            .values(requested_at=documents.c.requested_at - seconds)
        )


def column(registry: Registry, name: str, column: str) -> Any:
    """Read one column of a document, past the registry's own view of it."""
    query = sa.select(documents.c[column]).where(documents.c.document_id == id_of(name))
    with registry.database.read() as connection:
        return connection.scalar(query)


def find(registry: Registry, name: str) -> Document:
    (document,) = registry.documents.find(KEY, [id_of(name)])
    return document


def state(registry: Registry, name: str) -> DocumentState:
    return find(registry, name).state


def task_state(registry: Registry, task_id: str) -> TaskState:
    return registry.tasks.get(task_id).state
