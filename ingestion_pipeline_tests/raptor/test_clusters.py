from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.raptor import clusters
from ingestion_pipeline.raptor.clusters import (
    LARGEST,
    LARGEST_WITH_GUESTS,
    SMALLEST,
    TOP,
    halves,
    next_layer,
)
from ingestion_pipeline_tests.clustering.vectors import Stopping, assert_layer, planted

SEED = 7


@pytest.mark.parametrize("size", [0, 1, 2, 3, TOP])
def test_few_vectors_are_one_group(size: int) -> None:
    groups = next_layer(planted(1, size), SEED, NoControl())

    assert groups == ([tuple(range(size))] if size else [])


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(0, 300),
    distinct=st.integers(1, 300),
    dimension=st.sampled_from([1, 2, 16]),
    seed=st.integers(0, 3),
)
def test_every_vector_is_in_a_group_of_a_size_that_can_be_summarised(
    size: int, distinct: int, dimension: int, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    few = chance.standard_normal((distinct, dimension), dtype=np.float32)
    vectors = few[chance.integers(distinct, size=size)]

    groups = next_layer(vectors, seed, NoControl())

    assert_layer(groups, size)
    assert all(len(group) <= LARGEST_WITH_GUESTS for group in groups)
    assert size <= TOP or all(len(group) >= SMALLEST for group in groups)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("size", [9, 17, 1000])
def test_equal_vectors_are_grouped_too(value: float, size: int) -> None:
    groups = next_layer(np.full((size, 8), value, dtype=np.float32), SEED, NoControl())

    assert_layer(groups, size)


def test_layers_end_in_one_root() -> None:
    vectors, layers = planted(200, 10, noise=1.0), 0
    while len(vectors) > 1:
        groups = next_layer(vectors, SEED, NoControl())
        assert_layer(groups, len(vectors))
        vectors = np.stack([vectors[list(group)].mean(axis=0) for group in groups])
        layers += 1

    assert 3 <= layers <= 6


def test_clusters_that_are_there_are_found() -> None:
    groups = next_layer(planted(20, 10), SEED, NoControl())

    assert groups == [tuple(range(start, start + 10)) for start in range(0, 200, 10)]


def test_equal_input_has_equal_output() -> None:
    vectors = planted(60, 10, noise=1.0)

    assert next_layer(vectors, SEED, NoControl()) == next_layer(vectors.copy(), SEED, NoControl())


def test_length_does_not_matter() -> None:
    vectors = planted(30, 10)

    assert next_layer(vectors, SEED, NoControl()) == next_layer(4 * vectors, SEED, NoControl())


def test_a_vector_between_two_clusters_is_in_both() -> None:
    vectors = planted(3, 10, noise=0.2)
    between = (vectors[:10].mean(axis=0) + vectors[10:20].mean(axis=0))[None]

    groups = next_layer(np.concatenate((vectors, between)), SEED, NoControl())

    assert sorted(group[0] for group in groups if 30 in group) == [0, 10]
    assert all(sum(one in group for group in groups) == 1 for one in range(30))


def test_one_document_less_leaves_nearly_all_groups_as_they_were() -> None:
    vectors = planted(150, 10, noise=1.0)
    rest = np.delete(np.arange(len(vectors)), 700)

    before = set(next_layer(vectors, SEED, NoControl()))
    after = {
        tuple(rest[list(group)].tolist()) for group in next_layer(vectors[rest], SEED, NoControl())
    }

    assert len(before & after) >= 0.9 * len(before)


def test_the_work_can_be_stopped() -> None:
    with pytest.raises(LeaseLostError):
        next_layer(planted(20, 10), SEED, Stopping(after=1))


def test_a_large_layer_is_stopped_while_its_child_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion_pipeline.clustering.communities._EDGES_IN_PROCESS", 0)
    asked = Stopping(after=2)  # once by the search, once before the child is awaited

    with pytest.raises(LeaseLostError):
        next_layer(planted(1, 300, noise=2.0), SEED, asked)


def test_a_group_is_cut_across_its_longest_direction() -> None:
    chance = np.random.default_rng(0)
    vectors = chance.standard_normal((64, 3), dtype=np.float32) * np.float32([0.1, 9, 0.1])

    low, high = halves(vectors, np.arange(64), 32)

    assert len(low) == len(high) == 32
    sides = sorted((vectors[low, 1].mean(), vectors[high, 1].mean()))
    middle = np.median(vectors[:, 1])
    assert sides[0] < middle < sides[1]
    assert {bool(side) for side in vectors[low, 1] < middle} in ({True}, {False})


def test_a_guest_finds_no_room_in_a_full_group() -> None:
    groups = next_layer(np.ones((400, 4), dtype=np.float32), SEED, NoControl())

    assert max(map(len, groups)) <= clusters.LARGEST_WITH_GUESTS
    assert min(map(len, groups)) >= LARGEST // 2
