"""The graphs of documents that a build is made of: stored ones, and those that are read now.

Belongs here: which documents are read, and how one that cannot be read harms no other. Does not
belong here: reading (``graph``), what is made of all graphs (``graphed``).
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment.keywords import keywords
from ingestion_pipeline.errors import IngestError, StopWorkError
from ingestion_pipeline.graph import Material, Readers, document_graphs, has_model
from ingestion_pipeline.languages import NAMES
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.graph import DocumentGraph, Report
from ingestion_pipeline.side_by_side import in_order
from ingestion_pipeline.stages.foreseen import Estimate, estimated, questions_about
from ingestion_pipeline.stages.graph_inputs import GraphInputs
from ingestion_pipeline.stages.recipes import document_fingerprint
from ingestion_pipeline.stages.told import Told
from ingestion_pipeline.stages.wording import language

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Vectors = NDArray[np.float32]

logger = logging.getLogger(__name__)

CHUNKS_AT_ONCE = 64
"""Of several documents that are read in one go."""
LOOKERS = 4
"""Threads that look up what is stored; a bucket takes its time for each answer."""
SHOWN_WARNINGS = 20
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


def threads(inputs: GraphInputs) -> int:
    """Return how many threads a build needs."""
    return max(LOOKERS, inputs.reader.max_concurrent if inputs.reader else 0)


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


class DocumentGraphs:
    """The graphs of all documents: those that are stored, and those that are made now."""

    def __init__(
        self,
        inputs: GraphInputs,
        readers: Readers,
        pool: ThreadPoolExecutor,
        control: Control,
        told: Told,
        wanted: Collection[str] | None,
    ) -> None:
        self._inputs = inputs
        self._readers = readers
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
        most = 2 * threads(self._inputs) if self._inputs.reader else self._readers.most + 1
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
            in_order(self._pool, self._questions, unread, 2 * LOOKERS)
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
        """Yield the documents to be read, several small ones together; take all others.

        The first comes alone: while the others are looked up, a model is loaded to read it with.
        """
        group: list[_Found] = []
        size, most = 1, 1 if self._inputs.reader else CHUNKS_AT_ONCE
        sources = self._inputs.snapshot.sources(document_ids)
        for each in in_order(self._pool, self._looked_up, sources, 2 * LOOKERS):
            if each.graph is not None:
                self._take(each, each.graph)
            elif self._wanted is not None and each.material.document_id not in self._wanted:
                self.left_out += 1
            else:
                group.append(each)
            if sum(len(one.material.chunks) for one in group) >= size:
                yield group
                group, size = [], most
        if group:
            yield group

    def _looked_up(self, source: tuple[str, list[Chunk], Vectors]) -> _Found:
        self._control.check()
        document_id, chunks, vectors = source
        title = title_of(self._names[document_id])
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
        method = inputs.config.method
        made = list(document_graphs(materials, self._control, llm, method, self._readers))
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


def title_of(name: str) -> str | None:
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
