"""Streaming a batch of documents through the selected stages.

Documents are prepared (sourced, parsed, chunked) side by side, each parse in a child process,
while those that are ready are embedded in groups; then the batch is published in one commit.
One bad document never fails the batch: its error is its result.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

from ingestion_pipeline.control import Control, NoControl
from ingestion_pipeline.errors import (
    ErrorKind,
    IngestError,
    InputNeededError,
    PermanentError,
    StopWorkError,
    TransientError,
    WithdrawnError,
)
from ingestion_pipeline.logs import in_context, log_context
from ingestion_pipeline.memory import give_back
from ingestion_pipeline.model.documents import STAGES, ErrorInfo, Stage
from ingestion_pipeline.registry.arrivals import Attached
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.registry.results import DocumentResult
from ingestion_pipeline.side_by_side import Together, in_order
from ingestion_pipeline.stages import chunked, embedded, enriched, indexed, parsed, sourced
from ingestion_pipeline.stages.work import Step, Tools, Work

logger = logging.getLogger(__name__)
T = TypeVar("T")

CHUNKS_PER_EMBEDDING_GROUP = 128
"""Enough for texts of about equal length to stand together (9 % is padding, of 1,853 chunks in one
group it was 3 %), few enough for others to be prepared meanwhile."""
GROUPS_AT_ONCE = 2
"""While one is stored, the model reads the other."""
CHUNKS_BESIDE_THE_MODEL = 8192
"""From so many on, rows and the model are not held at the same time. It is loaded again within a
second; embedding so many takes minutes."""
CHECK_SECONDS = 0.2
"""How often a wait looks whether the work must stop."""
INTERRUPT_SECONDS = 0.05
"""How long parses get to notice that they are stopped, before they are stopped once more."""

Announce = Callable[[Mapping[str, Attached | None]], AbstractSet[str]]
"""Told which documents are about to be published, and what is attached to them, right before each
attempt; returns those that may be."""


def run(
    claim: Claim,
    stages: Sequence[Stage],
    tools: Tools,
    control: Control,
    announce: Announce,
    step: str | None = None,
) -> list[Work]:
    """Bring the selected stages of the claimed documents up to date.

    With ``step``, which is the last of the stages or a part of the one after them, that is what
    this is about: of the stages before it the stored results are used.

    Returns one ``Work`` for each document, in the claim's order; what went wrong with a document
    is in its result. Raises only what ``control`` and ``announce`` raise to stop the work.
    """
    selected = tuple(stage for stage in STAGES if stage in stages)
    recipes = tools.recipes
    works = [
        Work(
            document,
            recipes,
            DocumentResult(document.document_id, document.sha256),
            claim.task_ids.get(document.document_id, ()),
            redo=step,
        )
        for document in claim.documents
    ]
    with (
        closing(_prepared(works, selected, tools, control)) as prepared,
        _embedding() as pool,
        Together(control) as together,
    ):
        if Stage.EMBEDDED in selected:
            pool.submit(tools.embedder.load)
        if Stage.INDEXED in selected:
            pool.submit(tools.index.connect)
        embed = partial(_embed, selected=selected, tools=tools, control=together)
        for _ in in_order(pool, embed, _groups(prepared), GROUPS_AT_ONCE):
            pass
    if Stage.INDEXED in selected:
        embedded_works = [w for w in works if w.vectors is not None and not w.result.error]
        _publish(embedded_works, tools, claim, announce)
        give_back()  # to what comes next, which may be the index's upkeep
    return works


def _prepared(
    works: Sequence[Work], selected: Sequence[Stage], tools: Tools, control: Control
) -> Generator[Work, None, None]:
    """Prepare documents in threads, and yield each that is wanted as soon as it is ready."""
    pool = ThreadPoolExecutor(tools.parallel, thread_name_prefix="prepare")
    stopping = threading.Event()
    futures = {
        pool.submit(
            in_context(_guarded),
            [work],
            partial(_prepare, work, selected, tools, _Preparing(work, stopping)),
        ): work
        for work in works
    }
    ended: SimpleQueue[Future[None]] = SimpleQueue()
    for future in futures:
        future.add_done_callback(ended.put)
    try:
        for _ in futures:
            future = _next_ended(ended, futures, tools, control)
            work = futures[future]
            if not work.withdrawn:
                future.result()
                _tell_prepared(work, tools, control)
                yield work
    except BaseException:
        stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        while under_way := [future for future in futures if not future.done()]:
            tools.parsers.interrupt()  # so that the threads that wait for a parse end too
            wait(under_way, INTERRUPT_SECONDS)
        raise
    finally:
        pool.shutdown()


def _next_ended(
    ended: SimpleQueue[Future[None]],
    futures: Mapping[Future[None], Work],
    tools: Tools,
    control: Control,
) -> Future[None]:
    """Wait for a document, watching for a reason to stop, or to leave others out."""
    while True:
        with suppress(Empty):
            return ended.get(timeout=CHECK_SECONDS)
        control.check()
        _withdraw(futures, tools, control)


def _withdraw(futures: Mapping[Future[None], Work], tools: Tools, control: Control) -> None:
    """Note which documents nobody wants any more, and end their parses."""
    ids = control.withdrawn()
    for future, work in futures.items():
        work.withdrawn = work.withdrawn or work.document.document_id in ids
        if work.withdrawn:
            future.cancel()
    if ids:
        tools.parsers.interrupt(ids)


class _Preparing(NoControl):
    """What a thread that prepares a document hears: that it is to stop."""

    def __init__(self, work: Work, stopping: threading.Event) -> None:
        self._work = work
        self._stopping = stopping

    def check(self) -> None:
        if self._work.withdrawn or self._stopping.is_set():
            raise WithdrawnError


def _prepare(work: Work, selected: Sequence[Stage], tools: Tools, control: Control) -> None:
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
        run=lambda: parsed.run(work, tools, control),
        load=lambda: parsed.load_known(work, tools),
    )
    content = work.parsed
    if content is None:
        return
    work.characters = len(content.text)
    work.chunks = _obtain(
        work,
        Stage.CHUNKED,
        selected,
        run=lambda: chunked.run(work, tools, content, control),
        load=lambda: chunked.load(work, tools),
    )
    chunks = work.chunks
    if chunks is None:
        return
    work.result.chunks = len(chunks)
    work.result.tokens = sum(chunk.tokens for chunk in chunks)
    if work.redo in tools.parts:
        enriched.run_part(work, tools, work.redo or "", content, chunks, control)
    elif tools.parts and Stage.EMBEDDED in selected and Stage.INDEXED not in selected:
        work.enrichment = enriched.questions(work, tools, content, chunks, control)
    else:
        work.enrichment = _obtain(
            work,
            Stage.ENRICHED,
            selected,
            run=lambda: enriched.run(work, tools, content, chunks, control),
            load=lambda: enriched.load(work, tools),
        )
    work.parsed = replace(content, elements=())


@contextmanager
def _embedding() -> Iterator[ThreadPoolExecutor]:
    """Threads that embed, and before there is anything to embed, load what is needed for it.

    Whoever interrupts the run does not wait for one that hangs.
    """
    pool = ThreadPoolExecutor(GROUPS_AT_ONCE, thread_name_prefix="embed")
    try:
        yield pool
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _groups(prepared: Iterable[Work]) -> Iterator[list[Work]]:
    """Yield documents to be embedded together, as soon as they are enough."""
    group: list[Work] = []
    for work in prepared:
        if work.enrichment is None or work.result.error or work.withdrawn:
            continue
        group.append(work)
        if sum(len(member.chunks or ()) for member in group) >= CHUNKS_PER_EMBEDDING_GROUP:
            yield group
            group = []
    if group:
        yield group


def _embed(
    works: Sequence[Work], selected: Sequence[Stage], tools: Tools, control: Control
) -> None:
    give_back()
    if Stage.EMBEDDED in selected:
        works = _embed_wanted(works, tools, control)
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
        if work.vectors is not None and work.redo in (None, Stage.EMBEDDED):
            message = f"{len(work.vectors)} chunks embedded."
            control.progress(work.document.document_id, Stage.EMBEDDED, 0.9, message)


def _embed_wanted(works: Sequence[Work], tools: Tools, control: Control) -> Sequence[Work]:
    """Embed a group, once more without those of it that are withdrawn meanwhile."""
    while wanted := _still_wanted(works, control):
        watched = _Watched(control, wanted)
        try:
            _guarded(wanted, partial(embedded.run, wanted, tools, watched))
            if len(wanted) > 1 and any(work.result.error for work in wanted):
                _embed_singly(wanted, tools, watched)
        except WithdrawnError:
            continue
        return wanted
    return []


def _still_wanted(works: Sequence[Work], control: Control) -> list[Work]:
    control.check()
    ids = control.withdrawn()
    for work in works:
        work.withdrawn = work.withdrawn or work.document.document_id in ids
    return [work for work in works if not work.withdrawn]


class _Watched:
    """A control that also stops the work on a group as soon as one of it is withdrawn."""

    def __init__(self, control: Control, works: Sequence[Work]) -> None:
        self._control = control
        self._ids = {work.document.document_id for work in works}
        self.progress = control.progress
        self.withdrawn = control.withdrawn

    def check(self) -> None:
        self._control.check()
        if self._ids & self._control.withdrawn():
            raise WithdrawnError


def _embed_singly(works: Sequence[Work], tools: Tools, control: Control) -> None:
    """Find the document that spoils its group: each is tried alone."""
    for work in works:
        work.result.error = None
        _guarded([work], partial(embedded.run, [work], tools, control))


def _publish(works: Sequence[Work], tools: Tools, claim: Claim, announce: Announce) -> None:
    if sum(len(work.chunks or ()) for work in works) >= CHUNKS_BESIDE_THE_MODEL:
        tools.embedder.rest()
    give_back()
    changed = []
    for work in works:
        if work.is_recorded(Stage.INDEXED) and not work.document.force:
            work.steps[Stage.INDEXED] = Step(computed=False, seconds=0.0)
            work.done(Stage.INDEXED)
        else:
            changed.append(work)
    while changed := [work for work in changed if not work.withdrawn]:
        announced = partial(_announce, changed, announce)
        try:
            _guarded(changed, partial(indexed.run, changed, tools, claim.claim_id, announced))
        except WithdrawnError:
            continue
        return


def _announce(works: Sequence[Work], announce: Announce) -> None:
    """Announce the publication of documents; stop it if some of them may not be published."""
    allowed = announce({work.document.document_id: work.result.attached for work in works})
    for work in works:
        work.withdrawn = work.document.document_id not in allowed
    if any(work.withdrawn for work in works):
        raise WithdrawnError


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
    with _named(works):
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


def _named(works: Sequence[Work]) -> AbstractContextManager[None]:
    """Have log lines say which document they are about, and which task."""
    if len(works) > 1:
        return nullcontext()
    return log_context(
        document=works[0].document.document_id, task=",".join(works[0].task_ids) or None
    )


def _failed(works: Sequence[Work], error: IngestError) -> None:
    for work in works:
        work.result.error = ErrorInfo(kind=error.kind, message=error.message)
        work.result.transient = isinstance(error, TransientError)
        work.result.asks = error.asks if isinstance(error, InputNeededError) else None
        with _named([work]):
            logger.info("%s: %s: %s", work.document.name, error.kind, error.message)


def _tell_prepared(work: Work, tools: Tools, control: Control) -> None:
    if work.chunks is None or work.result.error:
        return
    if work.redo in tools.parts:
        name = (work.redo or "").partition(".")[2]
        message = f"{name}: added to {len(work.chunks)} chunks."
        control.progress(work.document.document_id, Stage.ENRICHED, 0.7, message)
    if work.redo not in (None, Stage.CHUNKED):
        return
    pages = f"Page(1~{work.result.pages}): " if work.result.pages else ""
    message = f"{pages}{len(work.chunks)} chunks."
    control.progress(work.document.document_id, Stage.CHUNKED, 0.5, message)
