"""How many candidates of an approximate index are compared exactly (see benchmarks/index.py)."""

from __future__ import annotations

from unittest.mock import MagicMock

import numpy as np
import pytest

from ingestion_pipeline.indexing.nearest import nearest


@pytest.mark.parametrize(
    ("rows", "limit", "candidates"),
    [(60_000, 10, 50), (100_000, 10, 50), (1_000_000, 10, 500), (1_000_000, 100, 500)],
)
def test_a_large_table_has_more_candidates_compared_than_a_small_one(
    rows: int, limit: int, candidates: int
) -> None:
    assert compared(rows, limit) == candidates


@pytest.mark.parametrize("limit", [1, 7, 99, 400])
def test_there_are_at_least_two_candidates_for_each_hit(limit: int) -> None:
    assert compared(60_000, limit) >= max(50, 2 * limit)


def compared(rows: int, limit: int) -> int:
    """Return how many candidates a search of a table of so many rows compares."""
    table = MagicMock()
    table.count_rows.return_value = rows
    nearest(table, np.zeros(8, np.float32), limit)
    refine = table.search.return_value.distance_type.return_value.refine_factor
    (factor,) = refine.call_args.args
    return int(factor) * limit
