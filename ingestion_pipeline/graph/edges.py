"""Relations as arrays, which is how what looks at all of them together takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ingestion_pipeline.model.graph import Relation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]
    Weights = NDArray[np.float64]


def edges_of(relations: Iterable[Relation], places: Mapping[str, int]) -> tuple[Positions, Weights]:
    """Return which places relations lead from and to, (relations, 2), and their weights."""
    import numpy as np

    known = list(relations)
    edges = np.empty((len(known), 2), np.int64)
    edges[:, 0] = [places[each.source] for each in known]
    edges[:, 1] = [places[each.target] for each in known]
    return edges, np.array([each.weight for each in known], np.float64)
