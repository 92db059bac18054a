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
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from ingestion_pipeline.control import Control, watched
from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.enrichment.keywords import keywords
from ingestion_pipeline.errors import IngestError, StopWorkError
from ingestion_pipeline.graph import (
    Material,
    document_graphs,
    has_model,
    known_names,
    linked,
    merged,
)
from ingestion_pipeline.graph.communities import communities, modularity
from ingestion_pipeline.graph.doubts import Judge
from ingestion_pipeline.graph.exports import View
from ingestion_pipeline.graph.reports import PROMPT, quoted, reports, sentences
from ingestion_pipeline.graph.reports import Material as ReportMaterial
from ingestion_pipeline.indexing import Snapshot
from ingestion_pipeline.indexing.graph_rows import IndexedReport
from ingestion_pipeline.indexing.graphs import GraphCounts, GraphIndex, GraphSnapshot
from ingestion_pipeline.indexing.summary_rows import Origin
from ingestion_pipeline.languages import NAMES
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import CollectionName, GraphConfig
from ingestion_pipeline.model.graph import (
    Community,
    Correction,
    DocumentGraph,
    ExtractionMethod,
    KnowledgeGraph,
    Report,
)
from ingestion_pipeline.raptor import leaves_hash
from ingestion_pipeline.stages.foreseen import Estimate, estimated, questions_about
from ingestion_pipeline.stages.recipes import (
    document_fingerprint,
    extraction_recipe,
    graph_recipe,
    report_recipe,
)
from ingestion_pipeline.stages.side_by_side import Together, in_order
from ingestion_pipeline.stages.wording import language
from ingestion_pipeline.stages.writer import Manner, Writer
from ingestion_pipeline.storage.artifacts import ArtifactStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Vectors = NDArray[np.float32]

logger = logging.getLogger(__name__)

CHUNKS_AT_ONCE = 64
"""Of several documents that are read in one go."""
READERS = 4
"""Threads that look up what is stored; a bucket takes its time for each answer."""
TELL_SECONDS = 1.0
SHOWN_WARNINGS = 20
MAX_ERRORS = 3
"""After more, the language model is asked for no more reports in this build."""
_SAMPLES = 20
"""Sentences that tell the language of a report."""
_KEY_PHRASES = 5
"""Of a chunk in a language that no parser is there for."""
_BY_SPELLING = (
    "is read by its spelling alone, as no model of it is installed; there is one for English, and "
    "one for Chinese (the extra `chinese`)"
)
_NO_TITLES = frozenset(
    {"readme", "index", "untitled", "document", "copy", "draft", "scan", "page", "license", "notes"}
)
"""What files are called whatever is in them."""
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

    A report's vector is the mean of those of the chunks that it cites. Without a language
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
        Writer(_manner(inputs), inputs.embedder, inputs.llm, together) as writer,
        ThreadPoolExecutor(_threads(inputs), thread_name_prefix="graph") as pool,
        together,
    ):
        reading = _Reading(inputs, pool, together, told, document_ids)
        with told.phase("extract"):
            reading.read(ids)
        with told.phase("link"), _uncollected():
            links = list(_linked(reading, together))
        asked = inputs.llm if inputs.config.resolve_with_llm else None
        judge = Judge(asked, together) if asked else None
        with told.phase("merge", "merging"), nullcontext() if judge else _uncollected():
            graph = merged(
                inputs.collection.key,
                links,
                together,
                inputs.corrections,
                vectors=reading.vectors,
                judge=judge,
                resolution=inputs.config.resolution,
                types=inputs.config.entity_types,
            )
        with told.phase("communities", "finding communities"), _uncollected():
            found = _communities(inputs, graph, before, together)
            worth = modularity(found, graph.relations)
        # A language model may take hours, and its connections do make cycles.
        with told.phase("reports"), nullcontext() if inputs.llm else _uncollected():
            # Not what quotes since the language model failed.
            known = [each for each in before.reports() if each.method is writer.method]
            said = sentences(watched(links, together), graph.resolved, reading.texts)
            written = reports(
                graph,
                found,
                said,
                lambda materials: told.each(list(materials), writer.write, "reports"),
                writer.titles,
                inputs.report_recipe,
                together,
                known,
            )
            places = {each.entity_id: each.chunk_ids for each in graph.entities}
            indexed = [IndexedReport(each, reading.middle(each, places)) for each in written]
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
        reports_written=_news(written, known),
        incomplete=reading.incomplete,
        fallbacks=writer.fallbacks,
        doubts=judge.asked if judge else 0,
        doubts_unanswered=judge.unanswered if judge else 0,
        tokens=reading.tokens + writer.tokens + (judge.tokens if judge else 0),
        estimate=reading.estimate,
        left_out=reading.left_out,
        failed=reading.failed,
        by_spelling=reading.by_spelling,
        warnings=tuple(reading.warnings),
        seconds=told.seconds,
        view=View(inputs.collection.name, graph, found, written),
    )


def estimate(
    inputs: GraphInputs, control: Control, document_ids: Collection[str] | None = None
) -> Estimate:
    """Return what a build would read and ask a language model; it reads and asks nothing.

    Raises:
        StopWorkError: as ``control`` does.
    """
    with (
        ThreadPoolExecutor(_threads(inputs), thread_name_prefix="graph") as pool,
        Together(control) as together,
    ):
        reading = _Reading(inputs, pool, together, _Told(_tell_nobody), document_ids)
        return reading.foreseen(inputs.snapshot.document_ids())


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


def _manner(inputs: GraphInputs) -> Manner[ReportMaterial]:
    return Manner(
        prompt=PROMPT,
        max_tokens=inputs.embedder.max_tokens,
        max_errors=MAX_ERRORS,
        samples=lambda material: [each.text for each in material.quotable[:_SAMPLES]],
        quote=quoted,
    )


def _threads(inputs: GraphInputs) -> int:
    return max(READERS, inputs.reader.max_concurrent if inputs.reader else 0)


def _communities(
    inputs: GraphInputs, graph: KnowledgeGraph, before: GraphSnapshot, control: Control
) -> list[Community]:
    if not inputs.config.communities:
        return []
    ids = [each.entity_id for each in graph.entities]
    return communities(ids, graph.relations, control, before.communities())


def _news(written: Iterable[Report], known: Iterable[Report]) -> int:
    before = {each.inputs for each in known}
    return len({each.inputs for each in written} - before)


def _linked(reading: _Reading, control: Control) -> Iterator[DocumentGraph]:
    names = known_names(reading.graphs)
    for graph in watched(reading.graphs, control):
        yield linked(graph, reading.texts, names)


@dataclass(frozen=True)
class _Found:
    """A document, and its graph if that is stored."""

    material: Material
    vectors: Vectors
    fingerprint: str
    graph: DocumentGraph | None


@dataclass(frozen=True)
class _Read:
    """The graph of a document that was read now; None if that failed."""

    document: _Found
    graph: DocumentGraph | None
    error: str = ""
    by_spelling: str = ""
    """Its language, where no model is installed for that."""


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
        self.vectors: dict[str, Vector] = {}
        self.extracted = self.left_out = self.incomplete = self.tokens = 0
        self.failed: dict[str, str] = {}
        self.by_spelling: Counter[str] = Counter()
        self.estimate = Estimate()
        self.warnings: list[str] = []

    def read(self, document_ids: Sequence[str]) -> None:
        """Take the graphs of these documents."""
        self._count = len(document_ids)
        # The parser reads one batch after the other, whatever the number of threads.
        most = 2 * _threads(self._inputs) if self._inputs.reader else 2
        unread: Iterable[list[_Found]] = self._unread(document_ids)
        if self._inputs.llm:
            unread = list(unread)
            self.estimate = self._estimated(self._inputs.llm, unread)
            logger.info("%s: %s", self._inputs.collection.key, self.estimate)
            left = self._inputs.llm.budget_left
            if left is not None and left < self.estimate.tokens:
                logger.warning("%d tokens of the budget are left: they may not do", left)
        for some in in_order(self._pool, self._made, unread, most):
            for each in some:
                self._take_read(each)

    def foreseen(self, document_ids: Sequence[str]) -> Estimate:
        """Return what a language model would be asked, and read nothing."""
        self._count = len(document_ids)
        unread = list(self._unread(document_ids))
        if self._inputs.llm:
            return self._estimated(self._inputs.llm, unread)
        found = [each for some in unread for each in some]
        return Estimate(len(found), sum(len(each.material.chunks) for each in found))

    def _estimated(self, llm: ChatModel, groups: Iterable[list[_Found]]) -> Estimate:
        unread = [each.material for some in groups for each in some]
        asked = (
            in_order(self._pool, self._questions, unread, 2 * READERS)
            if self._inputs.reader
            else ()
        )
        texts = [[chunk.text for chunk in each.chunks] for each in unread]
        return estimated(self._inputs.config, llm, texts, asked)

    def _questions(self, material: Material) -> tuple[int, int]:
        llm = self._reader(material.document_id)
        texts = [chunk.text for chunk in material.chunks]
        return questions_about(self._inputs.config, llm, texts, self._control) if llm else (0, 0)

    def _reader(self, document_id: str) -> ChatModel | None:
        """Return the language model that reads; its answers are deleted with the document."""
        llm, inputs = self._inputs.reader, self._inputs
        return llm and llm.with_cache(inputs.artifacts.answers(inputs.collection, document_id))

    def middle(self, report: Report, places: Mapping[str, Sequence[str]]) -> Vector:
        """Return the mean of the vectors of the chunks that a report cites, of length 1.

        If it quotes nothing, of those that name its entities: ``places`` says where they are.
        """
        import numpy as np

        cited = [each.chunk_id for each in report.citations]
        named = (chunk_id for each in report.entity_ids for chunk_id in places[each])
        vectors = np.array([self.vectors[each] for each in cited or named], np.float64)
        mean: Vector = vectors.sum(axis=0).astype(np.float32)
        return mean / max(float(np.linalg.norm(mean)), 1e-12)

    def _unread(self, document_ids: Sequence[str]) -> Iterator[list[_Found]]:
        """Yield the documents to be read, several small ones together; take all others."""
        group: list[_Found] = []
        size = 1 if self._inputs.reader else CHUNKS_AT_ONCE
        sources = self._inputs.snapshot.sources(document_ids)
        for each in in_order(self._pool, self._looked_up, sources, 2 * READERS):
            if each.graph is not None:
                self._take(each, each.graph)
            elif self._wanted is not None and each.material.document_id not in self._wanted:
                self.left_out += 1
            else:
                group.append(each)
            if sum(len(one.material.chunks) for one in group) >= size:
                yield group
                group = []
        if group:
            yield group

    def _looked_up(self, source: tuple[str, list[Chunk], Vectors]) -> _Found:
        self._control.check()
        document_id, chunks, vectors = source
        title = _title(self._names[document_id])
        fingerprint = document_fingerprint(title, chunks, self._recipe)
        artifacts, collection = self._inputs.artifacts, self._inputs.collection
        graph = artifacts.get_graph(collection, document_id, fingerprint)
        return _Found(Material(document_id, chunks, title), vectors, fingerprint, graph)

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
        llm = self._reader(materials[0].document_id)
        made = list(document_graphs(materials, self._control, llm, inputs.config.method))
        for each, graph in zip(documents, made, strict=True):
            if graph.complete:
                inputs.artifacts.put_graph(
                    inputs.collection, graph.document_id, each.fingerprint, graph
                )
        return [
            _Read(document, graph, by_spelling=_unread_language(material))
            for document, material, graph in zip(documents, materials, made, strict=True)
        ]

    def _in_its_language(self, material: Material) -> Material:
        """Tell what a document is in, and its key phrases if no model of that is there."""
        spoken = language([chunk.text for chunk in material.chunks])
        if has_model(spoken):
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
        self._note_spelling(read.by_spelling)
        self.tokens += read.graph.tokens
        self.incomplete += not read.graph.complete
        self._take(read.document, read.graph)

    def _note_spelling(self, spoken: str) -> None:
        if spoken and not self.by_spelling[spoken]:
            logger.info("%s %s", NAMES.get(spoken, spoken), _BY_SPELLING)
        if spoken:
            self.by_spelling[spoken] += 1

    def _take(self, document: _Found, graph: DocumentGraph) -> None:
        material = document.material
        self.graphs.append(graph)
        for chunk, vector in zip(material.chunks, document.vectors, strict=True):
            self.texts[chunk.chunk_id] = chunk.text
            self.vectors[chunk.chunk_id] = vector
        if len(self.warnings) < SHOWN_WARNINGS:
            name = self._names[material.document_id]
            self.warnings += (f"{name}: {each}" for each in graph.warnings)
        self._tell()

    def _tell(self) -> None:
        self._done += 1
        self._told(self._done / self._count, f"documents: {self._done:,} of {self._count:,}")


def _unread_language(material: Material) -> str:
    """Return the language of a document that is read by its spelling."""
    return "" if has_model(material.language) else material.language or "unknown"


def _title(name: str) -> str | None:
    """Return what a document is called by its name, None if that tells of a file only.

    "Albert_Einstein.txt" and "self-service portal.md" are of something; "scan-0042.pdf" and
    "handbook.md" are not: each text with that word in it would be about the document.
    """
    name = _EXTENSION.sub("", name.rpartition("/")[2]) or name
    if " " not in name:
        name = name.replace("_", " ")
    words = name.split()
    letters = sum(map(str.isalpha, name))
    if letters < sum(map(str.isdigit, name)) or name.casefold() in _NO_TITLES:
        return None
    if len(words) == 1 and not _written_as_name(name):
        return None
    return name


def _written_as_name(word: str) -> bool:
    """Whether a word alone is a name: with a capital, or in a script that has none."""
    letters = [each for each in word if each.isalpha()]
    return any(each.isupper() or each.lower() == each.upper() for each in letters)


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
