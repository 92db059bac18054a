"""The graph of knowledge of a collection: what its documents say, merged, grouped, reported.

Reads the chunks that are indexed, the stored graphs of documents, and the graph that is published.
A document is read once: its graph is stored as soon as it is made, so a build that was stopped goes
on from there, and after a change of one document one is read. The rest is made anew each time from
all documents' graphs, except for reports whose communities have not changed. All is published in
one step, under the lease that ``before_commit`` checks.

What is published is the same whatever was built before, but for the ids of communities: one that
has changed a little keeps its id.

All graphs of documents are in memory, and all texts.
"""

from __future__ import annotations

import gc
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ingestion_pipeline.control import Control
from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.enrichment.keywords import keywords
from ingestion_pipeline.errors import IngestError, StopWorkError
from ingestion_pipeline.graph import Material, document_graphs, known_names, linked, merged
from ingestion_pipeline.graph.communities import communities, modularity
from ingestion_pipeline.graph.reports import reports, sentences
from ingestion_pipeline.indexing import Snapshot
from ingestion_pipeline.indexing.graph_rows import IndexedReport
from ingestion_pipeline.indexing.graphs import GraphCounts, GraphIndex, GraphSnapshot
from ingestion_pipeline.indexing.summary_rows import Origin
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import CollectionName, GraphConfig
from ingestion_pipeline.model.graph import (
    Community,
    Correction,
    DocumentGraph,
    ExtractionMethod,
    KnowledgeGraph,
)
from ingestion_pipeline.raptor import leaves_hash
from ingestion_pipeline.stages.recipes import (
    document_fingerprint,
    extraction_recipe,
    graph_recipe,
    report_recipe,
)
from ingestion_pipeline.stages.report_writer import ReportWriter
from ingestion_pipeline.stages.side_by_side import Together, in_order
from ingestion_pipeline.stages.wording import language
from ingestion_pipeline.storage.artifacts import ArtifactStore

logger = logging.getLogger(__name__)

CHUNKS_AT_ONCE = 64
"""Of several documents that are read in one go."""
READERS = 4
"""Threads that look up what is stored; a bucket takes its time for each answer."""
TELL_SECONDS = 1.0
SHOWN_WARNINGS = 20
_KEY_PHRASES = 5
"""Of a chunk in a language that no parser is there for."""
_PARSED = frozenset({"en", None})
_EXTENSION = re.compile(r"\.[a-zA-Z][a-zA-Z0-9]{0,4}$")
_SHARES = {
    "extract": 0.6,
    "link": 0.65,
    "merge": 0.7,
    "communities": 0.75,
    "reports": 0.98,
    "publish": 1.0,
}
"""How far a build is after each of its phases."""

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[float, str], None]
"""Told now and then how far a build is, 0..1, with a line for a person."""


def _tell_nobody(fraction: float, message: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class GraphInputs:
    """What the graph of a collection is built of and with.

    Reports are found by the embedding model that the chunks' vectors are of. Without a language
    model, documents are read by a parser and reports quote sentences. ``corrections`` are what
    persons said of names, in the order in which they did.
    """

    snapshot: Snapshot
    graphs: GraphIndex
    artifacts: ArtifactStore
    collection: CollectionName
    config: GraphConfig
    embedder: Embedder
    corrections: Sequence[Correction] = ()
    llm: ChatModel | None = None

    @property
    def recipe(self) -> str:
        """What a graph's ``Origin`` says; with another one, a graph is not current."""
        return graph_recipe(self.config, self.embedder, self.corrections, llm=self._llm)

    @property
    def extraction_recipe(self) -> str:
        """What is part of the fingerprint of each document's graph."""
        return extraction_recipe(self.config, llm=self._llm)

    @property
    def report_recipe(self) -> str:
        """What is part of what each report was made from."""
        return report_recipe(self.embedder, llm=self._llm)

    @property
    def reader(self) -> ChatModel | None:
        """The language model, if documents are read with it."""
        return None if self.config.method is ExtractionMethod.LINGUISTIC else self.llm

    @property
    def _llm(self) -> str | None:
        return self.llm.fingerprint if self.llm else None


@dataclass(frozen=True)
class GraphReport:
    """What a build did.

    Of the ``documents``, those ``extracted`` were read now, the others' graphs taken over.
    ``communities`` counts those of each level; ``reports_written`` were written and embedded now.
    ``incomplete`` are documents, and ``fallbacks`` reports, for which the language model was to be
    asked and did not answer all: they are done without it, until the next build. ``tokens`` are
    what it was paid for. ``left_out`` are documents that nobody asked to be read and that have not
    been read yet; ``failed`` those that cannot be read because of an error, with its message.
    ``seconds`` are by phase.
    """

    origin: Origin
    documents: int
    chunks: int
    extracted: int
    counts: GraphCounts
    communities: Mapping[int, int]
    modularity: float
    reports_written: int
    incomplete: int
    fallbacks: int
    tokens: int
    left_out: int
    failed: Mapping[str, str]
    warnings: Sequence[str]
    seconds: Mapping[str, float]

    @property
    def reused(self) -> int:
        """How many documents' graphs were taken over."""
        return self.documents - self.extracted - self.left_out - len(self.failed)

    @property
    def reports_reused(self) -> int:
        """How many reports were taken over."""
        return self.counts.reports - self.reports_written


def build(
    inputs: GraphInputs,
    control: Control,
    before_commit: Callable[[], None],
    progress: Progress = _tell_nobody,
    document_ids: Collection[str] | None = None,
) -> GraphReport:
    """Build the graph of a collection and publish it.

    Args:
        inputs: What it is built of and with.
        control: Asked several times a second.
        before_commit: Called when all is written; may raise, and then nothing has changed.
        progress: Told about once a second.
        document_ids: Only these documents are read if they changed; of the others those take part
            whose graphs are stored.

    Raises:
        StopWorkError: as ``control`` does; documents that were read are not read again.
        TransientError: if the storage or a process that clusters fails.
    """
    told = _Told(progress)
    before = inputs.graphs.snapshot()
    ids = inputs.snapshot.document_ids()
    together = Together(control)
    with (
        ReportWriter(inputs.embedder, inputs.llm, together) as writer,
        ThreadPoolExecutor(_threads(inputs), thread_name_prefix="graph") as pool,
        together,
    ):
        reading = _Reading(inputs, pool, together, told, document_ids)
        with told.phase("extract"):
            reading.read(ids)
        with told.phase("link"), _uncollected():
            links = list(_linked(reading, together))
        with told.phase("merge", "merging"), _uncollected():
            graph = merged(
                inputs.collection.key,
                links,
                together,
                inputs.corrections,
                resolution=inputs.config.resolution,
                types=inputs.config.entity_types,
            )
        with told.phase("communities", "finding communities"), _uncollected():
            found = _communities(inputs, graph, before, together)
            worth = modularity(found, graph.relations)
        # A language model may take hours, and its connections do make cycles.
        with told.phase("reports"), nullcontext() if inputs.llm else _uncollected():
            writer.know(before.indexed_reports())
            said = sentences(_watched(links, together), graph.resolved, reading.texts)
            written = reports(
                graph,
                found,
                said,
                lambda materials: told.each(list(materials), writer.write, "reports"),
                writer.titles,
                inputs.report_recipe,
                writer.known,
            )
            indexed = [IndexedReport(each, writer.vector(each.text)) for each in written]
        with told.phase("publish", "publishing"):
            control.check()
            origin = Origin(leaves_hash(reading.texts), inputs.recipe)
            counts = inputs.graphs.publish(
                graph.entities,
                graph.relations,
                found,
                indexed,
                origin,
                inputs.embedder.dimension,
                before_commit,
            )
            inputs.graphs.remove_missing(ids)
    return GraphReport(
        origin=origin,
        documents=len(ids),
        chunks=len(reading.texts),
        extracted=reading.extracted,
        counts=counts,
        communities=dict(sorted(Counter(each.level for each in found).items())),
        modularity=worth,
        reports_written=writer.written,
        incomplete=reading.incomplete,
        fallbacks=writer.fallbacks,
        tokens=reading.tokens + writer.tokens,
        left_out=reading.left_out,
        failed=reading.failed,
        warnings=tuple(reading.warnings),
        seconds=told.seconds,
    )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Have Python not look for cycles meanwhile.

    Merging makes very many small objects that stay, and no cycles; to look through all of them
    again and again would take a third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _threads(inputs: GraphInputs) -> int:
    return max(READERS, inputs.reader.max_concurrent if inputs.reader else 0)


def _communities(
    inputs: GraphInputs, graph: KnowledgeGraph, before: GraphSnapshot, control: Control
) -> list[Community]:
    if not inputs.config.communities:
        return []
    ids = [each.entity_id for each in graph.entities]
    return communities(ids, graph.relations, control, before.communities())


def _linked(reading: _Reading, control: Control) -> Iterator[DocumentGraph]:
    names = known_names(reading.graphs)
    for graph in reading.graphs:
        control.check()
        yield linked(graph, reading.texts, names)


def _watched(graphs: Iterable[DocumentGraph], control: Control) -> Iterator[DocumentGraph]:
    for graph in graphs:
        control.check()
        yield graph


@dataclass(frozen=True)
class _Found:
    """A document, and its graph if that is stored."""

    material: Material
    fingerprint: str
    graph: DocumentGraph | None


@dataclass(frozen=True)
class _Read:
    """The graph of a document that was read now; None if that failed."""

    document: _Found
    graph: DocumentGraph | None
    error: str = ""


class _Reading:
    """The graphs of all documents: those that are stored, and those that are made now."""

    def __init__(
        self,
        inputs: GraphInputs,
        pool: ThreadPoolExecutor,
        control: Control,
        told: _Told,
        wanted: Collection[str] | None,
    ) -> None:
        self._inputs = inputs
        self._pool = pool
        self._control = control
        self._told = told
        self._wanted = wanted
        self._recipe = inputs.extraction_recipe
        self._names = inputs.snapshot.document_names()
        self._done = self._count = 0
        self.graphs: list[DocumentGraph] = []
        self.texts: dict[str, str] = {}
        """Those of the chunks of all graphs, by their ids."""
        self.extracted = self.left_out = self.incomplete = self.tokens = 0
        self.failed: dict[str, str] = {}
        self.warnings: list[str] = []

    def read(self, document_ids: Sequence[str]) -> None:
        """Take the graphs of these documents."""
        self._count = len(document_ids)
        # The parser reads one batch after the other, whatever the number of threads.
        most = 2 * _threads(self._inputs) if self._inputs.reader else 2
        for some in in_order(self._pool, self._made, self._unread(document_ids), most):
            for each in some:
                self._take_read(each)

    def _unread(self, document_ids: Sequence[str]) -> Iterator[list[_Found]]:
        """Yield the documents to be read, several small ones together; take all others."""
        group: list[_Found] = []
        size = 1 if self._inputs.reader else CHUNKS_AT_ONCE
        sources = (
            (document_id, chunks)
            for document_id, chunks, _ in self._inputs.snapshot.sources(document_ids)
        )
        for each in in_order(self._pool, self._looked_up, sources, 2 * READERS):
            if each.graph is not None:
                self._take(each.material, each.graph)
            elif self._wanted is not None and each.material.document_id not in self._wanted:
                self.left_out += 1
            else:
                group.append(each)
            if sum(len(one.material.chunks) for one in group) >= size:
                yield group
                group = []
        if group:
            yield group

    def _looked_up(self, source: tuple[str, list[Chunk]]) -> _Found:
        self._control.check()
        document_id, chunks = source
        title = _title(self._names[document_id])
        fingerprint = document_fingerprint(title, chunks, self._recipe)
        artifacts, collection = self._inputs.artifacts, self._inputs.collection
        graph = artifacts.get_graph(collection, document_id, fingerprint)
        return _Found(Material(document_id, chunks, title), fingerprint, graph)

    def _made(self, documents: Sequence[_Found]) -> list[_Read]:
        """Read documents; if that fails, each by itself, so that one harms no other."""
        try:
            return self._read_together(documents)
        except (IngestError, StopWorkError):
            raise
        except Exception as error:
            if len(documents) > 1:
                return [read for each in documents for read in self._made([each])]
            logger.exception("%s cannot be read", documents[0].material.document_id)
            return [_Read(documents[0], None, f"{type(error).__name__}: {error}")]

    def _read_together(self, documents: Sequence[_Found]) -> list[_Read]:
        inputs = self._inputs
        materials = [self._in_its_language(each.material) for each in documents]
        llm = inputs.reader
        if llm is not None:
            # What it answers about a document is deleted with it.
            answers = inputs.artifacts.answers(inputs.collection, materials[0].document_id)
            llm = llm.with_cache(answers)
        made = list(document_graphs(materials, self._control, llm, inputs.config.method))
        for each, graph in zip(documents, made, strict=True):
            if graph.complete:
                inputs.artifacts.put_graph(
                    inputs.collection, graph.document_id, each.fingerprint, graph
                )
        return [_Read(each, graph) for each, graph in zip(documents, made, strict=True)]

    def _in_its_language(self, material: Material) -> Material:
        """Tell what a document is in, and its key phrases if no parser of that is there."""
        spoken = language([chunk.text for chunk in material.chunks])
        if spoken in _PARSED:
            return replace(material, language=spoken)
        found = keywords(material.chunks, _KEY_PHRASES, spoken, self._control)
        phrases = tuple(dict.fromkeys(phrase for each in found for phrase in each))
        return replace(material, language=spoken, phrases=phrases)

    def _take_read(self, read: _Read) -> None:
        material = read.document.material
        if read.graph is None:
            self.failed[material.document_id] = read.error
            self._tell()
            return
        self.extracted += 1
        self.tokens += read.graph.tokens
        self.incomplete += not read.graph.complete
        self._take(material, read.graph)

    def _take(self, material: Material, graph: DocumentGraph) -> None:
        self.graphs.append(graph)
        self.texts |= {chunk.chunk_id: chunk.text for chunk in material.chunks}
        if len(self.warnings) < SHOWN_WARNINGS:
            self.warnings += (f"{material.title}: {each}" for each in graph.warnings)
        self._tell()

    def _tell(self) -> None:
        self._done += 1
        self._told(self._done / self._count, f"documents: {self._done:,} of {self._count:,}")


def _title(name: str) -> str:
    """Return what a document is called: its name without what tells the form of the file."""
    return _EXTENSION.sub("", name.rpartition("/")[2]) or name


@dataclass
class _Told:
    """Progress, about once a second, and how long each phase took."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    _next: float = 0.0
    _from: float = 0.0
    _to: float = 0.0

    @contextmanager
    def phase(self, name: str, message: str = "") -> Iterator[None]:
        """Begin a phase; what is told within it is the share of it that is done."""
        began = time.perf_counter()
        self._from, self._to, self._next = self._to, _SHARES[name], 0.0
        if message:
            self(1.0 if name == "publish" else 0.0, message)
        yield
        self.seconds[name] = time.perf_counter() - began

    def each(
        self,
        items: Sequence[Item],
        made: Callable[[Sequence[Item]], Iterable[Result]],
        what: str,
    ) -> Iterator[Result]:
        """Yield what is made of items, and tell how many there are of how many."""
        for done, result in enumerate(made(items), start=1):
            self(done / len(items), f"{what}: {done:,} of {len(items):,}")
            yield result

    def __call__(self, share: float, message: str) -> None:
        """Tell, unless it was told just now."""
        if time.monotonic() >= self._next:
            self.progress(self._from + share * (self._to - self._from), message)
            self._next = time.monotonic() + TELL_SECONDS
