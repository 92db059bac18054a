"""The graph of knowledge of a collection: what its documents say, merged, grouped, reported.

Reads the chunks that are indexed, the stored graphs of documents, and the graph that is published.
A document is read once: its graph is stored as soon as it is made, so a build that was stopped goes
on from there, and after a change of one document one is read. The rest is made anew each time from
all documents' graphs, except for reports whose communities have not changed. All is published in
one step, under the lease that ``before_commit`` checks.

What is published is the same whatever was built before, but for the ids of communities: one that
has changed a little keeps its id.

All graphs of documents are in memory, and all texts and vectors of chunks.
"""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from ingestion_pipeline.control import Control, watched
from ingestion_pipeline.graph import Readers, known_names, linked, merged
from ingestion_pipeline.graph.communities import communities, modularity
from ingestion_pipeline.graph.doubts import Judge
from ingestion_pipeline.graph.exports import View
from ingestion_pipeline.graph.reports import PROMPT, Material, quoted, reports, sentences
from ingestion_pipeline.indexing.graph_rows import IndexedReport
from ingestion_pipeline.indexing.graphs import GraphCounts
from ingestion_pipeline.indexing.summary_rows import Origin
from ingestion_pipeline.model.graph import Community, DocumentGraph, KnowledgeGraph, Report
from ingestion_pipeline.raptor import leaves_hash
from ingestion_pipeline.side_by_side import Together
from ingestion_pipeline.stages.foreseen import Estimate
from ingestion_pipeline.stages.graph_inputs import GraphInputs
from ingestion_pipeline.stages.graph_sources import DocumentGraphs, threads
from ingestion_pipeline.stages.told import Progress, Told, tell_nobody
from ingestion_pipeline.stages.writer import Manner, Writer
from ingestion_pipeline.summarising.text import Written

MAX_ERRORS = 3
"""After more, the language model is asked for no more reports in this build."""
_SAMPLES = 20
"""Sentences that tell the language of a report."""
_SHARES = {
    "extract": 0.6,
    "link": 0.65,
    "merge": 0.7,
    "communities": 0.75,
    "reports": 0.98,
    "publish": 1.0,
}
"""How far a build is after each of its phases."""
_MOST_READERS = 4
"""Processes; one more would wait for this one, which puts together what they read."""


@dataclass(frozen=True)
class GraphReport:
    """What a build did.

    Of the ``documents``, those ``extracted`` were read now, the others' graphs taken over.
    ``communities`` counts those of each level; ``reports_written`` were written now.
    ``incomplete`` are documents, and ``fallbacks`` reports, for which the language model was to be
    asked and did not answer all: they are done without it, until the next build. ``doubts`` are the
    pairs of names that it was asked about, of which those it did not answer stay apart. ``tokens``
    are what it was paid for, ``estimate`` what was foreseen. ``left_out`` are documents that nobody
    asked to be read and that have not been read yet; ``failed`` those that cannot be read because
    of an error, with its message.
    ``by_spelling`` counts those read now whose language no model is installed for, by its code.
    ``seconds`` are by phase; ``view`` is what was published.
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
    doubts: int
    doubts_unanswered: int
    tokens: int
    estimate: Estimate
    left_out: int
    failed: Mapping[str, str]
    by_spelling: Mapping[str, int]
    warnings: Sequence[str]
    seconds: Mapping[str, float]
    view: View = field(repr=False)

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
    progress: Progress = tell_nobody,
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
    told = Told(progress, _SHARES)
    together = Together(control)
    with (
        Writer(_manner(inputs), inputs.embedder, inputs.llm, together) as writer,
        _readers(inputs) as readers,
        ThreadPoolExecutor(threads(inputs), thread_name_prefix="graph") as pool,
        together,
    ):
        documents = DocumentGraphs(inputs, readers, pool, together, told, document_ids)
        making = _Build(inputs, documents, writer, together, told)
        # A language model may take hours, and its connections do make cycles.
        with nullcontext() if inputs.llm else _uncollected():
            making.read()
            making.link()
            making.merge()
            making.group()
            making.report()
            making.publish(before_commit)
        return making.done()


def estimate(
    inputs: GraphInputs, control: Control, document_ids: Collection[str] | None = None
) -> Estimate:
    """Return what a build would read and ask a language model; it reads and asks nothing.

    Raises:
        StopWorkError: as ``control`` does.
    """
    with (
        _readers(inputs) as readers,
        ThreadPoolExecutor(threads(inputs), thread_name_prefix="graph") as pool,
        Together(control) as together,
    ):
        told = Told(tell_nobody, _SHARES)
        documents = DocumentGraphs(inputs, readers, pool, together, told, document_ids)
        return documents.foreseen(inputs.snapshot.document_ids())


class _Build:
    """One build: what it has made so far."""

    def __init__(
        self,
        inputs: GraphInputs,
        documents: DocumentGraphs,
        writer: Writer[Material],
        control: Control,
        told: Told,
    ) -> None:
        self._inputs = inputs
        self._documents = documents
        self._writer = writer
        self._control = control
        self._told = told
        before = inputs.graphs.snapshot()
        self._communities_before = list(before.communities())
        # Not what quotes since the language model failed.
        self._reports_before = [each for each in before.reports() if each.method is writer.method]
        self._ids = inputs.snapshot.document_ids()
        asked = inputs.llm if inputs.config.resolve_with_llm else None
        self._judge = Judge(asked, control) if asked else None
        self._links: list[DocumentGraph] = []
        self._graph = KnowledgeGraph()
        self._communities: list[Community] = []
        self._modularity = 0.0
        self._reports: list[Report] = []
        self._reports_written = 0
        self._origin = Origin("", "")
        self._counts = GraphCounts()

    def read(self) -> None:
        """Have the graphs of all documents."""
        with self._told.phase("extract"):
            self._documents.read(self._ids)

    def link(self) -> None:
        """Find what documents say of each other."""
        with self._told.phase("link"):
            names = known_names(self._documents.graphs)
            self._links = [
                linked(graph, self._documents.texts, names)
                for graph in watched(self._documents.graphs, self._control)
            ]

    def merge(self) -> None:
        """Make one graph of all."""
        inputs = self._inputs
        with self._told.phase("merge", "merging"):
            self._graph = merged(
                inputs.collection.key,
                self._links,
                self._control,
                inputs.corrections,
                vectors=self._documents.vectors,
                judge=self._judge,
                resolution=inputs.config.resolution,
                types=inputs.config.entity_types,
            )

    def group(self) -> None:
        """Find out what belongs together."""
        with self._told.phase("communities", "finding communities"):
            if not self._inputs.config.communities:
                return
            ids = [each.entity_id for each in self._graph.entities]
            relations, before = self._graph.relations, self._communities_before
            self._communities = communities(ids, relations, self._control, before)
            self._modularity = modularity(self._communities, relations)

    def report(self) -> None:
        """Write what is new of each community."""
        with self._told.phase("reports"):
            self._reports = reports(
                self._graph,
                self._communities,
                sentences(
                    watched(self._links, self._control),
                    self._graph.resolved,
                    self._documents.texts,
                ),
                self._write,
                self._writer.titles,
                self._inputs.report_recipe,
                self._control,
                self._reports_before,
                self._communities_before,
            )
            written = {each.inputs for each in self._reports}
            self._reports_written = len(written - {each.inputs for each in self._reports_before})

    def _write(self, materials: Iterable[Material]) -> Iterator[Written]:
        return self._told.each(list(materials), self._writer.write, "reports")

    def publish(self, before_commit: Callable[[], None]) -> None:
        """Make it what readers see."""
        with self._told.phase("publish"):
            self._told(1.0, "publishing")
            self._control.check()
            self._origin = Origin(leaves_hash(self._documents.texts), self._inputs.recipe)
            places = {each.entity_id: each.chunk_ids for each in self._graph.entities}
            self._counts = self._inputs.graphs.publish(
                self._graph.entities,
                self._graph.relations,
                self._communities,
                (
                    IndexedReport(each, self._documents.middle(each, places))
                    for each in self._reports
                ),
                self._origin,
                self._inputs.embedder.dimension,
                before_commit,
            )
            self._inputs.graphs.remove_missing(self._ids)

    def done(self) -> GraphReport:
        """Return what was done."""
        documents, writer, judge = self._documents, self._writer, self._judge
        levels = Counter(each.level for each in self._communities)
        return GraphReport(
            origin=self._origin,
            documents=len(self._ids),
            chunks=len(documents.texts),
            extracted=documents.extracted,
            counts=self._counts,
            communities=dict(sorted(levels.items())),
            modularity=self._modularity,
            reports_written=self._reports_written,
            incomplete=documents.incomplete,
            fallbacks=writer.fallbacks,
            doubts=judge.asked if judge else 0,
            doubts_unanswered=judge.unanswered if judge else 0,
            tokens=documents.tokens + writer.tokens + (judge.tokens if judge else 0),
            estimate=documents.estimate,
            left_out=documents.left_out,
            failed=documents.failed,
            by_spelling=documents.by_spelling,
            warnings=tuple(documents.warnings),
            seconds=self._told.seconds,
            view=View(self._inputs.collection.name, self._graph, self._communities, self._reports),
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Have Python not look for cycles meanwhile.

    A build makes very many small objects that stay, and no cycles; to look through all of them
    again and again would take a third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            # What was made is old now: else it would all be looked through at once.
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _manner(inputs: GraphInputs) -> Manner[Material]:
    return Manner(
        prompt=PROMPT,
        max_tokens=inputs.embedder.max_tokens,
        max_errors=MAX_ERRORS,
        samples=lambda material: [each.text for each in material.quotable[:_SAMPLES]],
        quote=quoted,
    )


@contextmanager
def _readers(inputs: GraphInputs) -> Iterator[Readers]:
    """Lend the processes that read: those that are there already, or else new ones."""
    if inputs.readers is None:
        with Readers(min(os.cpu_count() or 1, _MOST_READERS)) as readers:
            yield readers
        return
    try:
        yield inputs.readers
    finally:
        inputs.readers.rest()
