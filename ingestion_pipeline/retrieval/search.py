"""Search: one question, one collection, ranked hits.

Belongs here: the modes and how a question is made safe. Does not belong here: fusion (``fusion``),
summaries among chunks (``tree``), what links lead to (``graph``), filter expressions (``filters``),
queries to the index (``indexing.snapshot``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

from ingestion_pipeline.control import Control, NoControl
from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.indexing import (
    CollectionIndex,
    FoundSummary,
    GraphIndex,
    GraphSnapshot,
    Snapshot,
)
from ingestion_pipeline.model.search import Hit, SearchMode
from ingestion_pipeline.retrieval.filters import filter_sql
from ingestion_pipeline.retrieval.fusion import Scored, fused, fused_scores
from ingestion_pipeline.retrieval.graph import Links, links
from ingestion_pipeline.retrieval.overview import Overview, Scope, scope
from ingestion_pipeline.retrieval.summaries import Summaries, summaries
from ingestion_pipeline.retrieval.tree import (
    TRIED,
    is_broad,
    overview,
    passage,
    tried,
    with_summaries,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_HITS = 1000
LONGEST_QUERY = 4096
"""In characters; what is beyond is not read."""

LEAST_CANDIDATES = 100
"""Hits of each ranking that a fusion sees, however few are asked for."""

CANDIDATES_PER_HIT = 5
FOLLOWED_PER_HIT = 2
"""Passages, the best of those that links lead to, that are looked up if they were not found."""


class QueryEncoder(Protocol):
    """What a search needs of an embedding model."""

    def encode(self, texts: Sequence[str], control: Control) -> NDArray[np.float32]:
        """Return one vector of length 1 per text, shaped (texts, dimension)."""


def search(
    index: CollectionIndex,
    embedder: QueryEncoder,
    query: str,
    mode: SearchMode = SearchMode.AUTO,
    k: int = 10,
    filter_expression: str | None = None,
) -> list[Hit]:
    """Return at most ``k`` chunks, and in some modes summaries, that answer ``query``, best first.

    Tree mode is hybrid mode with summaries, graph mode is hybrid mode with what the chunks found
    and the query refer to, where the collection has such. Auto mode is hybrid mode; it follows
    links where they lead to documents, shows summaries to questions so broad that one is near to
    them, and reports on several communities of the graph to those that ask for an overview. The
    query is words, not a language: no character in it is special. An empty query, or a collection
    in which nothing is indexed, finds nothing. Text mode does not touch the embedder.

    Raises:
        PermanentError: of kind ``invalid_option`` for ``k`` out of 1..1000 or a filter that cannot
            be read, ``timeout`` for one that takes too long.
        TransientError: of kind ``unavailable`` if the index does not answer.
    """
    if not 1 <= k <= MOST_HITS:
        raise PermanentError(ErrorKind.INVALID_OPTION, f"k must be 1 to {MOST_HITS}, not {k}")
    where = None if filter_expression is None else filter_sql(filter_expression)
    words = query[:LONGEST_QUERY].encode("utf-8", "replace").decode().strip()
    if not words:
        return []
    try:
        return _answer(index, embedder, words, mode, k, where)
    except TransientError:
        # A purge took the version that was being read. The next one is whole: no reader notices.
        return _answer(index, embedder, words, mode, k, where)


def _answer(
    index: CollectionIndex,
    embedder: QueryEncoder,
    words: str,
    mode: SearchMode,
    k: int,
    where: str | None,
) -> list[Hit]:
    snapshot = index.snapshot()
    if snapshot.empty:
        return []
    if mode is SearchMode.TEXT:
        return _passages(partial(snapshot.matching, words, where=where), k)[:k]
    vector = _vector(embedder, words)
    if mode is SearchMode.VECTOR:
        return _passages(partial(snapshot.nearest, vector, where=where), k)[:k]
    both = cache(partial(_both, snapshot, words, vector, where))
    ranking: Callable[[int], list[Hit]] = cache(partial(_fused, both))
    if mode is SearchMode.HYBRID:
        return _passages(ranking, k)[:k]
    asked = _Asked(words, vector, k, where, snapshot)
    if mode is SearchMode.TREE:
        return asked.with_summaries(_passages(ranking, k), summaries(index))
    graph = GraphIndex(index).snapshot()
    known = links(index, graph, snapshot)
    if known and (mode is SearchMode.GRAPH or known.lead_on(words, ranking(k))):
        ranking = partial(_followed, known, words, ranking, snapshot, where)
    passages = _passages(ranking, k)
    if mode is SearchMode.GRAPH:
        return passages[:k]
    if known and (wide := scope(words)) is not Scope.SOMETHING:
        return asked.with_reports(passages, wide, summaries(index), graph, known.overview)
    _, nearest = both(k)
    return asked.broadened(passages, nearest, summaries(index))


@dataclass(frozen=True)
class _Asked:
    """A question, and the chunks that it is asked of; ``where`` is asked of all that is found."""

    words: str
    vector: NDArray[np.float32]
    k: int
    where: str | None
    snapshot: Snapshot

    def with_summaries(self, passages: Sequence[Hit], tree: Summaries) -> list[Hit]:
        """Return passages with summaries among them."""
        ranking = self._ranked(tree, self._near(tree))
        return with_summaries(passages, ranking, self.snapshot, self.k, self.where)

    def broadened(
        self,
        passages: Sequence[Hit],
        nearest: Sequence[Hit],
        tree: Summaries,
    ) -> list[Hit]:
        """Return passages with summaries among them, if one is near enough."""
        near = self._near(tree)
        if not is_broad(nearest, near):
            return list(passages[: self.k])
        ranking = self._ranked(tree, near)
        return with_summaries(passages, ranking, self.snapshot, self.k, self.where)

    def with_reports(
        self,
        passages: Sequence[Hit],
        wide: Scope,
        tree: Summaries,
        graph: GraphSnapshot,
        known: Overview,
    ) -> list[Hit]:
        """Return passages with several reports before them, or among them."""
        ranking = self._ranked(tree, self._near(tree))
        if wide is Scope.ALL:
            found = known.of_all()
            return overview(passages, found, ranking, self.snapshot, self.k, self.where)
        found = known.of_topic(graph.nearest_reports(self.vector, TRIED))
        return with_summaries(passages, ranking, self.snapshot, self.k, self.where, found)

    def _near(self, tree: Summaries) -> list[Scored]:
        return tree.nearest(self.vector, _depth(self.k))

    def _ranked(self, tree: Summaries, near: Sequence[Scored]) -> list[FoundSummary]:
        """Return the best summaries, those found by words and by vector fused as chunks are."""
        matching = tree.matching(self.words, _depth(self.k))
        return tree.found(fused_scores(matching, near)[: tried(self.k)])


def _fused(both: Callable[[int], tuple[list[Hit], list[Hit]]], limit: int) -> list[Hit]:
    return fused(*both(limit))


def _followed(
    known: Links,
    words: str,
    ranking: Callable[[int], list[Hit]],
    snapshot: Snapshot,
    where: str | None,
    limit: int,
) -> list[Hit]:
    """Return a ranking with what its links lead to."""
    most = FOLLOWED_PER_HIT * limit if where is None else _depth(limit)  # a filter hides some
    return known.followed(words, ranking(limit), snapshot, most, where)


def _both(
    snapshot: Snapshot, words: str, vector: NDArray[np.float32], where: str | None, limit: int
) -> tuple[list[Hit], list[Hit]]:
    """Return the rankings by words and by vector, deep enough that ``limit`` hits can be fused."""
    depth = _depth(limit)
    with ThreadPoolExecutor(1, thread_name_prefix="search") as beside:
        matching = beside.submit(snapshot.matching, words, depth, where)
        nearest = snapshot.nearest(vector, depth, where)
        return matching.result(), nearest


def _depth(limit: int) -> int:
    return max(LEAST_CANDIDATES, CANDIDATES_PER_HIT * limit)


def _passages(ranking: Callable[[int], list[Hit]], k: int) -> list[Hit]:
    """Return at least ``k`` passages if there are as many: of chunks with one parent, the best.

    The first seed gives the parent the mean of its chunks' scores; then a passage that answers
    twice, once less well, stands behind one that answers once.
    """
    hits = ranking(k)
    if len({passage(hit) for hit in hits[:k]}) < k <= len(hits):
        hits = ranking(CANDIDATES_PER_HIT * k)  # several of a passage: look further for others
    passages: dict[str, Hit] = {}
    for hit in hits:
        passages.setdefault(passage(hit), hit)
    return list(passages.values())


def _vector(embedder: QueryEncoder, words: str) -> NDArray[np.float32]:
    vectors = embedder.encode([words], NoControl())
    return vectors.reshape(-1)
