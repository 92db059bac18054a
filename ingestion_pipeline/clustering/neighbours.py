"""The nearest neighbours of every vector among all others, by cosine.

Up to ``EXACT`` vectors all are compared with all, in blocks. Beyond, that grows beyond bounds
(10^12 products for a million), so each vector is compared with the few cells of the space nearest
to it, as inverted files do (Sivic & Zisserman 2003). A graph for clustering does not need every
neighbour; ``benchmarks/trees.py`` prints how many are found.

Belongs here: the search. Does not belong here: what the graph is for (``clusters``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Positions = NDArray[np.int64]

EXACT = 16_384
"""Up to so many vectors the neighbours are exact."""
_CELL = 512
"""Vectors in a cell, in the mean, or up to twice as many: the number of cells is a power of 2."""
_LARGEST_CELL = 4 * _CELL
_CELLS_SEEN = 24
_SAMPLE_PER_CELL = 32
_ROUNDS = 6
"""Of k-means; the cells need not be good, only compact."""
_BLOCK = 2**22
"""Similarities in memory at a time: 16 MiB."""
_DECIMALS = 5
"""Beyond them, a similarity depends on how a product was divided among processors."""


def nearest(vectors: Vectors, count: int, control: Control) -> tuple[Positions, Vectors]:
    """Return the neighbours of each vector and their cosines, the nearest first.

    Equally near ones come in the order of their positions, so equal input has equal output.

    Args:
        vectors: (n, d), of length 1 each, or 0.
        count: How many neighbours each gets; less than n, since nothing is its own neighbour.
        control: Asked between blocks, several times a second.

    Returns:
        Positions and cosines, (n, count) each.
    """
    import numpy as np

    cells, seen = _cells(vectors, control)
    found = np.full((len(vectors), count), -1, dtype=np.int64)
    cosines = np.full((len(vectors), count), -np.inf, dtype=np.float32)
    lookers = np.argsort(seen, axis=None, kind="stable") // seen.shape[1]
    looks = np.bincount(seen.ravel(), minlength=len(cells))
    for cell, rows in zip(cells, np.split(lookers, np.cumsum(looks)[:-1]), strict=True):
        size = max(_BLOCK // len(cell), 1)
        for start in range(0, len(rows), size):
            control.check()
            _improve(vectors, cell, rows[start : start + size], found, cosines)
    return found, cosines


def _improve(
    vectors: Vectors, cell: Positions, rows: Positions, found: Positions, cosines: Vectors
) -> None:
    """Let vectors (``rows``) look for nearer neighbours in a cell (positions, ascending)."""
    import numpy as np

    products = vectors[rows] @ vectors[cell].T
    own = np.minimum(np.searchsorted(cell, rows), len(cell) - 1)
    products[cell[own] == rows, own[cell[own] == rows]] = -np.inf
    count = found.shape[1]
    if len(cell) > count:
        best = np.argpartition(products, len(cell) - count, axis=1)[:, -count:]
        products = np.take_along_axis(products, best, 1)
        others = cell[best]
    else:
        others = np.broadcast_to(cell, products.shape)
    all_others = np.concatenate((found[rows], others), axis=1)
    all_cosines = np.concatenate((cosines[rows], np.round(products, _DECIMALS)), axis=1)
    order = np.lexsort((all_others, -all_cosines))[:, :count]
    found[rows] = np.take_along_axis(all_others, order, 1)
    cosines[rows] = np.take_along_axis(all_cosines, order, 1)


def _cells(vectors: Vectors, control: Control) -> tuple[list[Positions], Positions]:
    """Divide the positions into cells; also return which cells each vector looks into, (n, m)."""
    import numpy as np

    n = len(vectors)
    if n <= EXACT:
        return [np.arange(n)], np.zeros((n, 1), dtype=np.int64)
    count = 1 << (n // _CELL).bit_length() - 1
    centres = _centres(vectors, count, control)
    [nearest_centre] = _nearest_centres(vectors, centres, 1, control).T
    order = np.argsort(nearest_centre, kind="stable")
    ends = np.cumsum(np.bincount(nearest_centre, minlength=len(centres)))[:-1]
    cells = [
        piece
        for cell in np.split(order, ends)
        if len(cell)
        for piece in np.array_split(cell, -(-len(cell) // _LARGEST_CELL))
    ]
    centres = unit(np.stack([vectors[cell].mean(axis=0) for cell in cells]))
    return cells, _nearest_centres(vectors, centres, min(_CELLS_SEEN, len(cells)), control)


def _centres(vectors: Vectors, count: int, control: Control) -> Vectors:
    """Return centres found by spherical k-means on a sample.

    What is in the sample follows from the vectors alone, so that one more changes little.
    """
    import numpy as np

    odd = np.random.default_rng(0).integers(2**31, size=vectors.shape[1], dtype=np.uint32) * 2 + 1
    hashes = vectors.view(np.uint32) @ odd
    sample = vectors[np.argsort(hashes, kind="stable")[: count * _SAMPLE_PER_CELL]]
    centres = sample[:count]
    for _ in range(_ROUNDS):
        sums = np.zeros_like(centres)
        np.add.at(sums, _nearest_centres(sample, centres, 1, control)[:, 0], sample)
        centres = np.where(sums.any(axis=1, keepdims=True), unit(sums), centres)
    return centres


def _nearest_centres(vectors: Vectors, centres: Vectors, count: int, control: Control) -> Positions:
    import numpy as np

    size = max(_BLOCK // len(centres), 1)
    chosen = []
    for start in range(0, len(vectors), size):
        control.check()
        products = vectors[start : start + size] @ centres.T
        chosen.append(np.argpartition(products, len(centres) - count, axis=1)[:, -count:])
    return np.concatenate(chosen)


def unit(vectors: Vectors) -> Vectors:
    """Return the vectors at length 1; those of length 0 stay."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    scaled: Vectors = vectors / lengths
    return scaled
