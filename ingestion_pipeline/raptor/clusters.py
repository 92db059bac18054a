"""Groups of like vectors for one layer of a tree: communities of a neighbour graph.

RAPTOR (Sarthi et al. 2024) clusters with UMAP and Gaussian mixtures; a graph of nearest neighbours
with Leiden communities (Traag et al. 2019) costs a fraction of that, needs no number of clusters
and keeps the mixtures' best trait, that a text about two things may be in two clusters.

Belongs here: which vectors are summarised together. Does not belong here: the method of the paper
(``classic``), layers and summaries (``tree``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion_pipeline.clustering.communities import communities
from ingestion_pipeline.clustering.neighbours import nearest, unit
from ingestion_pipeline.control import Control

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Positions = NDArray[np.int64]

TOP = 8
"""So many vectors are one group: a reader takes them in at once."""
SMALLEST = 3
LARGEST = 16
"""A summary of more says little of each of them."""
LARGEST_WITH_GUESTS = 20
_NEIGHBOURS = 8
_GUESTS_AMONG = 3
"""Nearest neighbours whose groups one may be a guest of.

More of either renew more groups when one of 1,000 abstracts changes: 14 in the mean with 12 and 12,
7 with 8 and 3, whose groups are more alike too (mean cosine .50 instead of .44)."""
_MARGIN = 0.01
"""How much less like the others of a group than those of its own a guest may be, as a cosine."""
_BLOCK = 1024


def next_layer(vectors: Vectors, seed: int, control: Control) -> list[tuple[int, ...]]:
    """Group vectors for the layer above them; equal input has equal output.

    Args:
        vectors: (n, d), of any length.
        seed: Of Leiden's chance.
        control: Asked several times a second.

    Returns:
        Positions, ascending in each group, the groups sorted. Every position is in one group or
        two. Up to ``TOP`` positions are one group; else there are ``SMALLEST`` to
        ``LARGEST_WITH_GUESTS`` in each, so that the next layer is less than half as large.

    Raises:
        TransientError: ``crashed`` if the process that clusters died.
    """
    import numpy as np

    n = len(vectors)
    if n <= TOP:
        return [tuple(range(n))] if n else []
    vectors = unit(np.asarray(vectors, dtype=np.float32))
    found, cosines = nearest(vectors, min(_NEIGHBOURS, n - 1), control)
    labels = communities(found, cosines, LARGEST, seed, control)
    groups = [
        part
        for group in _merged(vectors, found, labels, control)
        for part in halves(vectors, group, LARGEST)
    ]
    groups = _with_guests(vectors, found[:, :_GUESTS_AMONG], groups, control)
    return sorted(tuple(sorted(map(int, group))) for group in groups)


def _merged(
    vectors: Vectors, found: Positions, labels: Positions, control: Control
) -> list[Positions]:
    """Put groups that are too small into the most similar one nearby, best where there is room."""
    import numpy as np

    _, labels = np.unique(labels, return_inverse=True)
    groups = _members(labels)
    sums = np.stack([vectors[group].sum(axis=0) for group in groups])
    for number, group in enumerate(groups):
        if not 0 < len(group) < SMALLEST:
            continue
        control.check()
        others = np.setdiff1d(labels[found[group]], number)
        sizes = np.array([len(groups[other]) for other in others])
        likeness = sums[others] @ sums[number] / sizes
        room = sizes + len(group) <= LARGEST
        target = others[np.lexsort((-likeness, ~room))[0]]
        groups[target] = np.concatenate((groups[target], group))
        sums[target] += sums[number]
        labels[group] = target
        groups[number] = group[:0]
    return [np.sort(group) for group in groups if len(group)]


def halves(vectors: Vectors, group: Positions, largest: int) -> list[Positions]:
    """Cut a group across the direction it is longest in, until no part exceeds ``largest``."""
    import numpy as np

    if len(group) <= largest:
        return [group]
    spread = vectors[group] - vectors[group].mean(axis=0)
    direction = spread[np.argmax((spread**2).sum(axis=1))]
    for _ in range(8):
        direction = unit((spread.T @ (spread @ direction))[None])[0]
    order = np.argsort(np.round(spread @ direction, 5), kind="stable")
    middle = len(group) // 2
    return [
        part
        for half in (order[:middle], order[middle:])
        for part in halves(vectors, group[half], largest)
    ]


def _with_guests(
    vectors: Vectors, found: Positions, groups: list[Positions], control: Control
) -> list[Positions]:
    """Let vectors join a second group that they are nearly as like as their own, the likest first.

    Likeness to a group is the mean cosine to its members, oneself not counted.
    """
    import numpy as np

    sizes = np.array([len(group) for group in groups])
    sums = np.stack([vectors[group].sum(axis=0) for group in groups])
    labels = np.empty(len(vectors), dtype=np.int64)
    for number, group in enumerate(groups):
        labels[group] = number
    gains, targets = [], []
    for start in range(0, len(vectors), _BLOCK):
        control.check()
        block, own = vectors[start : start + _BLOCK], labels[start : start + _BLOCK]
        others = labels[found[start : start + _BLOCK]]
        likeness = np.einsum("nd,nkd->nk", block, sums[others]) / sizes[others]
        likeness[others == own[:, None]] = -np.inf
        best = likeness.argmax(axis=1)
        to_own = np.einsum("nd,nd->n", block, sums[own] - block) / (sizes[own] - 1)
        gains.append(np.round(likeness.max(axis=1) - to_own, 5))
        targets.append(np.take_along_axis(others, best[:, None], 1)[:, 0])
    gain, target = np.concatenate(gains), np.concatenate(targets)
    hosts = [list(group) for group in groups]
    for guest in np.argsort(-gain, kind="stable"):
        if gain[guest] < -_MARGIN:
            break
        if len(hosts[target[guest]]) < LARGEST_WITH_GUESTS:
            hosts[target[guest]].append(guest)
    return [np.array(host) for host in hosts]


def _members(labels: Positions) -> list[Positions]:
    """Return the positions of each label 0, 1, ..., ascending."""
    import numpy as np

    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels))[:-1])
