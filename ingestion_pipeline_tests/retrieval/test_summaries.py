from __future__ import annotations

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.indexing import CollectionIndex, Origin, SummaryIndex
from ingestion_pipeline.retrieval import summaries as module
from ingestion_pipeline.retrieval.kept import Kept
from ingestion_pipeline.retrieval.summaries import summaries
from ingestion_pipeline_tests.indexing.samples import DIMENSION, WordEncoder
from ingestion_pipeline_tests.retrieval.test_tree import summary

TEXTS = ("who must approve travel", "trains run daily", "who must travel")


@pytest.fixture
def published(index: CollectionIndex) -> CollectionIndex:
    made = [summary(f"s{place}", text, ["c"], "guide") for place, text in enumerate(TEXTS)]
    SummaryIndex(index).publish(made, Origin("l", "r"), DIMENSION, lambda: None)
    return index


@pytest.mark.parametrize("question", ["who must approve travel", "trains run"])
def test_in_memory_the_same_is_found_as_in_the_table(
    published: CollectionIndex, question: str
) -> None:
    (vector,) = WordEncoder().encode([question], NoControl())
    table, kept = SummaryIndex(published).snapshot(), summaries(published)

    assert kept.found(kept.matching(question, 2)) == table.matching(question, 2)
    found, expected = kept.nearest(vector, 2), table.nearest(vector, 2)
    assert [each.chunk_id for each in found] == [each.summary_id for each in expected]
    assert [each.score for each in found] == pytest.approx(
        [each.score for each in expected], abs=1e-6
    )


def test_very_many_are_looked_for_in_the_table(
    published: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    (vector,) = WordEncoder().encode([TEXTS[1]], NoControl())
    monkeypatch.setattr(module, "_kept", Kept())

    found = summaries(published)

    assert [each.text for each in found.found(found.nearest(vector, 1))] == [TEXTS[1]]
    assert isinstance(found, module._InTable)


def test_what_is_removed_is_not_found_any_more(published: CollectionIndex) -> None:
    (vector,) = WordEncoder().encode([TEXTS[1]], NoControl())
    assert summaries(published).nearest(vector, 5)

    SummaryIndex(published).remove(["guide"])

    assert summaries(published).nearest(vector, 5) == []
