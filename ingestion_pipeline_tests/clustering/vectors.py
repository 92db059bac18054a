"""Vectors and controls for the tests of what is grouped with what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError

Vectors = NDArray[np.float32]


def planted(clusters: int, each: int, noise: float = 0.3, dimension: int = 64) -> Vectors:
    """``each`` vectors around each of some random directions, cluster after cluster."""
    chance = np.random.default_rng(0)
    centres = chance.standard_normal((clusters, dimension), dtype=np.float32)
    vectors = np.repeat(centres, each, axis=0)
    vectors += noise * chance.standard_normal(vectors.shape, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def assert_layer(groups: Sequence[tuple[int, ...]], size: int) -> None:
    """What holds of every layer: all are covered, and there are fewer groups than positions."""
    assert set().union(*groups) == set(range(size))
    assert all(list(group) == sorted(set(group)) for group in groups)
    assert list(groups) == sorted(groups)
    assert size <= 1 or len(groups) < size


class Stopping(NoControl):
    """Stops the work when it was asked so many times."""

    def __init__(self, after: int) -> None:
        self._left = after

    def check(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise LeaseLostError("stop")
