"""PageRank (Page et al. 1999) of the nodes of a weighted graph without direction.

Belongs here: how important nodes are whatever is asked. Does not belong here: what they are
(``merge``), and ranks for a question (``ranking``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]
    Weights = NDArray[np.float64]

_DAMPING = 0.85
_STEPS = 100
_PRECISION = 1e-10


def page_ranks(edges: Positions, weights: Weights, count: int) -> Weights:
    """Return the share of each node in an endless walk along the edges, (count,); they sum to 1.

    Args:
        edges: The two ends of each, (e, 2); several may have the same ends.
        weights: Greater than 0, (e,).
        count: How many nodes there are, at least 1.
    """
    import numpy as np
    from scipy.sparse import csr_array

    rows, columns = np.concatenate((edges, edges[:, ::-1])).T
    matrix = csr_array((np.concatenate((weights, weights)), (rows, columns)), (count, count))
    sums = np.asarray(matrix.sum(axis=0))
    matrix.data /= sums[matrix.indices]
    ranks = np.full(count, 1 / count)
    for _ in range(_STEPS):
        # From a node without edges the walk goes on anywhere.
        anywhere = (_DAMPING * ranks[sums == 0].sum() + 1 - _DAMPING) / count
        following = _DAMPING * (matrix @ ranks) + anywhere
        moved = np.abs(following - ranks).sum()
        ranks = following
        if moved < _PRECISION:
            break
    return ranks
