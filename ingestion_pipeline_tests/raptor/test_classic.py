from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.raptor import classic
from ingestion_pipeline.raptor.classic import next_layer
from ingestion_pipeline.raptor.clusters import LARGEST, LARGEST_WITH_GUESTS, SMALLEST, TOP
from ingestion_pipeline_tests.clustering.vectors import Stopping, Vectors, assert_layer, planted


def grouped(
    vectors: Vectors, *, seed: int = 7, threshold: float = 0.1, max_cluster: int = 64
) -> list[tuple[int, ...]]:
    return next_layer(vectors, seed, threshold, max_cluster, NoControl())


@pytest.mark.parametrize("size", [0, 1, 2, 3, TOP])
def test_few_vectors_are_one_group(size: int) -> None:
    assert grouped(planted(1, size)) == ([tuple(range(size))] if size else [])


@settings(max_examples=10, deadline=None)
@given(
    size=st.integers(0, 60),
    distinct=st.integers(1, 60),
    dimension=st.sampled_from([1, 2, 16]),
    threshold=st.sampled_from([0.0, 0.1, 1.0]),
    max_cluster=st.sampled_from([1, 2, 64]),
)
def test_every_vector_is_in_a_group_of_a_size_that_can_be_summarised(
    size: int, distinct: int, dimension: int, threshold: float, max_cluster: int
) -> None:
    chance = np.random.default_rng(size)
    few = chance.standard_normal((distinct, dimension), dtype=np.float32)
    vectors = few[chance.integers(distinct, size=size)]

    groups = grouped(vectors, threshold=threshold, max_cluster=max_cluster)

    assert_layer(groups, size)
    assert all(len(group) <= LARGEST_WITH_GUESTS for group in groups)
    assert size <= TOP or all(len(group) >= SMALLEST for group in groups)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("size", [9, 17, 100])
def test_equal_vectors_are_grouped_too(value: float, size: int) -> None:
    assert_layer(grouped(np.full((size, 8), value, dtype=np.float32)), size)


def test_clusters_that_are_there_are_found() -> None:
    assert grouped(planted(12, 10)) == [
        tuple(range(start, start + 10)) for start in range(0, 120, 10)
    ]


def test_equal_input_has_equal_output() -> None:
    vectors = planted(4, 10, noise=1.0)

    assert grouped(vectors) == grouped(vectors.copy())


def test_a_vector_is_in_its_second_cluster_too_if_the_threshold_lets_it() -> None:
    # A chain: from one end to the other, with no border anywhere.
    angles = np.linspace(0, np.pi, 40, dtype=np.float32)
    vectors = np.column_stack((np.cos(angles), np.sin(angles)))

    def places(threshold: float) -> int:
        return sum(map(len, grouped(vectors, threshold=threshold)))

    assert places(0.01) > places(0.4) >= places(1.0) == 40


def test_a_mixture_has_fewer_components_than_max_cluster() -> None:
    vectors = planted(12, 10)

    assert classic._likely(vectors, len(vectors), 7, max_cluster=4).shape[1] <= 3


def test_a_child_process_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = planted(4, 10, noise=0.8)
    here = grouped(vectors)
    monkeypatch.setattr(classic, "_IN_PROCESS", 0)

    assert grouped(vectors) == here


def test_large_groups_are_fitted_to_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic, "_SAMPLE", 50)

    groups = grouped(planted(5, 20, noise=0.8))

    assert_layer(groups, 100)
    assert all(len(group) <= LARGEST_WITH_GUESTS for group in groups)


def test_without_structure_a_group_is_halved() -> None:
    groups = grouped(np.ones((64, 4), dtype=np.float32))

    assert {len(group) for group in groups} == {LARGEST}


def test_the_work_can_be_stopped() -> None:
    with pytest.raises(LeaseLostError):
        next_layer(planted(5, 10), 7, 0.1, 64, Stopping(after=0))
