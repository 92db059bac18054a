from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ingestion_pipeline.embedding import title_weighted
from ingestion_pipeline.errors import ErrorKind, PermanentError


def unit_vectors(count: int, seed: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


TEXTS = unit_vectors(5, seed=1)
TITLES = unit_vectors(5, seed=2)


def test_a_weight_of_zero_returns_the_text_vectors_bit_for_bit() -> None:
    assert title_weighted(TEXTS, TITLES, 0).tobytes() == TEXTS.tobytes()


def test_a_weight_of_one_returns_the_title_vectors() -> None:
    assert title_weighted(TEXTS, TITLES, 1).tobytes() == TITLES.tobytes()


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
def test_the_mix_has_length_one_and_the_direction_of_the_weighted_sum(weight: float) -> None:
    mixed = title_weighted(TEXTS, TITLES, weight)
    expected = weight * TITLES + (1 - weight) * TEXTS
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(mixed, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        mixed, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("weight", [0.1, 1])
def test_one_title_serves_all_texts(weight: float) -> None:
    title = TITLES[0]
    repeated = np.repeat(title[None], len(TEXTS), axis=0)
    np.testing.assert_array_equal(
        title_weighted(TEXTS, title, weight), title_weighted(TEXTS, repeated, weight)
    )


def test_opposite_vectors_give_finite_numbers() -> None:
    assert np.isfinite(title_weighted(TEXTS, -TEXTS, 0.5)).all()


def test_no_texts_give_no_vectors() -> None:
    assert title_weighted(TEXTS[:0], TITLES[0], 0.1).shape == (0, 8)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_the_range_is_refused(weight: float) -> None:
    with pytest.raises(PermanentError) as raised:
        title_weighted(TEXTS, TITLES, weight)
    assert raised.value.kind is ErrorKind.INVALID_OPTION
