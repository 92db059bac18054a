"""Search: one question, one collection, ranked hits.

Belongs here: the modes and how a question is made safe. Does not belong here: fusion (``fusion``),
filter expressions (``filters``), queries to the index (``indexing.snapshot``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ingestion_pipeline.control import Control, NoControl
from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.indexing import CollectionIndex, Snapshot
from ingestion_pipeline.model.search import Hit, SearchMode
from ingestion_pipeline.retrieval.filters import filter_sql
from ingestion_pipeline.retrieval.fusion import fused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_HITS = 1000
LONGEST_QUERY = 4096
"""In characters; what is beyond is not read."""

LEAST_CANDIDATES = 100
"""Hits of each ranking that a fusion sees, however few are asked for."""

CANDIDATES_PER_HIT = 5


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
    """Return at most ``k`` chunks that answer ``query``, best first.

    The query is words, not a language: no character in it is special. An empty query, or a
    collection in which nothing is indexed, finds nothing. Text mode does not touch the embedder.

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
        return _answer(index.snapshot(), embedder, words, mode, k, where)
    except TransientError:
        # A purge took the version that was being read. The next one is whole: no reader notices.
        return _answer(index.snapshot(), embedder, words, mode, k, where)


def _answer(
    snapshot: Snapshot,
    embedder: QueryEncoder,
    words: str,
    mode: SearchMode,
    k: int,
    where: str | None,
) -> list[Hit]:
    if snapshot.empty:
        return []
    match mode:
        case SearchMode.TEXT:
            ranking = partial(snapshot.matching, words, where=where)
        case SearchMode.VECTOR:
            ranking = partial(snapshot.nearest, _vector(embedder, words), where=where)
        case SearchMode.HYBRID | SearchMode.AUTO:
            vector = _vector(embedder, words)
            ranking = partial(_hybrid, snapshot, words, vector, where=where)
    hits = ranking(limit=k)
    passages = _passages(hits)
    if len(passages) < len(hits) == k:  # several of a passage: look further for others
        passages = _passages(ranking(limit=CANDIDATES_PER_HIT * k))
    return passages[:k]


def _hybrid(
    snapshot: Snapshot, words: str, vector: NDArray[np.float32], limit: int, where: str | None
) -> list[Hit]:
    depth = max(LEAST_CANDIDATES, CANDIDATES_PER_HIT * limit)
    text = snapshot.matching(words, depth, where)
    return fused(text, snapshot.nearest(vector, depth, where))[:limit]


def _passages(hits: Sequence[Hit]) -> list[Hit]:
    """Return one hit for each passage: of chunks with one parent, the best.

    The first seed gives the parent the mean of its chunks' scores; then a passage that answers
    twice, once less well, stands behind one that answers once.
    """
    passages: dict[str, Hit] = {}
    for hit in hits:
        passages.setdefault(hit.parent_id or hit.chunk_id, hit)
    return list(passages.values())


def _vector(embedder: QueryEncoder, words: str) -> NDArray[np.float32]:
    vectors = embedder.encode([words], NoControl())
    return vectors.reshape(-1)
