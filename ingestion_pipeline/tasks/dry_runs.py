"""Dry runs: what each component of a pipeline would give for a document; nothing is published.

Belongs here: trying documents, and where what came of it is kept. Does not belong here: what the
components do (``stages``), who asks for it (``intake``, ``submission``).

What components give is stored as in a run, which uses it when it follows. The registry learns
nothing but how the task ended. What came of a task is kept beside the results of documents, and
maintenance removes it as what no document names.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import (
    ErrorKind,
    IngestError,
    LeaseLostError,
    PermanentError,
    StopWorkError,
    TransientError,
)
from ingestion_pipeline.logs import log_context
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import (
    STAGES,
    STANDARD,
    Document,
    DocumentState,
    ErrorInfo,
    Stage,
)
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.model.enrichment import ChunkEnrichment, Enrichment
from ingestion_pipeline.model.tasks import Backend, Task, TaskType
from ingestion_pipeline.registry.arrivals import NewDocument
from ingestion_pipeline.registry.builds import TakenBuild
from ingestion_pipeline.registry.results import DocumentResult
from ingestion_pipeline.stages import chunked, embedded, enriched, parsed, sourced
from ingestion_pipeline.stages.work import Tools, Work
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.heart import Heart, worker_name
from ingestion_pipeline.tasks.lease import LeaseKeeper, run_lease
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tried:
    """What a component would give; ``computed`` now or stored before, None if it is not done."""

    name: str
    type: str
    computed: bool | None
    seconds: float
    gives: str


@dataclass(frozen=True)
class TriedChunk:
    """A chunk as it would be published."""

    text: str
    tokens: int
    pages: tuple[int, ...]
    heading_path: tuple[str, ...]
    keywords: tuple[str, ...]
    questions: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class DryRun:
    """What a pipeline would make of one document; ``error`` is where it would end."""

    document: str
    pipeline: str
    components: tuple[Tried, ...] = ()
    chunks: tuple[TriedChunk, ...] = ()
    error: str | None = None


_DRY_RUNS = TypeAdapter(list[DryRun])


@dataclass(frozen=True)
class _Component:
    name: str
    type: str
    step: str


def carry_out(
    services: Services,
    collection: Collection,
    run_id: str,
    backend: Backend,
    stopped_by_person: Callable[[], bool] = lambda: False,
) -> int:
    """Do the dry runs that tasks wait for in a collection, one by one; return how many.

    Raises:
        TransientError: when trying again may help; the task is given back.
    """
    worker = worker_name(backend, run_id)
    done = 0
    with (
        log_context(run=run_id, worker=worker),
        Heart(services, worker),
        run_lease(services, collection, run_id, stopped_by_person) as lease,
    ):
        while taken := _take(services, collection, run_id, backend):
            try:
                _carry_out(services, collection, taken, lease)
            except LeaseLostError as error:
                logger.info("a dry run in %s was stopped: %s", collection.key, error)
                break  # what else waits is planned again
            done += 1
    return done


def outcome(services: Services, task: Task) -> list[DryRun]:
    """Return what came of the dry run of a task.

    Raises:
        PermanentError: of kind ``not_found`` where that is not there, or not any more.
    """
    name = CollectionName(task.tenant, task.collection)
    data = services.artifacts.get(name, task.task_id, Stage.INDEXED, "dry-run")
    if data is None:
        raise PermanentError(
            ErrorKind.NOT_FOUND,
            f"there is no outcome of a dry run {task.task_id}: it is kept until the night; ask for "
            "it again",
        )
    return _DRY_RUNS.validate_json(data)


def _take(
    services: Services, collection: Collection, run_id: str, backend: Backend
) -> TakenBuild | None:
    registry = services.registry
    tell(services.events, registry.tasks.expire())
    taken, updates = registry.builds.take(
        collection.name,
        TaskType.DATAFLOW,
        run_id=run_id,
        backend=backend,
        task_timeout_seconds=services.settings.task_timeout_seconds,
    )
    tell(services.events, updates)
    return taken if taken and taken.task_ids else None


def _carry_out(
    services: Services, collection: Collection, taken: TakenBuild, lease: LeaseKeeper
) -> None:
    """Do one dry run, and end its task."""
    builds = services.registry.builds
    try:
        with lease.hold_build(taken) as held:
            tried = _try_all(services, collection, taken.options, taken.document_ids, held)
            held.require()
    except PermanentError as error:
        info = ErrorInfo(kind=error.kind, message=error.message)
        tell(services.events, builds.fail(taken, info))
        return
    (task_id,) = taken.task_ids
    data = _DRY_RUNS.dump_json(tried)
    services.artifacts.put(collection.name, task_id, Stage.INDEXED, "dry-run", data)
    if all(each.error for each in tried):
        info = ErrorInfo(kind=ErrorKind.BROKEN, message=tried[0].error or "")
        tell(services.events, builds.fail(taken, info))
        return
    chunks = sum(len(each.chunks) for each in tried)
    message = f"Dry run done: {chunks} chunks of {len(tried)} documents; nothing is published."
    tell(services.events, builds.finish(taken, None, message, 0))


def _try_all(
    services: Services,
    collection: Collection,
    options: Mapping[str, Any],
    document_ids: Sequence[str] | None,
    control: Control,
) -> list[DryRun]:
    pipeline = str(options["pipeline"])
    components = _components(services, pipeline)
    documents = _documents(services, collection, options, document_ids)
    own_way = pipeline == STANDARD
    with services.tools(collection, None if own_way else pipeline) as tools:
        found = []
        for document in documents:
            control.check()
            tried = replace(document, pipeline=None if own_way else pipeline, force=False)
            found.append(_try(tried, components, pipeline, tools, control))
    return found


def _components(services: Services, pipeline: str) -> list[_Component]:
    if pipeline == STANDARD:
        return [_Component(stage, stage, stage) for stage in STAGES]
    nodes = services.pipeline(pipeline).nodes
    return [_Component(node.name, node.component.type, node.step) for node in nodes]


def _documents(
    services: Services,
    collection: Collection,
    options: Mapping[str, Any],
    document_ids: Sequence[str] | None,
) -> list[Document]:
    if document_ids is not None:
        return services.registry.documents.find(collection.key, document_ids)
    new = TypeAdapter(NewDocument).validate_python(options["document"])
    return [
        Document(
            new.document_id,
            collection.key,
            new.name,
            new.uri,
            DocumentState.PENDING,
            updated_at=0.0,
            sha256=new.sha256,
            object_key=new.object_key,
            bytes=new.bytes,
            fetch=new.fetch,
        )
    ]


def _try(
    document: Document,
    components: Sequence[_Component],
    pipeline: str,
    tools: Tools,
    control: Control,
) -> DryRun:
    """Take one document through all components; what is wrong with it is said, not raised."""
    result = DocumentResult(document.document_id, document.sha256)
    trial = _Trial(Work(document, tools.recipes, result), tools, control)
    tried: list[Tried] = []
    for component in components:
        try:
            gives = trial.gives(component.step)
        except (StopWorkError, TransientError):
            raise
        except IngestError as error:
            said = f"{component.name}: {error.message}"
        except Exception as error:
            logger.exception("unexpected error with %s", document.name)
            said = f"{component.name}: unexpected {type(error).__name__}: {error}"
        else:
            step = trial.work.steps.get(component.step)
            computed, seconds = (step.computed, step.seconds) if step else (None, 0.0)
            tried.append(Tried(component.name, component.type, computed, round(seconds, 3), gives))
            continue
        return DryRun(document.name, pipeline, tuple(tried), error=said)
    chunks = zip(trial.chunks, trial.added.chunks, strict=True)
    return DryRun(document.name, pipeline, tuple(tried), tuple(_shown(*each) for each in chunks))


class _Trial:
    """One document on its way; what one component gives the next ones read."""

    parsed: ParsedDocument
    chunks: Sequence[Chunk]
    added: Enrichment

    def __init__(self, work: Work, tools: Tools, control: Control) -> None:
        self.work = work
        self._tools = tools
        self._control = control

    def gives(self, step: str) -> str:
        """Do a step, and say in a few words what it gives."""
        if step in self._tools.parts:
            return _said_of_added(
                enriched.run_part(
                    self.work, self._tools, step, self.parsed, self.chunks, self._control
                )
            )
        steps = {
            Stage.SOURCED: self._source,
            Stage.PARSED: self._parse,
            Stage.CHUNKED: self._chunk,
            Stage.ENRICHED: self._enrich,
            Stage.EMBEDDED: self._embed,
            Stage.INDEXED: self._index,
        }
        return steps[Stage(step)]()

    def _source(self) -> str:
        sourced.run(self.work, self._tools)
        size = self.work.result.bytes or self.work.document.bytes or 0
        return f"{size:,} bytes, version {self.work.version[:12]}"

    def _parse(self) -> str:
        self.parsed = parsed.run(self.work, self._tools, self._control)
        kinds = Counter(each.category for each in self.parsed.elements).most_common()
        found = ", ".join(f"{count} {category}" for category, count in kinds) or "nothing"
        attached = ", ".join(each.name for each in self.parsed.attachments)
        return f"{found}" + (f"; attached: {attached}" if attached else "")

    def _chunk(self) -> str:
        self.chunks = chunked.run(self.work, self._tools, self.parsed, self._control)
        sizes = [each.tokens for each in self.chunks]
        return f"{len(sizes)} chunks" + (
            f" of {min(sizes)} to {max(sizes)} tokens" if sizes else ""
        )

    def _enrich(self) -> str:
        self._put_together()
        return _said_of_added(self.added)

    def _embed(self) -> str:
        work, tools = self.work, self._tools
        work.chunks = chunked.load(work, tools)
        work.enrichment = (
            enriched.questions(work, tools, self.parsed, self.chunks, self._control)
            if tools.parts
            else self._put_together()
        )
        embedded.run([work], tools, self._control)
        return f"{len(self.chunks)} vectors of {tools.embedder.dimension} numbers"

    def _index(self) -> str:
        self._put_together()
        return f"{len(self.chunks)} chunks would be published"

    def _put_together(self) -> Enrichment:
        work, tools = self.work, self._tools
        self.added = enriched.run(work, tools, self.parsed, self.chunks, self._control)
        return self.added


def _said_of_added(added: Enrichment) -> str:
    counts = {
        name: sum(len(getattr(each, name)) for each in added.chunks)
        for name in ("keywords", "questions", "tags")
    }
    counts["metadata"] = len(added.metadata)
    counts["headings"] = len(added.toc)
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing"


def _shown(chunk: Chunk, added: ChunkEnrichment) -> TriedChunk:
    return TriedChunk(
        chunk.text,
        chunk.tokens,
        chunk.pages,
        chunk.heading_path,
        added.keywords,
        added.questions,
        (*chunk.tags, *(tag for tag, _ in added.tags)),
    )
