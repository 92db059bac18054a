from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.model.search import Hit, HitKind
from ingestion_pipeline.retrieval.fusion import fused, shares_of_best, spread_out


def hits(scores: dict[str, float]) -> list[Hit]:
    return [
        Hit(
            chunk_id=chunk_id,
            document_id=chunk_id,
            name=chunk_id,
            kind=HitKind.CHUNK,
            text="",
            score=score,
            pages=[],
            heading_path=[],
            sources=[],
        )
        for chunk_id, score in sorted(scores.items(), key=lambda item: -item[1])
    ]


def test_scores_are_normalised_to_0_and_1() -> None:
    assert shares_of_best(hits({"a": 4, "b": 1})) == {"a": 1, "b": 0.25}
    assert shares_of_best(hits({"a": 0})) == {"a": 0}
    assert spread_out(hits({"a": 0.8, "b": 0.5, "c": 0.4})) == {
        "a": 1,
        "b": pytest.approx(0.25),
        "c": 0,
    }
    assert spread_out(hits({"a": 0.3})) == {"a": 1}
    assert shares_of_best([]) == spread_out([]) == {}


def test_a_chunk_that_a_ranking_lacks_gets_nothing_from_it() -> None:
    fusion = fused(hits({"a": 4, "b": 2}), hits({"a": 0.9, "c": 0.5, "d": 0.7}), 0.4)
    assert [(hit.chunk_id, hit.score) for hit in fusion] == [
        ("a", pytest.approx(1)),
        ("b", pytest.approx(0.3)),
        ("d", pytest.approx(0.2)),
        ("c", pytest.approx(0)),
    ]


def test_the_only_chunk_with_the_word_outranks_those_that_are_merely_alike() -> None:
    alike = hits({f"c{number}": 0.9 - number / 100 for number in range(50)})
    assert fused(hits({"exact": 3.7}), alike)[0].chunk_id == "exact"


def test_one_empty_ranking_leaves_the_order_of_the_other() -> None:
    ranking = hits({"a": 3, "b": 2, "c": 1})
    assert [hit.chunk_id for hit in fused(ranking, [])] == ["a", "b", "c"]
    assert [hit.chunk_id for hit in fused([], ranking)] == ["a", "b", "c"]
    assert fused([], []) == []


scores = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 100), max_size=8)


@given(scores, scores)
def test_fusion_gives_each_chunk_once_best_first(
    text: dict[str, float], vector: dict[str, float]
) -> None:
    fusion = fused(hits(text), hits(vector))
    assert sorted(hit.chunk_id for hit in fusion) == sorted(text.keys() | vector.keys())
    assert [hit.score for hit in fusion] == sorted((hit.score for hit in fusion), reverse=True)
