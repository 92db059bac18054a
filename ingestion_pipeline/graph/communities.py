"""Communities of entities: basins of a graph, their basins, and Leiden within large ones.

Leiden (Traag et al. 2019) on a whole graph is unstable: without one of 1,000 documents, two fifths
of the communities were others, and their reports were to be written again. So the graph is divided
first by a rule that looks at neighbours only: each entity follows, of those that it has most to do
with, the one in the densest place, uphill to a peak (Rodriguez & Laio 2014). Basins as nodes have
basins in turn, as long as modularity rises. Then one document in 1,000 changes two communities in a
hundred, at a modularity of .70 against .76. Large basins are divided by hierarchical Leiden, each
by itself. Every component is divided, and an entity without relations is a community too: nobody is
left out.

Belongs here: who is in a community, and what it is called from build to build. Does not belong
here: what is said of it (``reports``).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestion_pipeline.clustering import child
from ingestion_pipeline.clustering.communities import leiden
from ingestion_pipeline.control import Control
from ingestion_pipeline.graph.edges import edges_of
from ingestion_pipeline.model.graph import Community, Relation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]
    Weights = NDArray[np.float64]

LARGEST = 24
"""Entities of a basin; a larger one is divided, if it has structure."""
_LOOKED_AT = 8
"""Neighbours, the closest ones, that an entity may follow."""
_CLOSE = 0.2
"""Of how close the closest one is; whoever is farther is not followed."""
_DENSITY_TIES = 4
"""The closest ties, whose weights are how dense it is around an entity."""
_DECIMALS = 4
"""Beyond them, one document more or less changes most weights."""
_EDGES_IN_PROCESS = 200_000
"""They take about 0.3 s, less than a process takes to start."""
_SAME = 0.5
"""Share of two communities' entities that are in both, above which they are the same one; so each
is the same as one other at most."""


def communities(
    entity_ids: Iterable[str],
    relations: Iterable[Relation],
    control: Control,
    previous: Iterable[Community] = (),
    seed: int = 0,
) -> list[Community]:
    """Return the communities of a graph; in whatever order it comes, the same ones.

    Every entity is in one community of level 0. A community that is divided has two children or
    more, and every entity of it is in one of them.

    Args:
        entity_ids: All entities.
        relations: All relations between them; several of one pair add up.
        control: Asked several times a second.
        previous: The communities of the last build. One that has more than half of its entities in
            common with one of the same level takes its id; without ``previous`` ids depend on
            nothing but the entities.
        seed: Of Leiden's chance.

    Returns:
        The coarsest level first, each by its first entity.

    Raises:
        TransientError: ``crashed`` if the process that runs Leiden died.
    """
    names = sorted(set(entity_ids))
    places = {name: place for place, name in enumerate(names)}
    edges, weights = _ties(relations, places)
    if len(edges) <= _EDGES_IN_PROCESS:
        levels = hierarchy(edges, weights, len(names), LARGEST, seed)
    else:
        levels = child.call(
            hierarchy,
            control,
            edges=edges,
            weights=weights,
            count=len(names),
            largest=LARGEST,
            seed=seed,
        )
    return _communities(names, levels, list(previous))


def modularity(found: Iterable[Community], relations: Iterable[Relation]) -> float:
    """Return the modularity (Newman & Girvan 2004) of the coarsest level, at most 1.

    0 is no better than chance; a graph without relations, or without communities, has 0.
    """
    import numpy as np

    top = [each for each in found if each.level == 0]
    if not top:
        return 0.0
    places = {entity: place for place, each in enumerate(top) for entity in each.entity_ids}
    return _modularity(np.arange(len(top)), *edges_of(relations, places))


def hierarchy(edges: Positions, weights: Weights, count: int, largest: int, seed: int) -> Positions:
    """Return the community of each node at each level, (levels, count), as numbers.

    Args:
        edges: (e, 2), sorted, each pair once.
        weights: (e,), more than 0.
        count: How many nodes there are.
        largest: Larger basins are divided.
        seed: Of Leiden's chance.
    """
    import numpy as np

    n = int(count)
    levels = [_basins(edges, weights, n)]
    worth = _modularity(levels[0], edges, weights)
    while len(edges):
        between, ties = _between(levels[0], edges, weights)
        coarser = _basins(between, ties, n)[levels[0]]
        if (better := _modularity(coarser, edges, weights)) <= worth:
            break
        worth = better
        levels.insert(0, coarser)
    basins = levels[-1]
    one, other = basins[edges].T
    inside = np.flatnonzero((one == other) & (np.bincount(basins, minlength=n)[one] > largest))
    inside = inside[np.argsort(one[inside], kind="stable")]
    levels.append(leiden(edges[inside], weights[inside], basins, int(largest), int(seed)))
    return np.stack(levels)


def _basins(edges: Positions, weights: Weights, count: int) -> Positions:
    """Return the peak that each node comes to, which is a node itself."""
    import numpy as np

    ends = np.concatenate((edges, edges[:, ::-1]))
    ties = np.concatenate((weights, weights))
    degrees = np.bincount(ends[:, 0], ties, minlength=count)
    # Else everybody would follow those who have to do with all.
    mutual = np.round(ties / np.sqrt(degrees[ends].prod(axis=1)), _DECIMALS)
    order = np.lexsort((ends[:, 1], -mutual, ends[:, 0]))
    ends, ties, mutual = ends[order], ties[order], mutual[order]
    first = np.searchsorted(ends[:, 0], ends[:, 0])
    place = np.arange(len(ends)) - first
    dense = place < _DENSITY_TIES
    density = np.bincount(ends[dense, 0], ties[dense], minlength=count)
    nodes = np.arange(count)
    rank = np.empty_like(nodes)
    rank[np.lexsort((nodes, -np.round(density, _DECIMALS)))] = nodes
    near = (place < _LOOKED_AT) & (mutual >= _CLOSE * mutual[first])
    uphill = ends[near & (rank[ends[:, 1]] < rank[ends[:, 0]])]
    sources, firsts = np.unique(uphill[:, 0], return_index=True)
    upward = nodes.copy()
    upward[sources] = uphill[firsts, 1]
    while (upward != upward[upward]).any():
        upward = upward[upward]
    return upward


def _between(
    communities: Positions, edges: Positions, weights: Weights
) -> tuple[Positions, Weights]:
    """Return the edges between communities, which are called by their peaks."""
    import numpy as np

    ends = np.sort(communities[edges], axis=1)
    apart = ends[:, 0] != ends[:, 1]
    pairs, which = np.unique(ends[apart], axis=0, return_inverse=True)
    ties = np.bincount(which.ravel(), weights[apart], minlength=len(pairs))
    return pairs.astype(np.int64), ties.astype(np.float64)


def _modularity(communities: Positions, edges: Positions, weights: Weights) -> float:
    import numpy as np

    total = float(weights.sum())
    if not total:
        return 0.0
    one, other = communities[edges].T
    degrees = np.bincount(communities[edges].ravel(), np.repeat(weights, 2)) / (2 * total)
    return float(weights[one == other].sum() / total - (degrees**2).sum())


def _ties(relations: Iterable[Relation], places: Mapping[str, int]) -> tuple[Positions, Weights]:
    """Return each pair once, sorted, and how much it has to do with each other.

    Sums are taken in one order, whatever that of the relations.
    """
    import numpy as np

    edges, weights = edges_of(relations, places)
    if not len(edges):
        return edges, weights
    edges.sort(axis=1)
    order = np.lexsort((weights, edges[:, 1], edges[:, 0]))
    edges, weights = edges[order], weights[order]
    firsts = np.flatnonzero(np.append(True, (edges[1:] != edges[:-1]).any(axis=1)))
    return edges[firsts], np.add.reduceat(weights, firsts)


def _communities(
    names: Sequence[str], levels: Positions, previous: Sequence[Community]
) -> list[Community]:
    found: list[_Draft] = []
    above: dict[str, _Draft] = {}
    for depth, numbers in enumerate(levels):
        groups: dict[int, list[str]] = defaultdict(list)
        for name, number in zip(names, numbers.tolist(), strict=True):
            groups[number].append(name)
        for members in groups.values():
            parent = above.get(members[0])
            if parent is None or len(members) < len(parent.members):
                found.append(_Draft(depth, tuple(members), parent))
                above |= dict.fromkeys(members, found[-1])
    _identify(found, previous)
    return [
        Community(each.id, each.level, each.parent.id if each.parent else None, each.members)
        for each in found
    ]


@dataclass(slots=True, eq=False)
class _Draft:
    """A community that has no id yet."""

    level: int
    members: tuple[str, ...]
    parent: _Draft | None
    id: str = ""


def _identify(found: Iterable[_Draft], previous: Sequence[Community]) -> None:
    """Give each community the id of the one that it was, or else a hash of its entities."""
    sizes = {each.community_id: len(each.entity_ids) for each in previous}
    before = {(each.level, entity): each for each in previous for entity in each.entity_ids}
    new = []
    taken = set()
    for each in found:
        places = ((each.level, entity) for entity in each.members)
        shared = Counter(before[place].community_id for place in places if place in before)
        same = [
            old
            for old, common in shared.items()
            if common > _SAME * (len(each.members) + sizes[old] - common)
        ]
        if same:
            each.id = same[0]
            taken.add(each.id)
        else:
            new.append(each)
    for each in new:
        each.id = _new_id(each.members, taken)
        taken.add(each.id)


def _new_id(members: Sequence[str], taken: AbstractSet[str]) -> str:
    """Return a hash of the entities; if another community that once had them bears it, the next."""
    parts = ["community", *members]
    while (name := _hash(parts)) in taken:
        parts.append("")
    return name


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
