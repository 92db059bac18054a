from __future__ import annotations

import time
from datetime import timedelta

import pytest

from ingestion_pipeline.indexing import CollectionIndex, Counts, maintenance
from ingestion_pipeline_tests.indexing.samples import WordEncoder, document


def test_nothing_is_done_while_nothing_is_due(index: CollectionIndex) -> None:
    index.publish([document("a", "one")])
    done = index.maintain()
    assert not done.optimized
    assert done.rows == 1
    assert done.bytes > 0


def test_many_small_fragments_are_compacted(index: CollectionIndex) -> None:
    for number in range(maintenance.SMALL_FRAGMENTS):
        index.publish([document(f"d{number}", "text", f"more {number}")])
    before = index.maintain()
    assert before.optimized
    assert before.small_fragments >= maintenance.SMALL_FRAGMENTS
    after = index.maintain()
    assert not after.optimized
    assert after.small_fragments < maintenance.SMALL_FRAGMENTS
    assert after.unindexed_rows == 0
    expected = maintenance.SMALL_FRAGMENTS
    assert index.snapshot().counts() == Counts(chunks=2 * expected, documents=expected)


def test_rows_that_no_index_covers_are_indexed(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "UNINDEXED_ROWS", 10)
    index.publish([document("a", *(f"text {number}" for number in range(12)))])
    assert index.maintain().optimized
    assert index.maintain().unindexed_rows == 0


def test_large_tables_get_a_vector_index_that_finds_the_same(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "VECTOR_INDEX_ROWS", 400)
    index.publish(
        [document(f"d{n}", *(f"word{n} word{m} word{n * m}" for m in range(10))) for n in range(50)]
    )
    vector = WordEncoder().encode(["word7 word3 word21"], None)[0]  # type: ignore[arg-type]
    exact = index.snapshot().nearest(vector, 1)
    assert index.maintain().vector_index_created
    assert not index.maintain().vector_index_created
    found = index.snapshot().nearest(vector, 1)
    assert found[0].score == pytest.approx(exact[0].score, abs=1e-5)
    assert found[0].score == pytest.approx(1, abs=1e-5)
    index.publish([document("late", "word900 word901 word902")])
    vector = WordEncoder().encode(["word900 word901 word902"], None)[0]  # type: ignore[arg-type]
    assert index.snapshot().nearest(vector, 1)[0].document_id == "late"


def test_old_versions_are_pruned(index: CollectionIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "KEEP_VERSIONS", timedelta(milliseconds=1))
    for number in range(20):
        index.publish([document("a", "long text", version=f"v{number}")])
    table = index._open()
    assert table is not None
    assert len(table.list_versions()) > 20
    time.sleep(0.01)
    assert index.maintain(thorough=True).optimized
    table = index._open()
    assert table is not None
    assert len(table.list_versions()) <= 3
    assert index.snapshot().counts() == Counts(chunks=1, documents=1)
