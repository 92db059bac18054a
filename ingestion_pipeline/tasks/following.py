"""Following a source: what is new, changed or gone there becomes tasks.

Belongs here: what a look at a source means for its documents. Does not belong here: looking
(``storage.listing``) and what was seen last time (``registry.sources``).

Nothing is forgotten and nothing is deleted by mistake: a look that failed says nothing about what
was not seen, a look that was cut short is gone on with, and documents go only when a whole look has
shown that their files are gone.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import ErrorInfo, Stage, document_id
from ingestion_pipeline.model.tasks import Priority, TaskType
from ingestion_pipeline.registry.acceptance import NewTask
from ingestion_pipeline.registry.arrivals import NewDocument
from ingestion_pipeline.registry.sources import SourceFile
from ingestion_pipeline.storage.listing import Found, Source, Unknown, Vanished
from ingestion_pipeline.storage.sources import check_source, source_name
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
"""Longest wait for one answer of a source; a tick may take 60 seconds."""
FILES_PER_TICK = 500
"""Most files that a tick hands over, and most documents that it deletes."""
FEW = 3
"""So many files may vanish at once, however few there are."""


@dataclass(frozen=True)
class Changes:
    """What a look has shown; all by URI."""

    wanted: tuple[Found, ...]
    """New or changed: to be handed over."""
    back: tuple[str, ...]
    """Missing the last time, and there again."""
    missing: tuple[str, ...]
    """There the last time, and gone."""


@dataclass(frozen=True)
class Sweep:
    """What becomes of the files that are missing."""

    gone: tuple[SourceFile, ...] = ()
    """Their documents are to go now."""
    waiting: int = 0
    """They may have got another name, whose document is on its way."""
    held: int = 0
    """Too many at once: somebody has to confirm it."""


@dataclass(frozen=True)
class Followed:
    """What a tick found and did."""

    source: str
    files: int
    """Known now."""
    wanted: int
    deleted: int
    waiting: int
    held: int
    unknown: tuple[Unknown, ...]
    position: str
    """Where the next look goes on; empty: it begins anew."""

    @property
    def summary(self) -> str:
        """Say it in one line."""
        said = [
            f"{self.files} files known",
            f"{self.wanted} new or changed",
            f"{self.deleted} documents deleted",
        ]
        if self.waiting:
            said.append(f"{self.waiting} vanished, to be deleted when what is new is indexed")
        if self.unknown:
            first = self.unknown[0].reason
            said.append(f"{len(self.unknown)} places could not be looked at, the first: {first}")
        if self.position:
            said.append("the look goes on at the next tick")
        return f"{held_back(self.source, self.held)}{'; '.join(said)}"


def held_back(source: str, held: int) -> str:
    """Say that files vanished and their documents did not."""
    if not held:
        return ""
    return (
        f"HELD BACK: {held} files vanished at once and their documents stay. If that is right, "
        f"`ingest sources confirm {source}`; if not, bring the files back. "
    )


def follow(services: Services, source: Source, position: str) -> Followed:
    """Look at a source from a position on, and hand over what changed.

    Raises:
        IngestError: when the source cannot be looked at; its documents stay as they are.
    """
    sources = services.registry.sources
    collection, _ = services.registry.collections.ensure(source.collection)
    sources.ensure(source.name, collection.key, source.kind, source.address)
    known = sources.files(source.name)
    try:
        listing, until = _look(services, source, position, known)
    except IngestError as error:
        sources.record(source.name, [], complete=False, problem=error.message)
        logger.warning("source %s: %s", source.name, error.message)
        raise
    changes = plan(listing, known, after=position, until=until)
    handed_over = _hand_over(services, collection, changes.wanted)
    unknown = tuple(each for each in listing if isinstance(each, Unknown))
    sources.record(
        source.name,
        handed_over,
        changes.back,
        changes.missing,
        complete=until is None and not unknown,
        problem=unknown[0].reason if unknown else None,
    )
    swept = Sweep()
    if until is None:
        known = sources.files(source.name)
        being_written = [
            each.bytes for each in listing if isinstance(each, Found) and not each.settled
        ]
        swept = sweep(known, sources.arriving(source.name) + being_written, source)
        _remove(services, collection, source, swept.gone)
    followed = Followed(
        source=source.name,
        files=len(known) - len(swept.gone),
        wanted=len(handed_over),
        deleted=len(swept.gone) if source.vanished is Vanished.DELETE else 0,
        waiting=swept.waiting,
        held=swept.held,
        unknown=unknown,
        position=until or "",
    )
    say = logger.warning if swept.held or unknown else logger.info
    if handed_over or swept.gone or swept.held or unknown:
        say("source %s: %s", source.name, followed.summary)
    return followed


def plan(
    listing: Sequence[Found | Unknown],
    known: Sequence[SourceFile],
    *,
    after: str = "",
    until: str | None = None,
) -> Changes:
    """Compare a part of a source with what was known of that part.

    Args:
        listing: what was found from behind ``after`` up to ``until`` (None: the end), by URI.
        known: what was known of the whole source.
        after: where the look began.
        until: where it was cut short.
    """
    before = {file.uri: file for file in known}
    unknown = [each for each in listing if isinstance(each, Unknown)]
    there = {each.uri: each for each in listing if isinstance(each, Found)}
    in_part = [file for file in known if file.uri > after and (until is None or file.uri <= until)]
    return Changes(
        wanted=tuple(found for found in there.values() if _is_new(found, before.get(found.uri))),
        back=tuple(file.uri for file in in_part if file.missing and file.uri in there),
        missing=tuple(
            file.uri
            for file in in_part
            if not file.missing
            and file.uri not in there
            and not any(each.covers(file.uri) for each in unknown)
        ),
    )


def sweep(files: Sequence[SourceFile], arriving: Sequence[int | None], source: Source) -> Sweep:
    """Decide what becomes of what is missing, after a source was seen as a whole.

    A file that got another name is one that is gone and one that is new: the old document stays
    until the new one can be found. As nobody opens the files here, any new one of that size may be
    it.

    Args:
        files: what is known of the source.
        arriving: the sizes of what is new there and no reader finds yet.
        source: how much may vanish, and what becomes of it.
    """
    missing = [file for file in files if file.missing]
    if source.vanished is Vanished.KEEP:
        return Sweep(gone=tuple(missing))
    doubtful = sum(not file.confirmed for file in missing)
    held = doubtful if _too_many(doubtful, len(files), source.max_vanished) else 0
    free = [file for file in missing if file.confirmed or not held]
    gone = [file for file in free if not _may_be_renamed(file, arriving)]
    return Sweep(tuple(gone[:FILES_PER_TICK]), len(free) - len(gone), held)


def _too_many(vanished: int, files: int, share: float) -> bool:
    """Whether so many files at once look like a folder that is not mounted."""
    return vanished > share * files and (vanished > FEW or vanished == files)


def _may_be_renamed(file: SourceFile, arriving: Sequence[int | None]) -> bool:
    return any(size is None or file.bytes is None or size == file.bytes for size in arriving)


def _is_new(found: Found, before: SourceFile | None) -> bool:
    return found.settled and (before is None or before.signature != found.signature)


def _look(
    services: Services, source: Source, position: str, known: Sequence[SourceFile]
) -> tuple[list[Found | Unknown], str | None]:
    """Return what a source holds from a position on, and where that was cut short, if it was."""
    deadline = time.monotonic() + source.budget_seconds
    policy = replace(services.source_policy, timeout_seconds=ANSWER_SECONDS)
    before = {file.uri: file for file in known}
    signatures = {file.uri: file.signature for file in known}
    listing: list[Found | Unknown] = []
    wanted = 0
    for found in source.lister.look(policy, position, signatures):
        listing.append(found)
        wanted += isinstance(found, Found) and _is_new(found, before.get(found.uri))
        if wanted == FILES_PER_TICK or time.monotonic() > deadline:
            return listing, found.uri
    return listing, None


def _hand_over(
    services: Services, collection: Collection, wanted: Sequence[Found]
) -> list[SourceFile]:
    """Accept an ingest task for each file; return them as they are known from then on."""
    if not wanted:
        return []
    recipe = services.recipes(collection)[Stage.INDEXED]
    batch_id = uuid.uuid4().hex
    tasks = [_ingest_task(services, collection, found, recipe, batch_id) for found in wanted]
    tell(services.events, services.registry.tasks.accept(tasks))
    return [
        SourceFile(found.uri, document_id(collection.key, found.uri), found.signature, found.bytes)
        for found in wanted
    ]


def _ingest_task(
    services: Services, collection: Collection, found: Found, recipe: str, batch_id: str
) -> NewTask:
    document, error = None, None
    try:
        uri = check_source(found.uri, services.source_policy)
        document = NewDocument(document_id(collection.key, uri), source_name(uri), uri, fetch=True)
    except IngestError as refused:
        error = ErrorInfo(kind=refused.kind, message=refused.message)
    return NewTask(
        task_id=uuid.uuid4().hex,
        type=TaskType.INGEST,
        collection=collection.name.name,
        tenant=collection.name.tenant,
        priority=Priority.NORMAL,
        recipe=recipe,
        batch_id=batch_id,
        document=document,
        error=error,
    )


def _remove(
    services: Services, collection: Collection, source: Source, gone: Sequence[SourceFile]
) -> None:
    """Forget files, and have their documents deleted unless they are to be kept."""
    if not gone:
        return
    documents: list[str] = []
    if source.vanished is Vanished.DELETE:
        documents = services.registry.sources.removable([file.document_id for file in gone])
    if documents:
        task = NewTask(
            task_id=uuid.uuid4().hex,
            type=TaskType.DELETE,
            collection=collection.name.name,
            tenant=collection.name.tenant,
            priority=Priority.HIGH,
            delete_ids=tuple(documents),
        )
        tell(services.events, services.registry.tasks.accept([task]))
    # After the task, so that a crash in between repeats it rather than loses it.
    services.registry.sources.drop(source.name, [file.uri for file in gone])
