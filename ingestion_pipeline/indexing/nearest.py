"""Asking a table for the rows whose vectors are nearest to one.

Belongs here: how many rows an approximate index proposes, of which the best are found by comparing
their vectors. Does not belong here: what is read of these rows (``snapshot``, ``summaries``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion_pipeline.indexing.commits import purged_errors

if TYPE_CHECKING:
    import numpy as np
    from lancedb.query import LanceQueryBuilder
    from lancedb.table import LanceTable
    from numpy.typing import NDArray

LEAST_CANDIDATES = 50
CANDIDATES_PER_HIT = 2
ROWS_PER_CANDIDATE = 2_000
"""The index rounds each dimension to a bit. It is wrong by as much in a large table as in a small
one, but in a large one more rows lie so near to each other: 50 candidates hold 0.997 of the ten
nearest of 100,000 rows and 0.64 of those of a million, 500 candidates all (benchmarks/index.py)."""


def nearest(table: LanceTable, vector: NDArray[np.float32], limit: int) -> LanceQueryBuilder:
    """Return a query for the ``limit`` rows of greatest cosine; it answers with distances.

    Where the table has no index of vectors, all rows are compared.
    """
    with purged_errors():
        rows = table.count_rows()
    candidates = max(LEAST_CANDIDATES, CANDIDATES_PER_HIT * limit, rows // ROWS_PER_CANDIDATE)
    query = table.search(vector, vector_column_name="vector", query_type="vector")
    return query.distance_type("cosine").refine_factor(-(-candidates // limit))
