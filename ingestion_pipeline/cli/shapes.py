"""The JSON shapes that producers and dashboards rely on: names here are fixed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import Document, ErrorInfo
from ingestion_pipeline.model.enrichment import Enrichment
from ingestion_pipeline.model.tasks import Task
from ingestion_pipeline.registry.operations import Operation
from ingestion_pipeline.registry.sources import SourceRecord

if TYPE_CHECKING:  # they import what not every command needs
    from ingestion_pipeline.retrieval import Evaluation
    from ingestion_pipeline.streams.heartbeats import Heartbeat
    from ingestion_pipeline.tasks.generations import State


def iso(seconds: float | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def task_json(task: Task) -> dict[str, Any]:
    """Return a task."""
    return {
        "task_id": task.task_id,
        "batch_id": task.batch_id,
        "type": task.type.value,
        "collection": task.collection,
        "tenant": task.tenant,
        "document_id": task.document_id,
        "state": task.state.value,
        "progress": round(task.progress, 4),
        "attempts": task.attempts,
        "tokens": task.tokens,
        "error": _error(task.error),
        "question": {"asks": task.question.asks.value, "message": task.question.doubt.message}
        if task.question
        else None,
        "backend": task.backend.value if task.backend else None,
        "run_id": task.run_id,
        "created_at": iso(task.created_at),
        "started_at": iso(task.started_at),
        "deadline": iso(task.deadline),
        "finished_at": iso(task.finished_at),
        "messages": list(task.messages),
    }


def document_json(document: Document) -> dict[str, Any]:
    """Return a document."""
    return {
        "document_id": document.document_id,
        "collection": CollectionName.from_key(document.collection_key).name,
        "name": document.name,
        "uri": document.uri,
        "sha256": document.sha256,
        "media_type": document.media_type,
        "parent_id": document.parent_id,
        "parser": document.parser.value if document.parser else None,
        "bytes": document.bytes,
        "state": document.state.value,
        "pages": document.pages,
        "chunks": document.chunks,
        "tokens": document.tokens,
        "pipeline": document.pipeline,
        "error": _error(document.error),
        "stages": dict(document.stages),
        "updated_at": iso(document.updated_at),
    }


def source_json(source: SourceRecord) -> dict[str, Any]:
    """Return a source and how it was last seen."""
    name = CollectionName.from_key(source.collection_key)
    return {
        "source": source.name,
        "kind": source.kind,
        "address": source.address,
        "collection": name.name,
        "tenant": name.tenant,
        "files": source.files,
        "missing": source.missing,
        "looked_at": iso(source.looked_at),
        "complete_at": iso(source.complete_at),
        "problem": source.problem,
    }


def enrichment_json(enrichment: Enrichment | None) -> dict[str, Any]:
    """Return what was added to a document as a whole; empty where nothing was."""
    if enrichment is None:
        return {"language": None, "metadata": {}, "contents": []}
    return {
        "language": enrichment.language,
        "metadata": enrichment.metadata,
        "contents": [
            {"title": entry.title, "level": entry.level, "chunk_ids": list(entry.chunk_ids)}
            for entry in enrichment.toc
        ],
    }


def collection_json(collection: Collection) -> dict[str, Any]:
    """Return a collection with its whole configuration."""
    return {
        "collection": collection.name.name,
        "tenant": collection.name.tenant,
        "config": collection.config.flat(),
        "created_at": iso(collection.created_at),
        "searched_model": collection.searched_model,
    }


def generation_json(state: State) -> dict[str, Any]:
    """Return how the index of another embedding model stands: being filled, or kept."""
    generation = state.generation
    return {
        "model": generation.model,
        "state": "filling" if generation.kept_until is None else "kept",
        "documents": state.filled.documents,
        "documents_searched": state.filled.published,
        "kept_until": iso(generation.kept_until),
        "problem": generation.problem,
    }


def evaluation_json(evaluation: Evaluation, *, with_hits: bool) -> dict[str, Any]:
    """Return the figures of an evaluation, with what was found for each question if asked."""
    shape: dict[str, Any] = {name: round(value, 4) for name, value in evaluation.figures().items()}
    shape["unknown_gold"] = evaluation.unknown_gold
    if with_hits:
        shape["hits"] = [{"id": hits.id, "names": hits.names} for hits in evaluation.hits]
    return shape


def operation_json(operation: Operation) -> dict[str, Any]:
    """Return one entry of the operation log."""
    return {
        "task_id": operation.task_id,
        "type": operation.type,
        "collection": operation.collection,
        "tenant": operation.tenant,
        "document_id": operation.document_id,
        "state": operation.state,
        "progress": operation.progress,
        "tokens": operation.tokens,
        "error": operation.error_message,
        "name": operation.name,
        "suffix": operation.suffix,
        "source": operation.source,
        "pipeline": operation.pipeline,
        "messages": operation.messages.splitlines() if operation.messages else [],
        "began_at": iso(operation.began_at),
        "seconds": round(operation.seconds, 3),
    }


def worker_json(heartbeat: Heartbeat) -> dict[str, Any]:
    """Return the last heartbeat of a worker."""
    return {
        "name": heartbeat.name,
        "ip": heartbeat.ip,
        "pid": heartbeat.pid,
        "boot_at": iso(heartbeat.boot_at.timestamp()),
        "now": iso(heartbeat.now.timestamp()),
        "pending": heartbeat.pending,
        "lag": heartbeat.lag,
        "done": heartbeat.done,
        "failed": heartbeat.failed,
        "current": list(heartbeat.current),
        "memory_bytes": heartbeat.memory_bytes,
        "queues": list(heartbeat.queues),
        "slots": heartbeat.slots,
    }


def _error(error: ErrorInfo | None) -> dict[str, str] | None:
    return {"kind": error.kind.value, "message": error.message} if error else None
