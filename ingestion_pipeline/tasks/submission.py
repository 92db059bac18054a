"""Submitting documents: from files and URLs to accepted tasks.

The bytes are stored first, then the tasks go into the registry, then messages onto the stream.
Accepted means in the registry: a message that is lost changes nothing but the waiting time.
"""

from __future__ import annotations

import logging
import stat
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import ErrorInfo, Stage, document_id
from ingestion_pipeline.model.tasks import Priority, ReindexOnly, TaskMessage, TaskType
from ingestion_pipeline.registry.acceptance import NewTask
from ingestion_pipeline.registry.arrivals import NewDocument
from ingestion_pipeline.registry.documents import Selection
from ingestion_pipeline.storage.source_rules import safe_name
from ingestion_pipeline.storage.sources import check_source, source_name
from ingestion_pipeline.tasks.deletion import apply_deletions, finish_purges
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.messages import IngestOptions, ReindexOptions, parse_options
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

TASKS_PER_COMMIT = 200
"""Bounds the time for which others wait for the registry."""
REMOTE_SCHEMES = ("http://", "https://", "s3://")


@dataclass(frozen=True)
class Submission:
    """Tasks that belong together."""

    batch_id: str
    task_ids: tuple[str, ...]


def submit(
    services: Services,
    collection: Collection,
    sources: Sequence[str | Path],
    priority: Priority,
    options: dict[str, object],
) -> Submission:
    """Accept one ingest task for each file and URL; folders are walked.

    A source that cannot be read gives a failed task with the reason, and stops no other.

    Raises:
        PermanentError: for options there are not.
    """
    parsed = parse_options(TaskType.INGEST, options)
    assert isinstance(parsed, IngestOptions)  # noqa: S101 - for the type checker
    batch_id = uuid.uuid4().hex
    recipe = services.recipes(collection)[Stage.INDEXED]
    task_ids: list[str] = []
    pending: list[NewTask] = []
    for source in _walked(sources):
        task = NewTask(
            task_id=uuid.uuid4().hex,
            type=TaskType.INGEST,
            collection=collection.name.name,
            tenant=collection.name.tenant,
            priority=priority,
            recipe=recipe,
            batch_id=batch_id,
            options=options,
            force=parsed.force,
            parser=parsed.parser,
        )
        pending.append(_with_document(services, collection, task, source))
        task_ids.append(task.task_id)
        if len(pending) == TASKS_PER_COMMIT:
            _accept(services, pending)
            pending = []
    _accept(services, pending)
    return Submission(batch_id, tuple(task_ids))


def submit_reindex(services: Services, collection: Collection, only: ReindexOnly) -> str:
    """Accept a reindex task and return its id."""
    options = {"only": only.value}
    parse_options(TaskType.REINDEX, options)
    task_id = uuid.uuid4().hex
    recipe = services.recipes(collection)[Stage.INDEXED]
    _accept(
        services,
        [
            NewTask(
                task_id=task_id,
                type=TaskType.REINDEX,
                collection=collection.name.name,
                tenant=collection.name.tenant,
                priority=Priority.NORMAL,
                options=options,
                selection=Selection(ReindexOptions(only=only).only, recipe),
            )
        ],
    )
    return task_id


def submit_deletion(
    services: Services, collection: Collection, document_ids: Sequence[str], *, purge: bool
) -> str:
    """Accept a delete task and return its id; the documents are invisible when this returns."""
    options = {"purge": purge}
    parse_options(TaskType.DELETE, options)
    task_id = uuid.uuid4().hex
    task = NewTask(
        task_id=task_id,
        type=TaskType.DELETE,
        collection=collection.name.name,
        tenant=collection.name.tenant,
        priority=Priority.HIGH,
        options=options,
        delete_ids=tuple(document_ids),
    )
    tell(services.events, services.registry.tasks.accept([task]))
    apply_deletions(services)
    if purge:
        finish_purges(services)
    return task_id


def submit_build(
    services: Services,
    collection: Collection,
    kind: TaskType,
    document_ids: Sequence[str] = (),
) -> str:
    """Accept a task that builds something of a collection, or of some documents; return its id."""
    options: dict[str, object] = {"document_ids": list(document_ids)} if document_ids else {}
    parse_options(kind, options)
    task = NewTask(
        task_id=uuid.uuid4().hex,
        type=kind,
        collection=collection.name.name,
        tenant=collection.name.tenant,
        priority=Priority.NORMAL,
        options=options,
    )
    _accept(services, [task])
    return task.task_id


def _accept(services: Services, tasks: Sequence[NewTask]) -> None:
    tell(services.events, services.registry.tasks.accept(tasks))
    try:
        for task in tasks:
            if task.error is None:
                services.streams.publish(_message(task).model_dump_json(), task.priority)
    except IngestError as error:
        logger.info("the tasks are accepted and wait for the next look at the registry: %s", error)


def _message(task: NewTask) -> TaskMessage:
    """Return the message that tells of an accepted task; intake finds its id known."""
    return TaskMessage(
        type=task.type,
        collection=task.collection,
        task_id=task.task_id,
        tenant=task.tenant,
        priority=task.priority,
        document_id=task.document.document_id if task.document else None,
        options=task.options or {},
    )


def _with_document(
    services: Services, collection: Collection, task: NewTask, source: str | Path
) -> NewTask:
    try:
        return replace(task, document=_document(services, collection, source))
    except IngestError as error:
        return replace(task, error=ErrorInfo(kind=error.kind, message=error.message))


def _document(services: Services, collection: Collection, source: str | Path) -> NewDocument:
    if isinstance(source, str):
        uri = check_source(source, services.source_policy)
        return NewDocument(document_id(collection.key, uri), source_name(uri), uri, fetch=True)
    data = _read(source, services.settings.max_file_bytes)
    key, sha256 = services.objects.put(collection.name, data)
    # As with foreign file: sources, links stay as they are; what '..' means depends on them.
    uri = (source.resolve() if ".." in source.parts else source.absolute()).as_uri()
    return NewDocument(
        document_id=document_id(collection.key, uri),
        name=safe_name(source.name) or "document",
        uri=uri,
        fetch=False,
        sha256=sha256,
        object_key=key,
        bytes=len(data),
    )


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        if path.is_dir():
            raise PermanentError(
                ErrorKind.FORBIDDEN_SOURCE,
                f"the folder {path} cannot be listed: correct its permissions",
            )
        if path.exists() and not path.is_file():
            raise PermanentError(
                ErrorKind.UNSUPPORTED, f"{path} is neither a file nor a folder: submit a copy"
            )
        size = path.stat().st_size
        if size > max_bytes:
            raise PermanentError(
                ErrorKind.TOO_LARGE,
                f"{path.name} has {size:,} bytes; the limit is {max_bytes:,} "
                "(INGEST_MAX_FILE_BYTES)",
            )
        if size == 0:
            raise PermanentError(
                ErrorKind.EMPTY, f"{path.name} is empty: nothing can be found in it"
            )
        return path.read_bytes()
    except (FileNotFoundError, ValueError) as error:  # a path with a NUL is a ValueError
        raise PermanentError(ErrorKind.NOT_FOUND, f"there is no file {path}") from error
    except OSError as error:
        raise PermanentError(
            ErrorKind.FORBIDDEN_SOURCE, f"{path} cannot be read: {error.strerror}"
        ) from error


def _walked(sources: Sequence[str | Path]) -> Iterator[str | Path]:
    for source in sources:
        if isinstance(source, str) and source.startswith(REMOTE_SCHEMES):
            yield source
        else:
            yield from _files(Path(source), set())


def _files(path: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield a file, or the files of a folder tree in order, without hidden ones.

    Links are followed, but no folder twice. What cannot be looked at is yielded too: whoever reads
    it learns why.
    """
    try:
        status = path.stat()
        entries = sorted(path.iterdir()) if stat.S_ISDIR(status.st_mode) else None
    except (OSError, ValueError):
        entries = None
    if entries is None:
        yield path
    elif (status.st_dev, status.st_ino) not in seen:
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if not entry.name.startswith("."):
                yield from _files(entry, seen)
