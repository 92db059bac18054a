"""Fusion: two rankings of the same chunks become one.

Belongs here: pure functions over hits. Does not belong here: where rankings come from.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ingestion_pipeline.model.search import Hit

VECTOR_WEIGHT = 0.5
"""The vector ranking's share; see ``benchmarks/fusion.py`` for the figures."""


def standardised(hits: Sequence[Hit]) -> dict[str, float]:
    """Return each chunk's score as standard deviations from the mean of this ranking."""
    if not hits:
        return {}
    scores = [hit.score for hit in hits]
    mean = statistics.fmean(scores)
    spread = statistics.pstdev(scores, mean) or 1.0
    return {hit.chunk_id: (hit.score - mean) / spread for hit in hits}


def fused(
    text: Sequence[Hit], vector: Sequence[Hit], vector_weight: float = VECTOR_WEIGHT
) -> list[Hit]:
    """Return the chunks of both rankings by the weighted sum of their standardised scores.

    A chunk that one ranking lacks gets the lowest score of that ranking: it is at most that good.
    Equal sums are ordered by chunk id, so that the answer is the same every time.
    """
    text_scores, vector_scores = standardised(text), standardised(vector)
    text_floor = min(text_scores.values(), default=0.0)
    vector_floor = min(vector_scores.values(), default=0.0)

    def score(chunk_id: str) -> float:
        by_text = text_scores.get(chunk_id, text_floor)
        by_vector = vector_scores.get(chunk_id, vector_floor)
        return (1 - vector_weight) * by_text + vector_weight * by_vector

    hits = {hit.chunk_id: hit for hit in (*text, *vector)}
    rescored = [hit.model_copy(update={"score": score(key)}) for key, hit in hits.items()]
    return sorted(rescored, key=lambda hit: (-hit.score, hit.chunk_id))
