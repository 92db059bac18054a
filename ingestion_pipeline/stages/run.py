"""Streaming a batch of documents through the selected stages.

Documents are prepared (sourced, parsed, chunked) side by side, each parse in a child process,
while those prepared before are embedded in groups; then the batch is published in one commit.
One bad document never fails the batch: its error is its result.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from typing import TypeVar

from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import (
    ErrorKind,
    IngestError,
    PermanentError,
    StopWorkError,
    TransientError,
)
from ingestion_pipeline.model.documents import STAGES, ErrorInfo, Stage
from ingestion_pipeline.registry.claims import Claim, DocumentResult
from ingestion_pipeline.stages import chunked, embedded, indexed, parsed, sourced
from ingestion_pipeline.stages.work import Step, Tools, Work

logger = logging.getLogger(__name__)
T = TypeVar("T")

CHUNKS_PER_EMBEDDING_GROUP = 512
"""Enough for long batches of texts of equal length, little enough for memory."""
CHECK_SECONDS = 0.5
"""How often a wait looks whether the work must stop."""
INTERRUPT_SECONDS = 0.05
"""How long parses get to notice that they are stopped, before they are stopped once more."""


def run(
    claim: Claim,
    stages: Sequence[Stage],
    tools: Tools,
    control: Control,
    before_commit: Callable[[], None],
) -> list[Work]:
    """Bring the selected stages of the claimed documents up to date.

    Returns one ``Work`` for each document, in the claim's order; what went wrong with a document
    is in its result. Raises only what ``control`` and ``before_commit`` raise to stop the work.
    """
    selected = tuple(stage for stage in STAGES if stage in stages)
    recipes = tools.recipes
    works = [
        Work(document, recipes, DocumentResult(document.document_id, document.sha256))
        for document in claim.documents
    ]
    group: list[Work] = []
    with closing(_prepared(works, selected, tools, control)) as prepared:
        for work in prepared:
            if work.chunks is None or work.result.error:
                continue
            group.append(work)
            if sum(len(member.chunks or ()) for member in group) >= CHUNKS_PER_EMBEDDING_GROUP:
                _embed(group, selected, tools, control)
                group = []
        _embed(group, selected, tools, control)
    if Stage.INDEXED in selected:
        embedded_works = [w for w in works if w.vectors is not None and not w.result.error]
        _publish(embedded_works, tools, claim, before_commit)
    return works


def _prepared(
    works: Sequence[Work], selected: Sequence[Stage], tools: Tools, control: Control
) -> Generator[Work, None, None]:
    """Prepare documents in threads and yield them in order, watching for a reason to stop."""
    pool = ThreadPoolExecutor(tools.parallel, thread_name_prefix="prepare")
    futures = [
        pool.submit(_guarded, [work], partial(_prepare, work, selected, tools)) for work in works
    ]
    try:
        for work, future in zip(works, futures, strict=True):
            while not wait([future], CHECK_SECONDS).done:
                control.check()
            future.result()
            _tell_prepared(work, control)
            yield work
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        while under_way := [future for future in futures if not future.done()]:
            tools.parsers.interrupt()  # so that the threads that wait for a parse end too
            wait(under_way, INTERRUPT_SECONDS)
        raise
    finally:
        pool.shutdown()


def _prepare(work: Work, selected: Sequence[Stage], tools: Tools) -> None:
    if Stage.SOURCED in selected:
        sourced.run(work, tools)
    elif work.document.sha256 is not None:
        work.has_version(work.document.sha256)
    else:
        work.waits_for = Stage.SOURCED
        return
    if selected == STAGES and work.is_recorded(Stage.INDEXED) and not work.document.force:
        for stage in STAGES[1:]:
            work.steps[stage] = Step(computed=False, seconds=0.0)
            work.done(stage)
        return
    work.parsed = _obtain(
        work,
        Stage.PARSED,
        selected,
        run=lambda: parsed.run(work, tools),
        load=lambda: parsed.load(work, tools),
    )
    content = work.parsed
    if content is None:
        return
    work.chunks = _obtain(
        work,
        Stage.CHUNKED,
        selected,
        run=lambda: chunked.run(work, tools, content),
        load=lambda: chunked.load(work, tools),
    )
    if work.chunks is not None:
        work.result.chunks = len(work.chunks)
        work.result.tokens = sum(chunk.tokens for chunk in work.chunks)


def _embed(
    works: Sequence[Work], selected: Sequence[Stage], tools: Tools, control: Control
) -> None:
    if Stage.EMBEDDED in selected and works:
        control.check()
        _guarded(works, lambda: embedded.run(works, tools, control))
        if len(works) > 1 and any(work.result.error for work in works):
            _embed_singly(works, tools, control)
    elif Stage.INDEXED in selected:
        for work in works:
            work.vectors = _obtain(
                work,
                Stage.EMBEDDED,
                selected,
                run=lambda: None,
                load=partial(embedded.load, work, tools),
            )
    for work in works:
        if work.vectors is not None:
            message = f"{len(work.vectors)} chunks embedded."
            control.progress(work.document.document_id, Stage.EMBEDDED, 0.9, message)


def _embed_singly(works: Sequence[Work], tools: Tools, control: Control) -> None:
    """Find the document that spoils its group: each is tried alone."""
    for work in works:
        work.result.error = None
        _guarded([work], partial(embedded.run, [work], tools, control))


def _publish(
    works: Sequence[Work], tools: Tools, claim: Claim, before_commit: Callable[[], None]
) -> None:
    changed = []
    for work in works:
        if work.is_recorded(Stage.INDEXED) and not work.document.force:
            work.steps[Stage.INDEXED] = Step(computed=False, seconds=0.0)
            work.done(Stage.INDEXED)
        else:
            changed.append(work)
    if changed:
        _guarded(changed, lambda: indexed.run(changed, tools, claim.claim_id, before_commit))


def _obtain(
    work: Work,
    stage: Stage,
    selected: Sequence[Stage],
    *,
    run: Callable[[], T | None],
    load: Callable[[], T | None],
) -> T | None:
    """Run a selected stage; of one that is not selected, load the result later stages need."""
    if stage in selected:
        return run()
    if STAGES.index(stage) > max(map(STAGES.index, selected)):
        return None
    value = load() if work.is_recorded(stage) else None
    if value is None:
        work.waits_for = stage
    return value


def _guarded(works: Sequence[Work], action: Callable[[], None]) -> None:
    """Do something for documents; what goes wrong becomes their result."""
    try:
        action()
    except StopWorkError:
        raise
    except IngestError as error:
        _failed(works, error)
    except Exception as error:
        logger.exception("unexpected error with %s", [work.document.name for work in works])
        message = f"unexpected {type(error).__name__}: {error}; see the log, and report this"
        _failed(works, PermanentError(ErrorKind.INTERNAL, message))


def _failed(works: Sequence[Work], error: IngestError) -> None:
    for work in works:
        work.result.error = ErrorInfo(kind=error.kind, message=error.message)
        work.result.transient = isinstance(error, TransientError)


def _tell_prepared(work: Work, control: Control) -> None:
    if work.chunks is None or work.result.error:
        return
    pages = f"Page(1~{work.result.pages}): " if work.result.pages else ""
    message = f"{pages}{len(work.chunks)} chunks."
    control.progress(work.document.document_id, Stage.CHUNKED, 0.5, message)
