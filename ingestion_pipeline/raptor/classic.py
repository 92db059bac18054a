"""Groups of like vectors the way of the paper: fewer dimensions, then Gaussian mixtures by BIC.

As in RAPTOR (Sarthi et al. 2024) clusters are first global, and cut again the same way where they
are too large for a summary. Three things differ, so that it ends with any input and in bounded
time. Principal components take the place of UMAP, which is random, fails for few vectors and needs
memory that grows faster than their number. Covariances are diagonal and regularised, so that equal
vectors do no harm. The number of components is searched by doubling, then in halving steps, instead
of trying each.

Belongs here: that method. Does not belong here: the usual one (``clusters``).
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.clustering import child
from ingestion_pipeline.clustering.neighbours import unit
from ingestion_pipeline.control import Control
from ingestion_pipeline.raptor.clusters import LARGEST, LARGEST_WITH_GUESTS, SMALLEST, TOP, halves

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Positions = NDArray[np.int64]

_DIMENSIONS = 12
_REGULARISATION = 1e-4
_SAMPLE = 16_384
"""A mixture is fitted to so many at most; the others are assigned."""
_IN_PROCESS = 256
"""So few take about a second, less than a process with scikit-learn takes to start."""


def next_layer(
    vectors: Vectors, seed: int, threshold: float, max_cluster: int, control: Control
) -> list[tuple[int, ...]]:
    """Group vectors for the layer above them; equal input has equal output.

    Args:
        vectors: (n, d), of any length.
        seed: Of the mixtures' chance.
        threshold: A vector is also in its second most likely cluster if that is likelier than this.
        max_cluster: A mixture has fewer components than this.
        control: Asked several times a second.

    Returns:
        Positions, ascending in each group, the groups sorted. Every position is in at least one.
        Up to ``TOP`` positions are one group; else there are ``SMALLEST`` to
        ``LARGEST_WITH_GUESTS`` in each, so that the next layer is smaller.

    Raises:
        TransientError: ``crashed`` if the process that clusters died.
    """
    import numpy as np

    n = len(vectors)
    if n <= TOP:
        return [tuple(range(n))] if n else []
    vectors = unit(np.asarray(vectors, dtype=np.float32))
    control.check()
    if n <= _IN_PROCESS:
        members = mixtures(vectors, seed, threshold, max_cluster)
    else:
        members = child.call(
            mixtures,
            control,
            vectors=vectors,
            seed=seed,
            threshold=threshold,
            max_cluster=max_cluster,
        )
    groups = np.split(members[:, 1], np.flatnonzero(np.diff(members[:, 0])) + 1)
    return sorted(tuple(sorted(group.tolist())) for group in groups)


def mixtures(vectors: Vectors, seed: int, threshold: float, max_cluster: int) -> Positions:
    """Return pairs (group, position), by group, for vectors of length 1 or 0.

    One thread computes: for mixtures this small, several mostly wait for each other (20 times the
    CPU time, measured), and results would depend on their number.
    """
    import numpy as np
    import sklearn.mixture  # type: ignore[import-untyped]  # noqa: F401 - or it has no limit
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    groups: list[Positions] = []
    waiting = [(np.arange(len(vectors)), np.arange(0))]
    with threadpool_limits(1):
        while waiting:
            group, guests = waiting.pop()
            if len(group) <= LARGEST:
                groups.append(np.concatenate((group, guests[: LARGEST_WITH_GUESTS - len(group)])))
                continue
            parts = _parts(vectors, group, guests, int(seed), float(threshold), int(max_cluster))
            if not parts:
                groups.extend(halves(vectors, group, LARGEST))
            waiting.extend(parts)
    numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return np.column_stack((numbers, np.concatenate(groups)))


def _parts(
    vectors: Vectors,
    group: Positions,
    guests: Positions,
    seed: int,
    threshold: float,
    max_cluster: int,
) -> list[tuple[Positions, Positions]]:
    """Cut a group and assign its guests; return parts with their guests, none for no structure."""
    import numpy as np

    if not np.ptp(vectors[group], axis=0).any():
        return []
    everyone = np.concatenate((group, guests))
    points = _reduced(vectors[everyone], len(group), seed)
    likely = _likely(points, len(group), seed, max_cluster)
    sizes = np.bincount(likely[: len(group)].argmax(axis=1), minlength=likely.shape[1])
    likely = likely[:, sizes >= SMALLEST]
    if likely.shape[1] < 2:
        return []
    own = likely.argmax(axis=1)
    np.put_along_axis(likely, own[:, None], 0, 1)
    second = likely.argmax(axis=1)
    visits = np.flatnonzero(likely[: len(group)].max(axis=1) > threshold)
    parts = []
    for number in range(likely.shape[1]):
        members = group[own[: len(group)] == number]
        earlier = guests[own[len(group) :] == number]
        visitors = group[visits[second[visits] == number]]
        parts.append((members, np.setdiff1d(np.concatenate((earlier, visitors)), members)))
    return parts


def _reduced(vectors: Vectors, count: int, seed: int) -> Vectors:
    """Return vectors in few dimensions: the principal components of the first ``count``."""
    from sklearn.decomposition import PCA  # type: ignore[import-untyped]

    dimensions = min(_DIMENSIONS, count - 2, vectors.shape[1])
    reduction = PCA(dimensions, random_state=seed).fit(vectors[:count])
    reduced: Vectors = reduction.transform(vectors)
    return reduced


def _likely(points: Vectors, count: int, seed: int, max_cluster: int) -> NDArray[np.float64]:
    """Return how likely each point is in each component of the mixture of the first ``count``."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]
    from sklearn.mixture import GaussianMixture

    sample = points[:count]
    if count > _SAMPLE:
        sample = points[np.random.default_rng(seed).choice(count, _SAMPLE, replace=False)]

    @cache
    def fitted(components: int) -> tuple[float, Any]:
        mixture = GaussianMixture(
            components, covariance_type="diag", reg_covar=_REGULARISATION, random_state=seed
        ).fit(sample)
        return mixture.bic(sample), mixture

    def bic(components: int) -> float:
        return fitted(components)[0]

    most = max(min(max_cluster - 1, len(sample) // SMALLEST), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # equal vectors, or many steps
        best = min([*(2**power for power in range(most.bit_length())), most], key=bic)
        step = best // 2
        while step:
            near = {min(max(best + way * step, 1), most) for way in (-1, 0, 1)}
            best = min(sorted(near), key=bic)
            step //= 2
        likely: NDArray[np.float64] = fitted(best)[1].predict_proba(points)
    return likely
