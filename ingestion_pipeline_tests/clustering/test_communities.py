from __future__ import annotations

import numpy as np
import pytest

from ingestion_pipeline.clustering import communities
from ingestion_pipeline.clustering.neighbours import nearest
from ingestion_pipeline.control import NoControl
from ingestion_pipeline_tests.clustering.vectors import Vectors, planted

SEED = 7


def labels_of(vectors: Vectors, largest: int = 16) -> np.ndarray:
    found, cosines = nearest(vectors, 12, NoControl())
    return communities.communities(found, cosines, largest, SEED, NoControl())


def parts(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


def test_what_lies_apart_is_apart() -> None:
    truth = np.repeat(np.arange(10), 12)

    for part in parts(labels_of(planted(10, 12))):
        assert len(set(truth[list(part)])) == 1


def test_a_large_basin_is_cut_where_it_has_structure() -> None:
    # Five clusters around one direction: the hill is one, its slopes are five.
    chance = np.random.default_rng(0)
    spurs = np.repeat(chance.standard_normal((5, 64), dtype=np.float32), 15, axis=0)
    vectors = 3 + spurs + 0.1 * chance.standard_normal(spurs.shape, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    assert max(map(len, parts(labels_of(vectors)))) <= 16


def test_a_child_process_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = planted(5, 60, noise=1.0)
    here = labels_of(vectors)
    monkeypatch.setattr(communities, "_EDGES_IN_PROCESS", 0)

    np.testing.assert_array_equal(labels_of(vectors), here)


def test_one_more_vector_changes_little() -> None:
    vectors = planted(100, 12, noise=1.0)
    before, after = parts(labels_of(vectors[:-1])), parts(labels_of(vectors))

    assert len(before & after) > 0.9 * len(before)
