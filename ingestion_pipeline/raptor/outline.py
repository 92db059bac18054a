"""The layers of one document's tree: which neighbours are summarised together.

Belongs here: groups of neighbours, from the headings above them and from breaks in what they say.
Does not belong here: groups across documents (``clusters``), and what is written of a group.

Each layer is cut at the joints between neighbours, the strongest joint first: one where a higher
heading begins is stronger, and among equals one where the vectors on both sides are less alike
(a watershed over the cosines of neighbours). That is the document's own outline where it has one,
and its changes of subject where it has none or where a section is long. Tiny sections stay with the
neighbour they are least apart from. Each layer has at most a third of the groups of the one below,
so that any document comes to one root.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ingestion_pipeline.model.chunks import Chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST = 3
"""Fewest members of a group; a summary of less is hardly shorter than what it is of."""
MOST = 10
"""Most members of a group."""
DEEPEST = 12
"""What stands under deeper headings counts as standing under the last of these."""
_NO_HEADING = DEEPEST + 1
"""The depth of a joint at which no heading begins."""


@dataclass(frozen=True, slots=True)
class Section:
    """Neighbours that are summarised together: ``first``, and all before ``end``.

    They count chunks in the first layer, and sections of the layer below in the others.
    ``heading`` is the deepest heading over all of them, where that tells the section from those
    beside it, else "".
    """

    first: int
    end: int
    heading: str


def layers(chunks: Sequence[Chunk], vectors: NDArray[np.float32]) -> list[list[Section]]:
    """Return the layers of a document's tree, the lowest first; the last is one section, the root.

    Args:
        chunks: All chunks of the document, in their order.
        vectors: Theirs, (chunks, dimension).

    Returns:
        In each layer sections that cover the layer below in its order, every part once. No layers
        where there are no chunks. The sections of a layer depend on nothing but the arguments.
    """
    import numpy as np

    paths = [chunk.heading_path[:DEEPEST] for chunk in chunks]
    shared = [_shared(*pair) for pair in pairwise(paths)]
    members, sums = [*range(len(chunks) + 1)], vectors
    found: list[list[Section]] = []
    while len(members) > 1 and not (found and len(found[-1]) == 1):
        depths = [
            _NO_HEADING if paths[start - 1] == paths[start] else shared[start - 1]
            for start in members[1:-1]
        ]
        borders = _borders(depths, _cosines(sums))
        starts = [members[first] for first, _ in borders]
        above = [
            paths[start][: min(shared[start : following - 1], default=DEEPEST)]
            for start, following in pairwise((*starts, len(chunks)))
        ]
        names = Counter(above)
        found.append(
            [
                Section(*border, heading=path[-1] if path and names[path] == 1 else "")
                for border, path in zip(borders, above, strict=True)
            ]
        )
        sums = np.add.reduceat(sums, [first for first, _ in borders])
        members = [*starts, len(chunks)]
    return found


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Return under how many headings two places stand both."""
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return count


def _cosines(vectors: NDArray[np.float32]) -> list[float]:
    """Return how alike neighbours are."""
    import numpy as np

    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    units = vectors / lengths
    cosines: list[float] = np.einsum("ij,ij->i", units[:-1], units[1:]).tolist()
    return cosines


def _borders(depths: Sequence[int], cosines: Sequence[float]) -> list[tuple[int, int]]:
    """Cut between the members of a layer; the joint ``n`` is before the member ``n + 1``.

    A stretch is cut where it is too long, and where a heading begins that is higher than others in
    it; never so that fewer than ``LEAST`` are left on either side.
    """
    members = len(depths) + 1
    cuts = [0, members]
    for joint in sorted(range(len(depths)), key=lambda each: (depths[each], cosines[each], each)):
        at = joint + 1
        where = bisect(cuts, at)
        first, end = cuts[where - 1], cuts[where]
        if min(at - first, end - at) < LEAST:
            continue
        if end - first > MOST or depths[joint] < max(depths[first : end - 1]):
            insort(cuts, at)
    return list(pairwise(cuts))
