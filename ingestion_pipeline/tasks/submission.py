"""Submitting documents: from files and URLs to accepted tasks.

The bytes are stored first, then the tasks go into the registry, then messages onto the stream.
Accepted means in the registry: a message that is lost changes nothing but the waiting time.
"""

from __future__ import annotations

import logging
import stat
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Lock

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError
from ingestion_pipeline.logs import in_context
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import ErrorInfo, Stage, document_id
from ingestion_pipeline.model.tasks import Priority, ReindexOnly, TaskMessage, TaskType
from ingestion_pipeline.registry.acceptance import NewTask
from ingestion_pipeline.registry.arrivals import NewDocument
from ingestion_pipeline.registry.versions import StampedVersion, Version
from ingestion_pipeline.storage.source_rules import safe_name
from ingestion_pipeline.storage.sources import check_source, source_name
from ingestion_pipeline.tasks import files
from ingestion_pipeline.tasks.deletion import apply_deletions, finish_purges
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.generations import prepare
from ingestion_pipeline.tasks.intake import for_pipeline, selection, tries
from ingestion_pipeline.tasks.messages import (
    DataflowOptions,
    IngestOptions,
    ReindexOptions,
    parse_options,
)
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

TASKS_PER_COMMIT = 1000
"""Bounds the time for which others wait for the registry."""
FILES_AT_ONCE = 8
"""Each takes a millisecond or two of waiting until its bytes are safe."""
LARGE_FILE_BYTES = 4 * 1024 * 1024
"""Of such files one is in memory at a time."""
REMOTE_SCHEMES = ("http://", "https://", "s3://")


@dataclass(frozen=True)
class Submission:
    """Tasks that belong together; ``unchanged`` files of folders need none."""

    batch_id: str
    task_ids: tuple[str, ...]
    unchanged: int


@dataclass(frozen=True)
class _Source:
    """A file or URL that may become a task."""

    place: str | Path
    is_walked: bool
    """Found in a folder, not named."""
    uri: str = ""
    error: ErrorInfo | None = None
    """Why it cannot be read."""


def submit(
    services: Services,
    collection: Collection,
    sources: Sequence[str | Path],
    priority: Priority,
    options: dict[str, object],
    pipeline: str | None = None,
) -> Submission:
    """Accept one task for each file and URL; folders are walked.

    They are ingested as the collection says, or taken through a pipeline. A source that cannot be
    read gives a failed task with the reason, and stops no other. What a folder holds unchanged
    needs no task: of 5,000 files that were submitted before, most are such.

    Raises:
        PermanentError: for options there are not.
    """
    type_ = TaskType.INGEST if pipeline is None else TaskType.DATAFLOW
    options = options if pipeline is None else options | {"pipeline": pipeline}
    parsed = parse_options(type_, options)
    batch_id = uuid.uuid4().hex
    template = replace(_task(services, collection, type_, options), priority=priority)
    template = replace(template, batch_id=batch_id)
    dry_run = isinstance(parsed, DataflowOptions) and parsed.dry_run
    if isinstance(parsed, DataflowOptions):
        template = for_pipeline(services, collection, template, parsed)
    elif isinstance(parsed, IngestOptions):
        template = replace(template, force=parsed.force, parser=parsed.parser)
    task_ids: list[str] = []
    unchanged = 0
    publish = not dry_run  # the registry is enough: no document waits
    for some in _in_parts(_walked(sources)):
        pending = [_located(services, _Source(*each)) for each in some]
        made = _with_documents(services, collection, template, pending, dry_run=dry_run)
        if not dry_run:
            walked = [new for new, source in zip(made, pending, strict=True) if source.is_walked]
            idle = services.registry.tasks.pass_over(walked) if walked else set()
            made = [new for new in made if new.task_id not in idle]
            unchanged += len(idle)
        publish = _accept(services, made, publish=publish)
        task_ids += [new.task_id for new in made]
    return Submission(batch_id, tuple(task_ids), unchanged)


def _in_parts(found: Iterator[tuple[str | Path, bool]]) -> Iterator[list[tuple[str | Path, bool]]]:
    while part := list(islice(found, TASKS_PER_COMMIT)):
        yield part


def submit_reindex(services: Services, collection: Collection, only: ReindexOnly) -> str:
    """Accept a reindex task and return its id."""
    options: dict[str, object] = {"only": only.value}
    parse_options(TaskType.REINDEX, options)
    collection, _ = prepare(services, collection.key)
    task = _task(services, collection, TaskType.REINDEX, options)
    _accept(services, [replace(task, selection=selection(task, ReindexOptions(only=only).only))])
    return task.task_id


def submit_dataflow(
    services: Services,
    collection: Collection,
    pipeline: str,
    document_ids: Sequence[str],
    *,
    from_component: str | None = None,
    dry_run: bool = False,
) -> str:
    """Accept a task that takes known documents through a pipeline, and return its id.

    With ``from_component`` they are done again from there on, also if nothing changed.
    """
    options: dict[str, object] = {"pipeline": pipeline}
    if from_component is not None:
        options["from_component"] = from_component
    if dry_run:
        options["dry_run"] = True
    parsed = parse_options(TaskType.DATAFLOW, options)
    assert isinstance(parsed, DataflowOptions)  # noqa: S101 - for the type checker
    task = _task(services, collection, TaskType.DATAFLOW, options)
    task = for_pipeline(services, collection, task, parsed)
    if dry_run:
        _accept(services, [tries(task, document_ids=document_ids)], publish=False)
        return task.task_id
    chosen = selection(task, ReindexOnly.STALE, tuple(document_ids))
    _accept(services, [replace(task, selection=chosen)])
    return task.task_id


def _task(
    services: Services, collection: Collection, type_: TaskType, options: dict[str, object]
) -> NewTask:
    """Return a task about documents, without these."""
    return NewTask(
        task_id=uuid.uuid4().hex,
        type=type_,
        collection=collection.name.name,
        tenant=collection.name.tenant,
        priority=Priority.NORMAL,
        recipe=services.recipes(collection)[Stage.INDEXED],
        options=options,
        pipelines=services.pipeline_recipes(collection),
    )


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


def _accept(services: Services, tasks: Sequence[NewTask], *, publish: bool = True) -> bool:
    """Accept tasks and ``publish`` messages about them; return whether that is worth while."""
    updates = services.registry.tasks.accept(tasks)
    tell(services.events, updates)
    ended = {update.task_id for update in updates if update.state.final}
    waiting = [task for task in tasks if task.task_id not in ended]
    if not (publish and waiting):
        return publish
    messages = [_message(task).model_dump_json() for task in waiting]
    try:
        services.streams.publish(messages, waiting[0].priority)  # which is that of all
    except IngestError as error:
        logger.info("the tasks are accepted and wait for the next look at the registry: %s", error)
        return False
    return True


def _message(task: NewTask) -> TaskMessage:
    """Return the message that tells of an accepted task; intake finds its id known."""
    return TaskMessage(
        type=task.type,
        collection=task.collection,
        task_id=task.task_id,
        tenant=task.tenant,
        priority=task.priority,
        document_id=task.document.document_id if task.document else None,
        document_ids=_named(task),
        options=task.options or {},
    )


def _named(task: NewTask) -> list[str] | None:
    """Return the documents that a message has to name; a reindex means those that it selects."""
    if task.type is not TaskType.DATAFLOW or task.selection is None:
        return None
    return list(task.selection.document_ids)


def _located(services: Services, source: _Source) -> _Source:
    """Add its URI to a source, or why there is none."""
    try:
        if isinstance(source.place, str):
            return replace(source, uri=check_source(source.place, services.source_policy))
        return replace(source, uri=_file_uri(source.place))
    except IngestError as error:
        return replace(source, error=ErrorInfo(kind=error.kind, message=error.message))


def _with_documents(
    services: Services,
    collection: Collection,
    template: NewTask,
    pending: Sequence[_Source],
    *,
    dry_run: bool,
) -> list[NewTask]:
    """Make a task of each source, with what its document is now, or why that cannot be known.

    Files that have to be read and stored are side by side: each waits for the disk.
    """
    ids = [document_id(collection.key, source.uri) for source in pending]
    before = services.registry.documents.stamped(ids)
    known = [
        _known(services, collection, source, id_, before, force=template.force)
        for source, id_ in zip(pending, ids, strict=True)
    ]
    unknown = [
        (source, id_)
        for source, id_, found in zip(pending, ids, known, strict=True)
        if found is None
    ]
    services.objects  # noqa: B018 - opened once, not by each thread
    with ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="read") as pool:
        read = pool.map(in_context(partial(_read, services, collection, Lock())), unknown)
        made = [_task_about(template, found or next(read)) for found in known]
    return [tries(each, document=each.document) for each in made] if dry_run else made


def _task_about(template: NewTask, found: NewDocument | ErrorInfo) -> NewTask:
    task_id = uuid.uuid4().hex
    if isinstance(found, ErrorInfo):
        return replace(template, task_id=task_id, error=found)
    return replace(template, task_id=task_id, document=found)


def _known(
    services: Services,
    collection: Collection,
    source: _Source,
    id_: str,
    before: Mapping[tuple[str, str], StampedVersion],
    *,
    force: bool,
) -> NewDocument | ErrorInfo | None:
    """Describe what need not be read: a URL, a file that was read before. Else return None."""
    if source.error or isinstance(source.place, str):
        return source.error or NewDocument(id_, source_name(source.uri), source.uri, fetch=True)
    stamp = None if force else files.stamp(source.place)
    version = before.get((id_, stamp)) if stamp else None
    try:
        if version is None or not _is_kept(services, collection, version):
            return None
    except IngestError as error:
        return ErrorInfo(kind=error.kind, message=error.message)
    return _document(id_, source, version, None)


def _read(
    services: Services, collection: Collection, one_at_a_time: Lock, unknown: tuple[_Source, str]
) -> NewDocument | ErrorInfo:
    """Read a file, and store its bytes."""
    source, id_ = unknown
    path = Path(source.place)
    try:
        with one_at_a_time if files.is_larger(path, LARGE_FILE_BYTES) else nullcontext():
            data, stamp = files.read(path, services.settings.max_file_bytes)
            key, sha256 = services.objects.put(collection.name, data)
        return _document(id_, source, Version(sha256, key, len(data)), stamp)
    except IngestError as error:
        return ErrorInfo(kind=error.kind, message=error.message)


def _document(id_: str, source: _Source, version: Version, stamp: str | None) -> NewDocument:
    """Describe a file; ``stamp`` is not None if it is not on record yet."""
    return NewDocument(
        document_id=id_,
        name=safe_name(Path(source.place).name) or "document",
        uri=source.uri,
        fetch=False,
        sha256=version.sha256,
        object_key=version.object_key,
        bytes=version.bytes,
        stamp=stamp,
    )


def _is_kept(services: Services, collection: Collection, version: StampedVersion) -> bool:
    """Whether the bytes of a version are there and stay; nothing removes those of a current one."""
    return version.is_current or services.objects.renew(collection.name, version.object_key)


def _file_uri(path: Path) -> str:
    # As with foreign file: sources, links stay as they are; what '..' means depends on them.
    try:
        return (path.resolve() if ".." in path.parts else path.absolute()).as_uri()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links is a RuntimeError
        raise PermanentError(ErrorKind.NOT_FOUND, f"there is no file {path}") from error


def _walked(sources: Sequence[str | Path]) -> Iterator[tuple[str | Path, bool]]:
    """Yield what is named, or found in folders, and whether it was found."""
    for source in sources:
        if isinstance(source, str) and source.startswith(REMOTE_SCHEMES):
            yield source, False
        else:
            path = Path(source)
            for file in _files(path, set()):
                yield file, file != path


def _files(path: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield a file, or the files of a folder tree in order, without hidden ones.

    Links are followed, but no folder twice. What cannot be looked at is yielded too: whoever reads
    it learns why.
    """
    try:
        status = path.stat()
        entries = sorted(path.absolute().iterdir()) if stat.S_ISDIR(status.st_mode) else None
    except (OSError, ValueError):
        entries = None
    if entries is None:
        yield path
    elif (status.st_dev, status.st_ino) not in seen:
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if not entry.name.startswith("."):
                yield from _files(entry, seen)
