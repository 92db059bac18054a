"""Building trees of summaries over chunks, a layer at a time from the bottom.

Belongs here: nodes, their ids and titles, what is taken over from the build before, and what a
finished tree is checked for. Does not belong here: which members a group has (``outline``,
``clusters``, ``classic``) and what is written of it (``extractive``, ``abstractive``, ``titles``).

A node is a function of what is below it, and a title of what is below and beside it. So a build
that takes over what it can equals one from nothing, whatever was added, edited or deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.summaries import Citation, Summary, summary_id
from ingestion_pipeline.raptor import outline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingestion_pipeline.summarising.text import Written

FEWEST_CHUNKS = 2
"""A document with less has no tree: a summary of one chunk would be that chunk again."""
CITATIONS_EACH = 16
"""Of one child, as many count for its parent, from its beginning to its end."""
MOST_LAYERS = 6
"""Of summaries across documents; what is left of a collection then stands side by side."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A chunk and its vector, (dimension,)."""

    chunk: Chunk
    vector: NDArray[np.float32]

    @property
    def id(self) -> str:
        """The chunk's id."""
        return self.chunk.chunk_id

    @property
    def layer(self) -> int:
        """Chunks are the ground."""
        return 0

    @property
    def text(self) -> str:
        """The chunk's text."""
        return self.chunk.text

    @property
    def chunk_ids(self) -> tuple[str, ...]:
        """The chunk itself."""
        return (self.chunk.chunk_id,)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A summary and its vector, (dimension,).

    ``inputs`` is a hash of all that the text was made from. A chunk keeps its id when the headings
    above it or its vector change, and so does a summary; what it says may be different then.
    """

    summary: Summary
    vector: NDArray[np.float32]
    inputs: str

    @property
    def id(self) -> str:
        """The summary's id."""
        return self.summary.summary_id

    @property
    def layer(self) -> int:
        """The summary's layer."""
        return self.summary.layer

    @property
    def text(self) -> str:
        """The summary's text."""
        return self.summary.text

    @property
    def chunk_ids(self) -> tuple[str, ...]:
        """All chunks below."""
        return self.summary.chunk_ids


Unit = Source | Node
"""What a summary can be of."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a summary is written from.

    ``texts`` are those of its children. ``chunks`` and their ``vectors``, (chunks, dimension), are
    the children where these are chunks; of children that are summaries, chunks that they cite.
    ``citations`` say what the texts come from: whole chunks, and what summaries cite.
    """

    layer: int
    texts: tuple[str, ...]
    chunks: tuple[Chunk, ...]
    vectors: NDArray[np.float32]
    citations: tuple[Citation, ...]


Make = Callable[[Iterable[Material]], "Iterable[tuple[Written, NDArray[np.float32]]]"]
"""Writes one summary of each and embeds it; side by side or not, it answers in their order."""
Titles = Callable[[Sequence[Sequence[str]]], Sequence[str]]
"""Finds a title for each of some siblings, given the texts below each."""
NextLayer = Callable[["NDArray[np.float32]"], Sequence[Sequence[int]]]
"""Groups vectors, (units, dimension), in fewer groups; each is in at least one of them."""


def _tell_nobody(node: Node) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What trees are built with.

    ``recipe`` names the ways and models of all that follows: with another recipe all ids are
    different. ``memo`` has the nodes of builds before by their ids; what it has is neither written
    nor embedded again. ``made`` is told each node that is new, without a title yet: kept where
    ``memo`` finds them, these nodes are what a build that was stopped goes on from.
    """

    recipe: str
    make: Make
    titles: Titles
    control: Control
    memo: Mapping[str, Node] = field(default_factory=lambda: MappingProxyType({}))
    made: Callable[[Node], None] = _tell_nobody


def document_tree(
    chunks: Sequence[Chunk], vectors: NDArray[np.float32], tools: Tools
) -> list[Node]:
    """Build the tree of one document.

    Args:
        chunks: All its chunks, in their order.
        vectors: Theirs, (chunks, dimension).
        tools: What to build it with.

    Returns:
        Its nodes, the lowest layer first and each layer in the order of the document; the last is
        the root. Every chunk is below one node of each layer. None at all for a document of fewer
        than ``FEWEST_CHUNKS``.

    Raises:
        StopWorkError: as ``tools.control`` does, and whatever else ``tools`` raise.
    """
    if len(chunks) < FEWEST_CHUNKS:
        return []
    leaves = [Source(*pair) for pair in zip(chunks, vectors, strict=True)]
    build = _Build(chunks[0].document_id, leaves, {leaf.id: leaf for leaf in leaves}, tools)
    units: Sequence[Unit] = leaves
    for sections in outline.layers(chunks, vectors):
        groups = [units[section.first : section.end] for section in sections]
        units = build.layer(groups, [section.heading for section in sections])
    return build.titled()


def leaves_of(sources: Sequence[Source], nodes: Sequence[Node]) -> Sequence[Unit]:
    """Return what stands for a document in the tree of its collection: its lowest summaries.

    A document without a tree brings its chunks. So every chunk of the collection is below exactly
    one of its leaves, and these are a third of the chunks or less where documents have a few.
    """
    return [node for node in nodes if node.layer == 1] or sources


def collection_layers(
    documents: Mapping[str, Sequence[Unit]],
    sources: Mapping[str, Source],
    next_layer: NextLayer,
    tools: Tools,
) -> list[Node]:
    """Build the layers of summaries across documents.

    Args:
        documents: The leaves (``leaves_of``) of each document, by its id, in their order.
        sources: The chunks by their ids; those that are leaves or that leaves cite are asked for.
        next_layer: Groups the units of a layer, the same ones always in the same way.
        tools: What to build them with.

    Returns:
        The nodes of at most ``MOST_LAYERS`` layers, the lowest first. A unit that is in a group by
        itself goes on to the next layer as it is; a group may hold summaries and chunks. None at
        all where there are fewer than two leaves.

    Raises:
        StopWorkError: as ``tools.control`` does, and whatever else ``tools`` and others raise.
    """
    import numpy as np

    units: Sequence[Unit] = [leaf for _, leaves in sorted(documents.items()) for leaf in leaves]
    build = _Build(None, units, sources, tools)
    for _ in range(MOST_LAYERS):
        if len(units) < FEWEST_CHUNKS:
            break
        tools.control.check()
        groups = next_layer(np.stack([unit.vector for unit in units]))
        if len(groups) >= len(units):
            groups = [range(len(units))]
        units = build.layer([[units[place] for place in group] for group in groups])
    return build.titled()


class _Build:
    """A tree that grows by layers."""

    def __init__(
        self,
        document_id: str | None,
        leaves: Sequence[Unit],
        sources: Mapping[str, Source],
        tools: Tools,
    ) -> None:
        self._document_id = document_id
        self._sources = sources
        self._tools = tools
        self._units: dict[str, Unit] = {leaf.id: leaf for leaf in leaves}
        self._nodes: dict[str, Node] = {}
        self._headings: dict[str, str] = {}
        self._taken_over: set[str] = set()
        ids = (each for leaf in leaves for each in leaf.chunk_ids)
        self._places = {each: place for place, each in enumerate(ids)}

    def layer(
        self, groups: Sequence[Sequence[Unit]], headings: Sequence[str] = ()
    ) -> Sequence[Unit]:
        """Add a layer: a node for each group of several units; return the units of the layer."""
        drafts = {group[0].id if len(group) == 1 else self._id(group): group for group in groups}
        several = {node_id: group for node_id, group in drafts.items() if len(group) > 1}
        nodes = self._made(several)
        self._nodes |= nodes
        self._units |= nodes
        self._headings |= zip(drafts, headings, strict=False)
        return [self._units[unit_id] for unit_id in drafts]

    def titled(self) -> list[Node]:
        """Return the nodes, each with its title; it depends on the siblings under one parent."""
        roots = dict.fromkeys(self._nodes)
        for node in self._nodes.values():
            for child in node.summary.children:
                roots.pop(child, None)
        titles = self._titles_of_before(roots)
        if not titles:
            self._entitle(list(roots), "", titles)
            for node in reversed(self._nodes.values()):
                children = (child for child in node.summary.children if child in self._nodes)
                untitled = [child for child in children if child not in titles]
                self._entitle(untitled, titles[node.id], titles)
        return [
            replace(node, summary=replace(node.summary, title=titles[node.id]))
            for node in self._nodes.values()
        ]

    def _titles_of_before(self, roots: Collection[str]) -> dict[str, str]:
        """Return the titles in the memo, if they all hold: where nothing under one root is new."""
        if len(roots) != 1 or self._nodes.keys() != self._taken_over:
            return {}
        titles = {node_id: self._tools.memo[node_id].summary.title for node_id in self._nodes}
        return titles if all(titles.values()) else {}

    def _entitle(self, siblings: Sequence[str], above: str, titles: dict[str, str]) -> None:
        """Give siblings the headings over them, the others what tells them from each other."""
        self._tools.control.check()
        headings = [self._headings.get(sibling, "") for sibling in siblings]
        found = ["" if heading == above else heading for heading in headings]
        if not all(found):
            groups = [self._texts(self._nodes[sibling]) for sibling in siblings]
            phrases = self._tools.titles(groups)
            found = [heading or phrase for heading, phrase in zip(found, phrases, strict=True)]
        titles |= zip(siblings, found, strict=True)

    def _texts(self, node: Node) -> list[str]:
        return [self._units[child].text for child in node.summary.children]

    def _id(self, group: Sequence[Unit]) -> str:
        return summary_id(self._document_id, self._tools.recipe, [unit.id for unit in group])

    def _made(self, drafts: Mapping[str, Sequence[Unit]]) -> dict[str, Node]:
        """Return a node for each group, with the text and vector that the memo has for it."""
        inputs = {node_id: _inputs(group) for node_id, group in drafts.items()}
        nodes: dict[str, Node] = {}
        for node_id, group in drafts.items():
            known = self._tools.memo.get(node_id)
            if known is not None and known.inputs == inputs[node_id]:
                summary = self._summary(node_id, group, known.summary)
                nodes[node_id] = Node(summary, known.vector, known.inputs)
                self._taken_over.add(node_id)
        new = {node_id: group for node_id, group in drafts.items() if node_id not in nodes}
        self._tools.control.check()
        made = self._tools.make(map(self._material, new.values()))
        for (node_id, group), (written, vector) in zip(new.items(), made, strict=True):
            node = Node(self._summary(node_id, group, written), vector, inputs[node_id])
            self._tools.made(node)
            nodes[node_id] = node
            self._tools.control.check()
        return {node_id: nodes[node_id] for node_id in drafts}

    def _material(self, group: Sequence[Unit]) -> Material:
        import numpy as np

        citations = tuple(dict.fromkeys(each for unit in group for each in _citations(unit)))
        # Summaries that cite nothing are rare; the first chunk then stands for all.
        cited = [citation.chunk_id for citation in citations] or group[0].chunk_ids[:1]
        sources = [self._sources[chunk_id] for chunk_id in self._in_order(cited)]
        return Material(
            layer=1 + max(unit.layer for unit in group),
            texts=tuple(unit.text for unit in group),
            chunks=tuple(source.chunk for source in sources),
            vectors=np.stack([source.vector for source in sources]),
            citations=citations,
        )

    def _summary(self, node_id: str, group: Sequence[Unit], written: Written | Summary) -> Summary:
        below = {chunk_id for unit in group for chunk_id in unit.chunk_ids}
        return Summary(
            summary_id=node_id,
            document_id=self._document_id,
            layer=1 + max(unit.layer for unit in group),
            title="",
            text=written.text,
            tokens=written.tokens,
            method=written.method,
            children=tuple(unit.id for unit in group),
            chunk_ids=self._in_order(below),
            citations=written.citations,
        )

    def _in_order(self, chunk_ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(set(chunk_ids), key=self._places.__getitem__))


def _citations(unit: Unit) -> Sequence[Citation]:
    """Return what stands for a unit; bounded, or a root would have to look at all chunks."""
    if isinstance(unit, Source):
        return (Citation(unit.id, 0, len(unit.text)),)
    found = unit.summary.citations
    few = min(len(found), CITATIONS_EACH)
    return [found[place * len(found) // few] for place in range(few)]


def _inputs(group: Sequence[Unit]) -> str:
    """Return a hash of what a group would be summarised from."""
    digest = hashlib.sha256()
    for unit in group:
        made_from = unit.chunk.heading_path if isinstance(unit, Source) else (unit.inputs,)
        parts = (unit.id, *made_from, "" if isinstance(unit, Source) else unit.text)
        digest.update("\0".join(parts).encode("utf-8", "surrogatepass"))
        digest.update(unit.vector.tobytes())
    return digest.hexdigest()[:32]


def leaves_hash(chunk_ids: Iterable[str]) -> str:
    """Return what tells whether a tree is of these chunks, in whatever order they come."""
    return hashlib.sha256("\0".join(sorted(chunk_ids)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Doubts:
    """What is wrong with a tree: chunks under no summary, citations of nothing."""

    uncovered: tuple[str, ...]
    dangling: tuple[Citation, ...]


def doubts(summaries: Iterable[Summary], chunks: Iterable[Chunk], *, every: bool) -> Doubts:
    """Compare trees with the chunks they are of.

    Args:
        summaries: All summaries of some documents, or of a collection.
        chunks: All chunks of the same.
        every: Whether chunks of documents that have too few for a tree are to be covered too, which
            they are where there are summaries across documents.
    """
    lengths: dict[str, int] = {}
    documents: dict[str, list[str]] = {}
    for chunk in chunks:
        lengths[chunk.chunk_id] = len(chunk.text)
        documents.setdefault(chunk.document_id, []).append(chunk.chunk_id)
    covered: set[str] = set()
    dangling = []
    for summary in summaries:
        covered.update(summary.chunk_ids)
        dangling += [
            citation
            for citation in summary.citations
            if not 0 <= citation.start < citation.end <= lengths.get(citation.chunk_id, -1)
        ]
    return Doubts(
        uncovered=tuple(
            chunk_id
            for ids in documents.values()
            if every or len(ids) >= FEWEST_CHUNKS
            for chunk_id in ids
            if chunk_id not in covered
        ),
        dangling=tuple(dangling),
    )
