"""Intake: from the task streams into the registry, acknowledged only after the commit.

Intake is idempotent by task id: a message that comes twice, or whose consumer died between
commit and acknowledgement, changes nothing the second time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import STANDARD, ErrorInfo, Stage, document_id
from ingestion_pipeline.model.tasks import BUILDS, COMMANDS, ReindexOnly, TaskMessage, TaskType
from ingestion_pipeline.registry.acceptance import NewTask
from ingestion_pipeline.registry.arrivals import NewDocument
from ingestion_pipeline.registry.documents import Selection
from ingestion_pipeline.storage.objects import SCHEME, object_key
from ingestion_pipeline.storage.source_rules import safe_name
from ingestion_pipeline.storage.sources import check_source, source_name
from ingestion_pipeline.streams.tasks import Entry
from ingestion_pipeline.tasks import commands
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.messages import (
    DataflowOptions,
    IngestOptions,
    ReindexOptions,
    parse_message,
    parse_options,
    without_answer,
)
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

ENTRIES_PER_READ = 200
"""Most entries taken from each stream at a time; bounds the registry transaction."""
STALE_AFTER_SECONDS = 60
"""Silence after which another consumer's unacknowledged entries are taken over."""
MAX_DELIVERIES = 5
"""Deliveries after which a message that intake itself fails on is put aside."""


@dataclass
class Received:
    """What one look at the streams brought."""

    accepted: int = 0
    dead_lettered: int = 0


def receive(services: Services, block_seconds: float, budget_seconds: float) -> Received:
    """Take what the streams hold into the registry, waiting for the first message if need be.

    Args:
        services: where to read from and write to.
        block_seconds: how long to wait while the streams are empty.
        budget_seconds: how long after the first to leave the rest for the next time.

    Raises:
        TransientError: when Redis or the registry does not answer; nothing is lost.
    """
    streams = services.streams
    streams.ensure_groups()
    received = Received()
    entries = streams.claim_stale(STALE_AFTER_SECONDS, ENTRIES_PER_READ)
    entries += streams.read(ENTRIES_PER_READ, 0 if entries else block_seconds)
    began = time.monotonic()
    while entries:
        _take_in(services, entries, received)
        if time.monotonic() - began > budget_seconds:
            break
        entries = streams.read(ENTRIES_PER_READ, 0)
    streams.remove_dead_consumers(STALE_AFTER_SECONDS)
    if received.accepted:
        logger.info("%d messages accepted", received.accepted)
    return received


def new_task(services: Services, message: TaskMessage, task_id: str) -> NewTask:
    """Turn a valid message into a task; what is wrong with its content becomes its error."""
    task = NewTask(
        task_id=task_id,
        type=message.type,
        collection=message.collection,
        tenant=message.tenant,
        priority=message.priority,
        options=message.options,
        document_id=message.document_id,
    )
    try:
        name = CollectionName(message.tenant, message.collection)
        collection = services.registry.collections.get(name.key)
        if message.type in BUILDS:
            return _build_task(task, message)
        options = parse_options(message.type, message.options)
        if message.type is TaskType.DELETE:
            ids = tuple(message.document_ids or [message.document_id or ""])
            return replace(task, delete_ids=ids)
        task = replace(
            task,
            recipe=services.recipes(collection)[Stage.INDEXED],
            pipelines=services.pipeline_recipes(collection),
        )
        if isinstance(options, ReindexOptions):
            ids = tuple(message.document_ids or ())
            return replace(task, selection=selection(task, options.only, ids))
        if isinstance(options, DataflowOptions):
            task = for_pipeline(services, collection, task, options)
            if options.dry_run:
                return _dry_run(services, task, message, collection)
            if message.document_ids:
                ids = tuple(message.document_ids)
                return replace(task, selection=selection(task, ReindexOnly.STALE, ids))
        document = _document(services, message, collection) if message.source else None
        if isinstance(options, IngestOptions):
            task = replace(task, force=options.force, parser=options.parser)
        return replace(task, document=document)
    except PermanentError as error:
        return replace(task, error=ErrorInfo(kind=error.kind, message=error.message))


def _build_task(task: NewTask, message: TaskMessage) -> NewTask:
    options = dict(message.options)
    if message.document_ids:
        options["document_ids"] = message.document_ids
    parse_options(message.type, options)
    return replace(task, options=options)


def _dry_run(
    services: Services, task: NewTask, message: TaskMessage, collection: Collection
) -> NewTask:
    if message.source is None:
        return tries(task, document_ids=message.document_ids or [message.document_id or ""])
    return tries(task, document=_document(services, message, collection))


def tries(
    task: NewTask, *, document: NewDocument | None = None, document_ids: Sequence[str] = ()
) -> NewTask:
    """Have a task only try its pipeline on something; its options say what."""
    options = dict(task.options or {})
    if document_ids:
        options["document_ids"] = list(document_ids)
    if document is not None:
        options["document"] = asdict(document)
    return replace(task, document=None, document_id=None, options=options)


def selection(task: NewTask, only: ReindexOnly, document_ids: tuple[str, ...] = ()) -> Selection:
    """Return which documents a task is about: those named, or else all that ``only`` means."""
    return Selection(
        only,
        task.recipe,
        document_ids=document_ids,
        force=task.force,
        pipelines=task.pipelines,
        rerun=task.rerun,
    )


def for_pipeline(
    services: Services, collection: Collection, task: NewTask, options: DataflowOptions
) -> NewTask:
    """Have the documents of a task belong to a pipeline.

    Raises:
        PermanentError: of kind ``not_found`` if there is none of that name, of kind
            ``invalid_option`` if it has no component ``from_component``.
    """
    name, component = options.pipeline, options.from_component
    if name == STANDARD:
        if component is not None:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                f"{STANDARD!r} has no components to begin from: leave 'from_component' out",
            )
        return replace(task, pipeline=name, force=options.force)
    services.pipeline(name)
    rerun = services.rerun(collection, name, component) if component is not None else None
    return replace(task, pipeline=name, force=options.force or rerun is not None, rerun=rerun)


def _document(services: Services, message: TaskMessage, collection: Collection) -> NewDocument:
    """Describe the document a foreign message names, after checking that it may be read."""
    assert message.source is not None  # noqa: S101 - the caller looked
    uri, name = message.source.uri, message.source.name
    if uri.startswith(SCHEME):
        key = object_key(uri)
        return NewDocument(
            document_id=document_id(collection.key, uri),
            name=safe_name(name or "") or PurePosixPath(key).name,
            uri=uri,
            fetch=False,
            sha256=PurePosixPath(key).name,
            object_key=key,
            bytes=services.objects.size(collection.name, key),
        )
    uri = check_source(uri, services.source_policy)
    return NewDocument(
        document_id=document_id(collection.key, uri),
        name=safe_name(name or "") or source_name(uri),
        uri=uri,
        fetch=True,
    )


def _take_in(services: Services, entries: Sequence[Entry], received: Received) -> None:
    good: list[Entry] = []
    tasks: list[NewTask] = []
    orders: list[tuple[Entry, TaskMessage]] = []
    for entry in entries:
        try:
            message = parse_message(entry.message)
            if message.type in COMMANDS:
                orders.append((entry, message))
                continue
            tasks.append(new_task(services, message, message.task_id or _task_id(entry)))
            good.append(entry)
        except PermanentError as error:
            _put_aside(services, entry, f"{error.kind}: {error.message}", received)
        except TransientError:
            raise
        except Exception as error:
            # Left unacknowledged it comes again; a message that fails each time is put aside.
            logger.exception("intake failed on entry %s of %s", entry.id, entry.stream)
            if entry.deliveries >= MAX_DELIVERIES:
                _put_aside(services, entry, f"{ErrorKind.INTERNAL}: {error}", received)
    updates = services.registry.tasks.accept(tasks)
    if good:
        services.streams.acknowledge(good)
    tell(services.events, updates)
    received.accepted += len(good)
    for entry, message in orders:  # after the tasks that came with them
        _obey(services, entry, message, received)


def _obey(services: Services, entry: Entry, message: TaskMessage, received: Received) -> None:
    """Carry out an order about another task."""
    owner = CollectionName(message.tenant, message.collection)
    try:
        if message.type is TaskType.CANCEL:
            commands.cancel(services, message.task_ref or "", owner)
        else:
            commands.answer(services, message.task_ref or "", message.options, owner)
        services.streams.acknowledge([entry])
        received.accepted += 1
    except PermanentError as error:
        if error.kind is ErrorKind.NOT_FOUND and entry.deliveries < MAX_DELIVERIES:
            return  # its task may be on the slower stream; unacknowledged, it comes again
        _put_aside(services, entry, f"{error.kind}: {error.message}", received)
    if message.type is TaskType.CONTINUE:
        services.streams.forget_answers()


def _put_aside(services: Services, entry: Entry, reason: str, received: Received) -> None:
    services.streams.dead_letter(entry, reason, shown=without_answer(entry.message))
    received.dead_lettered += 1
    logger.warning("entry %s of %s was put aside: %s", entry.id, entry.stream, reason)


def _task_id(entry: Entry) -> str:
    """Make an id for a message that brings none, the same at each delivery."""
    return f"{entry.stream.rpartition(':')[2]}-{entry.id}"
