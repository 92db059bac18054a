"""Fusion: two rankings of the same chunks become one.

Belongs here: pure functions over hits. Does not belong here: where rankings come from.

Sums of normalised scores beat ranks (RRF), see ``benchmarks/fusion.py``; so Bruch, Gai and Ingber,
"An Analysis of Fusion Functions for Hybrid Retrieval" (2023). Of the normalisations, which hardly
differ, this one also does right by a word that only one chunk contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ingestion_pipeline.model.search import Hit

VECTOR_WEIGHT = 0.4
"""The vector ranking's share. Below one half, so that an exact match outranks mere likeness."""


class Scored(NamedTuple):
    """As much of a hit as a fusion needs."""

    chunk_id: str
    score: float


def fused(
    text: Sequence[Hit], vector: Sequence[Hit], vector_weight: float = VECTOR_WEIGHT
) -> list[Hit]:
    """Return the chunks of both rankings by the weighted sum of their normalised scores, in 0..1.

    A chunk that a ranking lacks gets 0 from it. Equal sums are ordered by chunk id, so that the
    answer is the same every time.
    """
    hits = {hit.chunk_id: hit for hit in (*text, *vector)}
    return [
        hits[each.chunk_id].model_copy(update={"score": each.score})
        for each in fused_scores(text, vector, vector_weight)
    ]


def fused_scores(
    text: Sequence[Hit | Scored],
    vector: Sequence[Hit | Scored],
    vector_weight: float = VECTOR_WEIGHT,
) -> list[Scored]:
    """Return what ``fused`` returns, of hits or of as much of them as it takes."""
    text_scores, vector_scores = shares_of_best(text), spread_out(vector)

    def score(chunk_id: str) -> float:
        by_text, by_vector = text_scores.get(chunk_id, 0.0), vector_scores.get(chunk_id, 0.0)
        return (1 - vector_weight) * by_text + vector_weight * by_vector

    found = [Scored(each, score(each)) for each in text_scores.keys() | vector_scores.keys()]
    return sorted(found, key=lambda each: (-each.score, each.chunk_id))


def shares_of_best(hits: Sequence[Hit | Scored]) -> dict[str, float]:
    """Divide by the best score: for BM25, where 0 means that no word matches."""
    best = max((hit.score for hit in hits), default=0.0)
    return {hit.chunk_id: hit.score / best if best > 0 else 0.0 for hit in hits}


def spread_out(hits: Sequence[Hit | Scored]) -> dict[str, float]:
    """Stretch scores to 0..1: for cosines, whose usual range differs from model to model."""
    best = max((hit.score for hit in hits), default=0.0)
    worst = min((hit.score for hit in hits), default=0.0)
    width = best - worst
    return {hit.chunk_id: (hit.score - worst) / width if width > 0 else 1.0 for hit in hits}
