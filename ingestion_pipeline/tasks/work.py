"""The work of a run: claim a batch, take it through the stages, record it, claim the next.

The same loop runs under a Dagster asset and in the process of the command line. It leaves
nothing behind: a batch whose run fails or is interrupted is given back, and one whose run a person
stopped is canceled.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ingestion_pipeline.errors import ErrorKind, LeaseLostError, PermanentError
from ingestion_pipeline.logs import log_context
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import STAGES, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import Backend, ReindexOnly
from ingestion_pipeline.registry.claims import Claim, Wanted, models_of
from ingestion_pipeline.registry.documents import Selection
from ingestion_pipeline.stages import run as stages_run
from ingestion_pipeline.stages.work import Tools, Work
from ingestion_pipeline.tasks import generations
from ingestion_pipeline.tasks.doubts import settle_doubts
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.heart import Heart, worker_name
from ingestion_pipeline.tasks.lease import LeaseKeeper, run_lease
from ingestion_pipeline.tasks.metrics import count
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

FIRST_BATCH = 64
SMALLEST_BATCH = 8
BATCH_SECONDS = 10.0
"""What a batch is to take: much longer than what it costs to claim, publish and record one, and not
so long that documents which are done wait for others before they can be found."""
GROWTH = 4
"""How much larger a batch may be than the one before, at most."""
ROWS_KEPT = 100
"""How many documents a report names one by one."""


@dataclass(frozen=True)
class WorkRequest:
    """What a run is to do.

    ``only`` marks documents as wanted first; without it the run takes what waits already.
    ``slice_seconds`` ends the run after the batch during which it has passed; without it the run
    drains: batch after batch until nothing is left.
    """

    run_id: str
    backend: Backend
    stages: tuple[Stage, ...] = STAGES
    only: ReindexOnly | None = None
    document_ids: tuple[str, ...] = ()
    force: bool = False
    from_component: str | None = None
    """The component of the pipeline from which on they are done again; None: none, or all by
    ``force``."""
    pipeline: str | None = None
    """The pipeline whose documents it is about; None: those of the collection's own way."""
    step: str | None = None
    """The one step of the pipeline that it does; None: all, one batch after the other."""
    slice_seconds: float | None = None
    stopped_by_person: Callable[[], bool] = lambda: False
    """Asked when the run is interrupted; otherwise it was a shutdown, and its work goes on later.
    """

    @property
    def whole(self) -> bool:
        """Whether documents go through every stage, which is what their tasks wait for."""
        return self.stages == STAGES and self.step is None

    @property
    def publishes(self) -> bool:
        """Whether it ends with what is to be searched of its documents."""
        return self.whole or self.step == Stage.INDEXED


@dataclass(frozen=True)
class DocumentRow:
    """One line about one document of a run."""

    name: str
    outcome: str
    chunks: int
    tokens: int
    seconds: float
    error: ErrorInfo | None


@dataclass
class WorkReport:
    """What a run did, in numbers."""

    documents: int = 0
    """Documents looked at."""
    changed: int = 0
    """Documents for which at least one stage computed something."""
    failed: int = 0
    waiting: int = 0
    """Documents whose upstream stage must be brought up to date first."""
    batches: int = 0
    chunks: int = 0
    tokens: int = 0
    seconds: float = 0.0
    computed: Counter[str] = field(default_factory=Counter)
    reused: Counter[str] = field(default_factory=Counter)
    embedded_chunks: int = 0
    """That the model has read."""
    embedded_tokens: int = 0
    """In these."""
    chunks_read_before: int = 0
    """Others of the same documents, whose texts it had read before."""
    embedding_seconds: float = 0.0
    """That took, without loading the model."""
    embedded_by: str | None = None
    """What ran the model last, and in which arithmetic."""
    stage_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    media_types: Counter[str] = field(default_factory=Counter)
    """Of the documents whose elements were at hand, parsed now or before."""
    pages: int = 0
    page_characters: int = 0
    """Of those documents that have pages."""
    recognised_pages: int = 0
    """Pages whose text was read off a picture (OCR)."""
    pictures: int = 0
    attachments: int = 0
    """Documents that were found within others."""
    rejected: Counter[ErrorKind] = field(default_factory=Counter)
    """Why documents were not parsed, if trying again cannot help; those a person is asked about
    are among them."""
    rows: list[DocumentRow] = field(default_factory=list)
    change: str | None = None
    """How a change of the embedding model stands, while there is one."""

    def summary(self) -> str:
        """Say in one line what was done so far."""
        computed = ", ".join(f"{self.computed[stage]} {stage}" for stage in STAGES)
        return (
            f"{self.documents} documents in {self.batches} batches: {computed}; "
            f"{self.documents - self.changed - self.failed} unchanged, {self.failed} failed; "
            f"{self.chunks} chunks in {self.seconds:.1f} s"
        )

    def add(self, works: Sequence[Work]) -> None:
        """Count one batch in."""
        self.batches += 1
        for work in works:
            self.documents += 1
            computed = [stage for stage, step in work.steps.items() if step.computed]
            self.changed += bool(computed) and work.result.error is None
            self.failed += work.result.error is not None
            self.waiting += work.waits_for is not None
            if computed and not work.result.error:
                self.chunks += work.result.chunks or 0
                self.tokens += work.result.tokens or 0
            for stage, step in work.steps.items():
                (self.computed if step.computed else self.reused)[stage] += 1
                self.stage_seconds[stage] += step.seconds
            self._add_parsed(work)
            self._add_embedded(work)
        self.rows = sorted(
            [*self.rows, *map(_row, works)], key=lambda row: (row.error is None, row.name)
        )[:ROWS_KEPT]

    def _add_parsed(self, work: Work) -> None:
        error = work.result.error
        if work.parsed is not None:
            self.media_types[work.parsed.media_type] += 1
            if work.parsed.pages:
                self.pages += work.parsed.pages
                self.page_characters += work.characters
            self.recognised_pages += work.parsed.recognised_pages
            self.pictures += len(work.parsed.pictures)
            self.attachments += len(work.parsed.attachments)
        elif error and not work.result.transient and Stage.PARSED in work.steps:
            self.rejected[error.kind] += 1

    def _add_embedded(self, work: Work) -> None:
        if work.embedded_by is not None:
            self.embedded_chunks += work.embedded_chunks
            self.embedded_tokens += work.embedded_tokens
            self.chunks_read_before += work.chunks_read_before
            self.embedding_seconds += work.steps[Stage.EMBEDDED].seconds
            self.embedded_by = work.embedded_by


def run(services: Services, collection: Collection, request: WorkRequest) -> WorkReport:
    """Do what is requested on one collection; a line in the log tells of each batch.

    While another embedding model is configured than the one that is searched, documents go to both
    indexes, and the other one is searched as soon as it is complete (see ``generations``).
    """
    began = time.monotonic()
    report = WorkReport()
    worker = worker_name(request.backend, request.run_id)
    with (
        log_context(run=request.run_id, worker=worker),
        Heart(services, worker) as heart,
        run_lease(services, collection, request.run_id, request.stopped_by_person) as lease,
    ):
        collection, successor = generations.prepare(services, collection.key)
        _mark(services, collection, request)
        while True:
            with (
                services.tools(collection, request.pipeline) as tools,
                generations.opened(
                    services, successor if request.publishes else None, request.pipeline
                ) as target,
            ):
                shift = _Shift(services, collection, request, tools, target, lease, heart)
                in_time = _drain(shift, report, began)
                if report.computed[Stage.INDEXED]:
                    tools.index.maintain()
                    generations.tidy(services, collection)
                if target is not None:
                    _fill_left_out(shift)
                    target.tools.index.maintain()
            if successor is not None and request.publishes:
                report.change = generations.switch(services, collection, successor)
            before = models_of(collection)
            collection, successor = generations.prepare(services, collection.key)
            if not in_time or models_of(collection) == before:
                break
    report.seconds = time.monotonic() - began
    return report


@dataclass(frozen=True)
class _Shift:
    """What batches are worked on with, for as long as the collection has the same models."""

    services: Services
    collection: Collection
    request: WorkRequest
    tools: Tools
    target: generations.Target | None
    lease: LeaseKeeper
    heart: Heart

    @property
    def wanted(self) -> Wanted:
        """What can be claimed."""
        return Wanted(
            self.tools.recipes,
            self.request.stages,
            self.request.whole,
            self.request.document_ids,
            models_of(self.collection),
            self.request.pipeline,
            self.request.step,
            _upstream(self.services, self.request),
        )


def _drain(shift: _Shift, report: WorkReport, began: float) -> bool:
    """Take batch after batch until nothing is left; return False if time was over before."""
    services, request, heart = shift.services, shift.request, shift.heart
    most = services.settings.doc_bulk_size
    size = min(FIRST_BATCH, most)
    while (claim := _claim(shift, size)) is not None:
        claimed_at = time.monotonic()
        heart.current(document.document_id for document in claim.documents)
        works = _work(shift, claim)
        report.add(works)
        count(services, works)
        heart.current(())
        heart.done(sum(work.result.error is None for work in works))
        heart.failed(sum(work.result.error is not None for work in works))
        report.seconds = time.monotonic() - began
        logger.info("%s", report.summary())
        if works and all(work.waits_for for work in works):
            break  # nobody can help these: their stored upstream results are gone
        if request.slice_seconds is not None and (
            report.seconds > request.slice_seconds
            or services.registry.documents.others_wait(shift.collection.name.tenant)
        ):
            return False
        size = next_batch(size, len(claim.documents), time.monotonic() - claimed_at, most)
    return True


def next_batch(size: int, documents: int, seconds: float, most: int) -> int:
    """Return how many documents to claim, after so many ``documents`` of ``size`` took so long."""
    in_time = int(documents * BATCH_SECONDS / max(seconds, 1e-3))
    return min(most, GROWTH * size, max(SMALLEST_BATCH, in_time))


def _fill_left_out(shift: _Shift) -> None:
    """Fill the target with what is searched of documents whose newer version cannot be."""
    registry, target = shift.services.registry, shift.target
    if target is None:
        return
    tried: set[str] = set()
    while claim := registry.claims.take_left_out(
        target.generation,
        shift.wanted,
        run_id=shift.request.run_id,
        lease_seconds=shift.services.settings.lease_seconds,
        max_documents=shift.services.settings.doc_bulk_size,
        but=tried,
    ):
        tried.update(document.document_id for document in claim.documents)
        try:
            with shift.lease.hold(claim) as batch:
                made, failed = generations.fill_left_out(claim, target, batch)
                registry.claims.record_copies(claim, made)
        except LeaseLostError as error:
            logger.warning("a batch of %d documents was dropped: %s", len(claim.documents), error)
            continue
        for work in failed:
            logger.warning("%s: %s", work.document.name, work.result.error)
        registry.claims.release(claim.claim_id)


def _mark(services: Services, collection: Collection, request: WorkRequest) -> None:
    """Mark what a person or schedule asks for; a run of the stream takes what waits already."""
    if request.only is None:
        return
    documents = services.registry.documents
    documents.require(collection.key, request.document_ids)
    if request.whole or request.pipeline:
        name = request.pipeline
        recipe = services.way(collection, name).recipes[Stage.INDEXED]
        component = request.from_component
        documents.request(
            collection.key,
            Selection(
                request.only,
                None if name else recipe,
                document_ids=request.document_ids,
                force=request.force or component is not None,
                pipelines={name: recipe} if name else services.pipeline_recipes(collection),
                rerun=services.rerun(collection, name, component) if name and component else None,
            ),
            request.run_id,
        )
    elif request.only is ReindexOnly.FAILED:
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            "'failed' needs all six assets: a failed document is taken through every stage",
        )
    elif request.force or request.only is ReindexOnly.ALL:
        documents.force(collection.key, request.document_ids)


def _upstream(services: Services, request: WorkRequest) -> tuple[str, ...]:
    """Return the steps that the one that is requested reads."""
    if request.pipeline is None or request.step is None:
        return ()
    pipeline = services.pipeline(request.pipeline)
    return next(pipeline.upstream(node) for node in pipeline.nodes if node.step == request.step)


def _claim(shift: _Shift, most: int) -> Claim | None:
    services, request, settings = shift.services, shift.request, shift.services.settings
    # A retry comes right after its run was ended, and must not take up what has no time left.
    tell(services.events, services.registry.tasks.expire())
    claim, updates = services.registry.claims.take(
        shift.collection.key,
        shift.wanted,
        run_id=request.run_id,
        backend=request.backend,
        lease_seconds=settings.lease_seconds,
        task_timeout_seconds=settings.task_timeout_seconds,
        max_documents=most,
        max_bytes=settings.doc_bulk_bytes,
    )
    tell(services.events, updates)
    return claim


def _work(shift: _Shift, claim: Claim) -> list[Work]:
    """Take one batch through the stages and record it; what was taken back of it is dropped."""
    services, registry, target = shift.services, shift.services.registry, shift.target
    try:
        with shift.lease.hold(claim) as batch:
            works = stages_run.run(
                claim,
                shift.request.stages,
                shift.tools,
                batch,
                batch.announce,
                shift.request.step,
            )
            made = None
            if target is not None and shift.request.pipeline is None:
                made = generations.fill(services, claim, works, target, batch)
            batch.flush()
            updates, lost = registry.claims.record(
                claim,
                [work.result for work in works],
                input_timeout_seconds=services.settings.input_timeout_seconds,
                made=made,
            )
    except LeaseLostError as error:
        logger.warning("a batch of %d documents was dropped: %s", len(claim.documents), error)
        return []
    registry.claims.release(claim.claim_id)
    tell(services.events, updates)
    if lost:
        logger.info("%d documents were canceled, deleted or given to another run", len(lost))
        settle_doubts(services)
    return [work for work in works if work.document.document_id not in lost]


def _row(work: Work) -> DocumentRow:
    error = work.result.error
    computed = any(step.computed for step in work.steps.values())
    if error:
        outcome = "failed"
    elif work.waits_for:
        outcome = f"waits for {work.waits_for}"
    else:
        outcome = "done" if computed else "unchanged"
    return DocumentRow(
        name=work.document.name,
        outcome=outcome,
        chunks=work.result.chunks or work.document.chunks or 0,
        tokens=work.result.tokens or work.document.tokens or 0,
        seconds=sum(step.seconds for step in work.steps.values()),
        error=error,
    )
