from __future__ import annotations

import numpy as np
import pytest

from ingestion_pipeline.clustering import neighbours
from ingestion_pipeline.clustering.neighbours import nearest, unit
from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline_tests.clustering.vectors import Stopping, Vectors, planted


def brute_force(vectors: Vectors, count: int) -> np.ndarray:
    cosines = np.round(vectors @ vectors.T, 5)
    np.fill_diagonal(cosines, -2)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :count]


def test_neighbours_are_those_of_a_full_comparison() -> None:
    vectors = planted(40, 7, noise=1.0)

    found, cosines = nearest(vectors, 12, NoControl())

    np.testing.assert_array_equal(found, brute_force(vectors, 12))
    true = (vectors[:, None] * vectors[found]).sum(axis=2)
    np.testing.assert_allclose(cosines, true, atol=1e-5)


def test_equally_near_ones_come_in_the_order_of_their_positions() -> None:
    vectors = np.ones((6, 3), dtype=np.float32) / np.float32(np.sqrt(3))

    found, _ = nearest(vectors, 5, NoControl())

    assert [row.tolist() for row in found] == [
        [other for other in range(6) if other != one] for one in range(6)
    ]


def test_large_numbers_are_compared_by_cells_and_most_neighbours_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbours, "EXACT", 1000)
    monkeypatch.setattr(neighbours, "_CELL", 64)
    vectors = planted(250, 8)

    found, cosines = nearest(vectors, 7, NoControl())

    true = brute_force(vectors, 7)
    hits = [len(set(one) & set(other)) for one, other in zip(found, true, strict=True)]
    assert np.mean(hits) > 0.95 * 7
    assert (np.diff(cosines) <= 0).all()
    assert (found != np.arange(len(vectors))[:, None]).all()


@pytest.mark.parametrize("value", [0, 1])
def test_equal_vectors_beyond_what_is_compared_exactly_have_all_their_neighbours(
    value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "EXACT", 500)
    monkeypatch.setattr(neighbours, "_CELL", 16)
    monkeypatch.setattr(neighbours, "_LARGEST_CELL", 64)
    vectors = unit(np.full((3000, 4), value, dtype=np.float32))

    found, cosines = nearest(vectors, 12, NoControl())

    assert (found >= 0).all()
    assert all(len(set(row)) == 12 for row in found.tolist())
    np.testing.assert_allclose(cosines, value, atol=1e-5)


def test_the_control_is_asked_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 10_000)

    with pytest.raises(LeaseLostError):
        nearest(planted(20, 10), 5, Stopping(after=3))


def test_the_unit_of_nothing_is_nothing() -> None:
    scaled = unit(np.array([[0, 0], [3, 4]], dtype=np.float32))

    np.testing.assert_allclose(scaled, [[0, 0], [0.6, 0.8]])
    assert scaled.dtype == np.float32
