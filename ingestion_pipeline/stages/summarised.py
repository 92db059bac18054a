"""The trees of summaries of a collection: of each document, and across documents.

Reads the chunks and vectors that are indexed, and the summaries of the build before. Publishes all
summaries in one commit, under the lease that ``before_commit`` checks. What is finished is kept
every few seconds: a build that was stopped goes on from there.

Documents are taken a few at a time. What stays in memory is which summaries there are; and, where
there are summaries across documents, the lowest ones of each document with the chunks that they
cite.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control
from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.errors import IngestError, StopWorkError
from ingestion_pipeline.indexing import Snapshot
from ingestion_pipeline.indexing.summaries import SummaryIndex
from ingestion_pipeline.indexing.summary_rows import IndexedSummary, Origin
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import RaptorConfig, RaptorMethod, RaptorScope
from ingestion_pipeline.raptor import (
    Material,
    Node,
    Source,
    Tools,
    classic,
    clusters,
    collection_layers,
    document_tree,
    leaves_hash,
    leaves_of,
)
from ingestion_pipeline.raptor.tree import Unit
from ingestion_pipeline.side_by_side import Together, in_order
from ingestion_pipeline.stages.recipes import summary_recipe, summary_tokens, tree_recipe
from ingestion_pipeline.stages.writer import Manner, Writer
from ingestion_pipeline.summarising.abstractive import DEFAULT_PROMPT
from ingestion_pipeline.summarising.extractive import extract

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

logger = logging.getLogger(__name__)

DOCUMENTS_AT_ONCE = 64
"""Whose summaries of before are looked up together."""
KEEP_SECONDS = 3.0
"""How much of a build that is killed is lost, at most; keeping takes some hundredths."""
TELL_SECONDS = 1.0
DOCUMENTS_SHARE = 0.8
"""Of all progress, where there are summaries across documents too."""

Progress = Callable[[float, str], None]
"""Told now and then how far a build is, 0..1, with a line for a person."""


def _tell_nobody(fraction: float, message: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class TreeInputs:
    """What the trees of a collection are built of and with.

    Summaries are in the index of the embedding model that the chunks' vectors are of. Without a
    language model they quote sentences.
    """

    snapshot: Snapshot
    summaries: SummaryIndex
    config: RaptorConfig
    embedder: Embedder
    llm: ChatModel | None = None

    @property
    def recipe(self) -> str:
        """What a tree's ``Origin`` says; with another one, a tree is not current."""
        return tree_recipe(self.config, self.embedder, llm=self._llm)

    @property
    def summary_recipe(self) -> str:
        """What is part of each summary's id."""
        return summary_recipe(self.config, self.embedder, llm=self._llm)

    @property
    def _llm(self) -> str | None:
        return self.llm.fingerprint if self.llm else None


@dataclass(frozen=True)
class TreeReport:
    """What a build did.

    ``layers`` and ``across`` count the summaries of each layer, of documents and across them.
    ``written`` of all were written and embedded now, the others taken over. ``failures`` are
    questions that the language model did not answer, ``fallbacks`` the summaries that therefore
    quote sentences, until the next build; ``tokens`` what it was paid for. ``failed`` are documents
    that have no tree because of an error, with its message.
    """

    origin: Origin
    documents: int
    chunks: int
    layers: Mapping[int, int]
    across: Mapping[int, int]
    written: int
    failures: int
    fallbacks: int
    tokens: int
    failed: Mapping[str, str]
    seconds: float

    @property
    def summaries(self) -> int:
        """How many summaries there are, of what was built."""
        return sum(self.layers.values()) + sum(self.across.values())

    @property
    def reused(self) -> int:
        """How many of them were taken over."""
        return self.summaries - self.written


def build(
    inputs: TreeInputs,
    control: Control,
    before_commit: Callable[[], None],
    progress: Progress = _tell_nobody,
    document_ids: Collection[str] | None = None,
) -> TreeReport:
    """Build the trees of a collection and publish them.

    Args:
        inputs: What they are built of and with.
        control: Asked several times a second.
        before_commit: Called when all is written; may raise, and then nothing has changed.
        progress: Told about once a second.
        document_ids: Only these documents get new trees (those that are gone lose theirs), and all
            other summaries stay, also those across documents; so does what the tree is said to be
            built from, if there was one.

    Raises:
        StopWorkError: as ``control`` does; what was finished is used by the next build.
        TransientError: if the storage or a process that clusters fails.
    """
    began = time.perf_counter()
    ids = inputs.snapshot.document_ids()
    if document_ids is not None:
        ids = [each for each in ids if each in document_ids]
    whole = document_ids is None
    together = Together(control)
    with (
        Writer(_manner(inputs), inputs.embedder, inputs.llm, together) as writer,
        ThreadPoolExecutor(writer.threads, thread_name_prefix="tree") as pool,
        together,
    ):
        making = _Build(inputs, writer, pool, together, progress, across=whole)
        making.documents(ids)
        if whole:
            making.across()
        making.draft.flush()
        control.check()
        progress(1.0, "publishing")
        origin = _origin(inputs, making.chunk_ids, whole=whole)
        others = () if document_ids is None else _others(inputs.summaries, document_ids)
        inputs.summaries.publish(
            making.rows(others), origin, inputs.embedder.dimension, before_commit
        )
        return TreeReport(
            origin=origin,
            documents=len(ids),
            chunks=len(making.chunk_ids),
            layers=dict(sorted(making.layers.items())),
            across=dict(sorted(making.layers_across.items())),
            written=making.draft.made,
            failures=writer.failures,
            fallbacks=writer.fallbacks,
            tokens=writer.tokens,
            failed=making.failed,
            seconds=time.perf_counter() - began,
        )


def _manner(inputs: TreeInputs) -> Manner[Material]:
    config, max_tokens = inputs.config, summary_tokens(inputs.config, inputs.embedder)
    return Manner(
        prompt=config.prompt or DEFAULT_PROMPT,
        max_tokens=max_tokens,
        max_errors=config.max_errors,
        samples=lambda material: [chunk.text for chunk in material.chunks],
        quote=lambda material, tools: extract(material.chunks, material.vectors, max_tokens, tools),
    )


def _origin(inputs: TreeInputs, chunk_ids: Iterable[str], *, whole: bool) -> Origin:
    before = None if whole else inputs.summaries.snapshot().origin
    return before or Origin(leaves_hash(chunk_ids), inputs.recipe)


def _others(summaries: SummaryIndex, document_ids: Collection[str]) -> Iterator[IndexedSummary]:
    """Yield the published summaries of all but some documents."""
    for each in summaries.snapshot().all():
        if each.summary.document_id not in document_ids:
            yield each


@dataclass(frozen=True)
class _Tree:
    """A document with its tree."""

    document_id: str
    chunks: Sequence[Chunk]
    vectors: Vectors
    nodes: Sequence[Node]
    error: str | None = None


class _Build:
    """One build: what it has made so far."""

    def __init__(
        self,
        inputs: TreeInputs,
        writer: Writer[Material],
        pool: ThreadPoolExecutor,
        control: Control,
        progress: Progress,
        *,
        across: bool,
    ) -> None:
        self._inputs = inputs
        self._writer = writer
        self._pool = pool
        self._control = control
        self._told = _Told(progress)
        self._with_across = across and inputs.config.scope is RaptorScope.COLLECTION
        self._recipe = inputs.summary_recipe
        self._order: dict[str, tuple[str, ...]] = {}
        self._leaves: dict[str, Sequence[Unit]] = {}
        self._sources: dict[str, Source] = {}
        self._below: dict[str, tuple[str, ...]] = {}
        self._across: list[IndexedSummary] = []
        self.draft = _Draft(inputs.summaries)
        self.chunk_ids: list[str] = []
        self.layers: Counter[int] = Counter()
        self.layers_across: Counter[int] = Counter()
        self.failed: dict[str, str] = {}

    def documents(self, document_ids: Sequence[str]) -> None:
        """Build the tree of each document."""
        share = DOCUMENTS_SHARE if self._with_across else 1.0
        for done, tree in enumerate(self._trees(document_ids)):
            self._take(tree)
            self._told(
                share * (done + 1) / len(document_ids),
                f"documents: {done + 1:,} of {len(document_ids):,}",
            )

    def across(self) -> None:
        """Build the layers of summaries across documents, if there are to be any."""
        if not self._with_across:
            return
        known = self._inputs.summaries.known(None)
        self._below |= {each: indexed.documents for each, indexed in known.items()}
        self._below |= {
            leaf.id: (document_id,)
            for document_id, leaves in self._leaves.items()
            for leaf in leaves
        }
        memo = self._memo(known.values())
        nodes = collection_layers(
            self._leaves, self._sources, self._next_layer, self._tools(memo, self._made_across)
        )
        self._across = [self._indexed_across(node) for node in nodes]
        self.draft.keep(each for each in self._across if _is_news(each, memo))
        self.layers_across.update(node.layer for node in nodes)

    def rows(self, others: Iterable[IndexedSummary]) -> Iterator[IndexedSummary]:
        """Yield all summaries, and others, as they are published.

        A document whose summaries are no longer there was removed meanwhile, and with it go the
        summaries across documents that have something of it.
        """
        yield from others
        removed: set[str] = set()
        for some in _batches(list(self._order)):
            self._control.check()
            known = self._inputs.summaries.known(some)
            for document_id in some:
                order = self._order[document_id]
                if known.keys() >= set(order):
                    yield from (known[each] for each in order)
                else:
                    removed.add(document_id)
        yield from (each for each in self._across if removed.isdisjoint(each.documents))

    def _trees(self, document_ids: Sequence[str]) -> Iterator[_Tree]:
        for some in _batches(document_ids):
            self._control.check()
            known = self._inputs.summaries.known(some)
            tools = self._tools(self._memo(known.values()), self._made_of_document)
            sources = self._inputs.snapshot.sources(some)
            built = partial(_built, tools=tools)
            for tree in in_order(self._pool, built, sources, 2 * self._writer.threads):
                rows = map(_of_document, tree.nodes)
                self.draft.keep(row for row in rows if _is_news(row, tools.memo))
                yield tree

    def _take(self, tree: _Tree) -> None:
        """Note what must be known of a document later on."""
        self.chunk_ids += (chunk.chunk_id for chunk in tree.chunks)
        self.layers.update(node.layer for node in tree.nodes)
        if tree.nodes:
            self._order[tree.document_id] = tuple(node.id for node in tree.nodes)
        if tree.error is not None:
            self.failed[tree.document_id] = tree.error
        if self._with_across:
            # Copied, as a part of an array keeps all of it in memory.
            pairs = zip(tree.chunks, tree.vectors, strict=True)
            sources = [Source(chunk, vector.copy()) for chunk, vector in pairs]
            leaves = leaves_of(sources, tree.nodes)
            self._leaves[tree.document_id] = leaves
            wanted = {each for leaf in leaves for each in _may_be_asked_for(leaf)}
            self._sources |= {source.id: source for source in sources if source.id in wanted}

    def _next_layer(self, vectors: Vectors) -> Sequence[Sequence[int]]:
        config, control = self._inputs.config, self._control
        if config.method is RaptorMethod.CLASSIC:
            groups = classic.next_layer(
                vectors, config.seed, config.threshold, config.max_cluster, control
            )
        else:
            groups = clusters.next_layer(vectors, config.seed, control)
        self._told.across(len(groups))
        return groups

    def _tools(self, memo: Mapping[str, Node], made: Callable[[Node], None]) -> Tools:
        return Tools(
            recipe=self._recipe,
            make=self._writer.make,
            titles=self._writer.titles,
            control=self._control,
            memo=memo,
            made=made,
        )

    def _memo(self, known: Iterable[IndexedSummary]) -> dict[str, Node]:
        """Return what need not be made again; not what quotes since the language model failed."""
        return {
            each.summary.summary_id: Node(each.summary, each.vector, each.inputs)
            for each in known
            if each.summary.method is self._writer.method
        }

    def _made_of_document(self, node: Node) -> None:
        self.draft.made_one(_of_document(node))

    def _made_across(self, node: Node) -> None:
        self.draft.made_one(self._indexed_across(node))
        self._told.one_across()

    def _indexed_across(self, node: Node) -> IndexedSummary:
        below = {each for child in node.summary.children for each in self._below[child]}
        self._below[node.id] = tuple(sorted(below))
        return IndexedSummary(node.summary, node.vector, node.inputs, self._below[node.id])


def _built(source: tuple[str, list[Chunk], Vectors], tools: Tools) -> _Tree:
    """Build the tree of a document; an error that only it has leaves it without one."""
    document_id, chunks, vectors = source
    try:
        return _Tree(document_id, chunks, vectors, document_tree(chunks, vectors, tools))
    except (IngestError, StopWorkError):
        raise
    except Exception as error:
        logger.exception("the document %s has no tree", document_id)
        return _Tree(document_id, chunks, vectors, (), f"{type(error).__name__}: {error}")


def _may_be_asked_for(leaf: Unit) -> Iterator[str]:
    """Yield the chunks that a summary of a leaf may be written from."""
    yield from leaf.chunk_ids[:1]
    if isinstance(leaf, Node):
        yield from (citation.chunk_id for citation in leaf.summary.citations)


def _of_document(node: Node) -> IndexedSummary:
    documents = (node.summary.document_id,) if node.summary.document_id is not None else ()
    return IndexedSummary(node.summary, node.vector, node.inputs, documents)


def _is_news(row: IndexedSummary, memo: Mapping[str, Node]) -> bool:
    """Whether a finished summary is not stored as it is, which titles may be the reason for."""
    before = memo.get(row.summary.summary_id)
    return (
        before is None or before.inputs != row.inputs or before.summary.title != row.summary.title
    )


def _batches(document_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(document_ids), DOCUMENTS_AT_ONCE):
        yield document_ids[start : start + DOCUMENTS_AT_ONCE]


class _Draft:
    """Keeps what is finished, every few seconds; for any number of threads."""

    def __init__(self, summaries: SummaryIndex) -> None:
        self._summaries = summaries
        self._waiting: dict[str, IndexedSummary] = {}
        self._kept = time.monotonic()
        self._lock = threading.Lock()
        self.made = 0

    def made_one(self, row: IndexedSummary) -> None:
        """Keep, soon, what was written and embedded now."""
        with self._lock:
            self.made += 1
        self.keep((row,))

    def keep(self, rows: Iterable[IndexedSummary]) -> None:
        """Keep these, soon; the later ones of the same id."""
        with self._lock:
            self._waiting |= {row.summary.summary_id: row for row in rows}
            if time.monotonic() - self._kept >= KEEP_SECONDS:
                self._flush()

    def flush(self) -> None:
        """Keep what is waiting now."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        self._summaries.keep(list(self._waiting.values()))
        self._waiting.clear()
        self._kept = time.monotonic()


class _Told:
    """Progress, about once a second."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._next = 0.0
        self._layer = self._done = self._count = 0

    def __call__(self, fraction: float, message: str) -> None:
        """Tell, unless it was told just now."""
        if time.monotonic() >= self._next:
            self._progress(min(fraction, 1.0), message)
            self._next = time.monotonic() + TELL_SECONDS

    def across(self, count: int) -> None:
        """Tell that a layer across documents begins."""
        self._layer, self._done, self._count = self._layer + 1, 0, count
        self._next = 0.0
        self._tell_layer()

    def one_across(self) -> None:
        """Tell that a summary of the layer is made."""
        self._done += 1
        self._tell_layer()

    def _tell_layer(self) -> None:
        # How many layers follow is not known: each takes half of what is left.
        left = 0.5 ** (self._layer - 1) * (1 - self._done / max(1, self._count) / 2)
        self(
            1 - (1 - DOCUMENTS_SHARE) * left,
            f"layer {self._layer} across documents: {self._done:,} of {self._count:,} written",
        )
