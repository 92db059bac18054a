"""Communities of a neighbour graph: basins first, then hierarchical Leiden in each large basin.

Leiden (Traag et al. 2019) on a whole graph is unstable: one more node among 10,000 changes two
thirds of the communities, and every changed one is summarised again. So the graph is divided first,
by a rule that looks at neighbours only: each node follows its nearest neighbour that lies denser,
uphill to a peak (Rodriguez & Laio 2014). Then one more node among 10,000 changes a few groups in a
thousand, which are as dense as those of the whole graph (mean cosine in a group .545 against .546),
and Leiden's memory is bounded by a basin.

Belongs here: from neighbours to communities. Does not belong here: how large a group for a summary
may be (``clusters``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion_pipeline.clustering import child
from ingestion_pipeline.control import Control

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]
    Weights = NDArray[np.float64]

_DENSITY_NEIGHBOURS = 4
_DECIMALS = 5
_LEAST_WEIGHT = 1e-3
"""Of an edge between vectors that have nothing in common, so that every node has edges."""
_EDGES_IN_PROCESS = 20_000
"""Leiden takes about 0.1 s for so many, less than a process takes to start."""


def communities(
    found: Positions, cosines: NDArray[np.float32], largest: int, seed: int, control: Control
) -> Positions:
    """Return the community of each node, as a number.

    A community without structure, such as one of equal vectors, may be larger than ``largest``.

    Args:
        found: (n, k), the neighbours of each node, the nearest first.
        cosines: (n, k), of the neighbours.
        largest: Larger communities are cut if they have structure.
        seed: Of Leiden's chance.
        control: Asked several times a second.

    Raises:
        TransientError: ``crashed`` if the process that runs Leiden died.
    """
    import numpy as np

    basins = _basins(found, cosines)
    edges, weights = _edges(found, cosines)
    one, other = basins[edges].T
    inside = np.flatnonzero((one == other) & (np.bincount(basins)[one] > largest))
    inside = inside[np.argsort(one[inside], kind="stable")]
    edges, weights = edges[inside], weights[inside]
    if len(edges) <= _EDGES_IN_PROCESS:
        return leiden(edges, weights, basins, largest, seed)
    return child.call(
        leiden, control, edges=edges, weights=weights, basins=basins, largest=largest, seed=seed
    )


def leiden(
    edges: Positions, weights: Weights, basins: Positions, largest: int, seed: int
) -> Positions:
    """Return the community of each node, given edges inside basins, sorted by basin and ends.

    A basin's communities depend on nothing outside it.
    """
    import numpy as np
    from graspologic_native import hierarchical_leiden  # type: ignore[import-untyped]

    communities = basins * len(basins)
    if not len(edges):
        return communities
    starts = np.flatnonzero(np.diff(basins[edges[:, 0]], prepend=-1))
    parts = zip(np.split(edges, starts[1:]), np.split(weights, starts[1:]), strict=True)
    for ends, ties in parts:
        nodes, ranks = np.unique(ends, return_inverse=True)
        names = [str(rank) for rank in range(len(nodes))]
        graph = [
            (names[one], names[other], tie)
            for (one, other), tie in zip(ranks.tolist(), ties.tolist(), strict=True)
        ]
        for step in hierarchical_leiden(graph, max_cluster_size=int(largest), seed=int(seed)):
            if step.is_final_cluster:
                communities[nodes[int(step.node)]] += step.cluster
    return communities


def _basins(found: Positions, cosines: NDArray[np.float32]) -> Positions:
    """Return the peak that each node comes to, which is a node itself."""
    import numpy as np

    nodes = np.arange(len(found))
    density = np.round(cosines[:, :_DENSITY_NEIGHBOURS].mean(axis=1), _DECIMALS)
    rank = np.empty_like(nodes)
    rank[np.argsort(-density, kind="stable")] = nodes
    denser = rank[found] < rank[:, None]
    upward = np.where(denser.any(axis=1), found[nodes, denser.argmax(axis=1)], nodes)
    while (upward != upward[upward]).any():
        upward = upward[upward]
    return upward


def _edges(found: Positions, cosines: NDArray[np.float32]) -> tuple[Positions, Weights]:
    """Return pairs of nodes, (e, 2) and sorted, and weights: those of mutual neighbours add up."""
    import numpy as np

    n, count = found.shape
    one, other = np.repeat(np.arange(n), count), found.ravel()
    keys = np.minimum(one, other) * n + np.maximum(one, other)
    keys, which = np.unique(keys, return_inverse=True)
    weights = np.bincount(which, weights=np.maximum(cosines.ravel(), _LEAST_WEIGHT))
    edges: Positions = np.column_stack((keys // n, keys % n))
    return edges, weights.astype(np.float64)
