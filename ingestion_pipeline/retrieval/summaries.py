"""The summaries of a collection as questions find them: in memory, unless they are very many.

A question to a table costs some milliseconds of processor time, however small it is; comparing a
few thousand vectors in memory takes less than one.

Belongs here: which are near to a question or share its words. Does not belong here: which of these
are shown (``tree``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from ingestion_pipeline.indexing import (
    CollectionIndex,
    FoundSummary,
    SummaryIndex,
    SummarySnapshot,
)
from ingestion_pipeline.retrieval.fusion import Scored
from ingestion_pipeline.retrieval.kept import Kept

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Vectors = NDArray[np.float32]

MOST_KEPT = 20_000
"""Some 50 MB."""


class Summaries(Protocol):
    """What a question is answered from."""

    def nearest(self, vector: Vector, limit: int) -> list[Scored]:
        """Return the summaries of greatest cosine with ``vector``, best first; it is the score."""

    def matching(self, terms: str, limit: int) -> list[Scored]:
        """Return the summaries that share words with ``terms``, best BM25 score first."""

    def found(self, best: Sequence[Scored]) -> list[FoundSummary]:
        """Return what some of these say, with the scores given."""


def summaries(index: CollectionIndex) -> Summaries:
    """Return the summaries that were published last."""
    snapshot = SummaryIndex(index).snapshot()
    if snapshot.empty:
        return _InTable(snapshot)
    known = _kept.of(index, snapshot.version, partial(_read, snapshot))
    return _InTable(snapshot) if known.too_many else _InMemory(snapshot, known)


@dataclass(frozen=True, eq=False)
class _Known:
    """Summaries, and their vectors, (summaries, dimension); none if they are too many."""

    summaries: Sequence[FoundSummary]
    vectors: Vectors | None

    @property
    def too_many(self) -> bool:
        return self.vectors is None

    @cached_property
    def by_id(self) -> Mapping[str, FoundSummary]:
        return {each.summary_id: each for each in self.summaries}


_kept: Kept[_Known] = Kept()


def _read(snapshot: SummarySnapshot) -> _Known:
    return _Known(*snapshot.findable()) if snapshot.count() <= MOST_KEPT else _Known((), None)


class _InMemory:
    """Summaries in memory; which words are in which, the table alone knows."""

    def __init__(self, snapshot: SummarySnapshot, known: _Known) -> None:
        self._snapshot = snapshot
        self._known = known

    def nearest(self, vector: Vector, limit: int) -> list[Scored]:
        import numpy as np

        if self._known.vectors is None or not self._known.summaries:
            return []
        # Not with BLAS, whose threads would take 40 ms of the processors to share out one of work.
        cosines = np.einsum("ij,j->i", self._known.vectors, vector)
        best = np.argsort(-cosines, kind="stable")[:limit]
        return [
            Scored(self._known.summaries[each].summary_id, float(cosines[each])) for each in best
        ]

    def matching(self, terms: str, limit: int) -> list[Scored]:
        return [Scored(*each) for each in self._snapshot.scores(terms, limit).items()]

    def found(self, best: Sequence[Scored]) -> list[FoundSummary]:
        return [replace(self._known.by_id[each], score=score) for each, score in best]


class _InTable:
    """Summaries in their table."""

    def __init__(self, snapshot: SummarySnapshot) -> None:
        self._snapshot = snapshot
        self._found: dict[str, FoundSummary] = {}

    def nearest(self, vector: Vector, limit: int) -> list[Scored]:
        return self._noted(self._snapshot.nearest(vector, limit))

    def matching(self, terms: str, limit: int) -> list[Scored]:
        return self._noted(self._snapshot.matching(terms, limit))

    def found(self, best: Sequence[Scored]) -> list[FoundSummary]:
        return [replace(self._found[each], score=score) for each, score in best]

    def _noted(self, found: Sequence[FoundSummary]) -> list[Scored]:
        self._found |= {each.summary_id: each for each in found}
        return [Scored(each.summary_id, each.score) for each in found]
