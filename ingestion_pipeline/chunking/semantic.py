"""The strategy *semantic*: a chunk ends where the subject changes.

After TextTiling (Hearst, Computational Linguistics 23, 1997), with the sentence embeddings and the
cosine distance of Kamradt's "semantic chunking" (2023) in place of word counts: at each border
the few sentences before are compared with the few after; a border is a change of subject if its
distance is a peak that stands out in its section by a standard deviation.

Belongs here: where the subject changes. Does not belong here: the embedding model; the strategy is
handed a function.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ingestion_pipeline.chunking.layout import Span
from ingestion_pipeline.chunking.packing import Borders, Packer, Piece
from ingestion_pipeline.chunking.plan import Embed
from ingestion_pipeline.chunking.sections import general_sections

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COMPARED = 3
"""Sentences on either side of a border."""
_FEWEST = 4
"""Sentences; in fewer nothing stands out."""
_LEAST = 0.125
"""Share of a chunk's room: no change of subject leaves less on either side."""
_AT_ONCE = 1024
"""Sentences from which on a batch is embedded: enough for any model, little memory."""


@dataclass(frozen=True)
class _Stretch:
    """A section and where its sentences begin; a table or a piece of code is one sentence."""

    start: int
    end: int
    joints: tuple[int, ...]

    def sentences(self, text: str) -> list[str]:
        offsets = (self.start, *self.joints, self.end)
        return [text[first:last].strip() for first, last in pairwise(offsets)]


def semantic(packer: Packer, embed: Embed) -> Iterator[Piece]:
    """Cut each section where its subject changes, and where it must be cut, at the best border.

    Nothing is repeated between chunks: they are of different subjects.
    """
    for stretches in _batches(_stretches(packer)):
        long = [each for each in stretches if len(each.joints) + 1 >= _FEWEST]
        sentences = [text for each in long for text in each.sentences(packer.layout.text)]
        vectors = embed(sentences) if sentences else None
        done = 0
        for each in stretches:
            distances = [0.0] * len(each.joints)
            if vectors is not None and len(each.joints) + 1 >= _FEWEST:
                own = vectors[done : done + len(each.joints) + 1]
                distances = _distances(own)
                done += len(own)
            for start, end in _cuts(each, distances, packer):
                yield from packer.pieces(start, end)


def _stretches(packer: Packer) -> Iterator[_Stretch]:
    layout = packer.layout
    for section in general_sections(packer):
        start, end = layout.span(section.first, section.last)
        joints = (
            offset
            for offset, _ in layout.borders(start, end)
            if start < offset < end and not layout.within_lines(offset)
        )
        yield _Stretch(start, end, tuple(joints))


def _batches(stretches: Iterable[_Stretch]) -> Iterator[list[_Stretch]]:
    batch: list[_Stretch] = []
    sentences = 0
    for each in stretches:
        batch.append(each)
        sentences += len(each.joints) + 1
        if sentences >= _AT_ONCE:
            yield batch
            batch, sentences = [], 0
    yield batch


def _distances(vectors: NDArray[np.float32]) -> list[float]:
    """Return the cosine distance across each joint, of the means of the sentences around it."""
    import numpy as np

    sums = np.vstack([np.zeros_like(vectors[:1]), np.cumsum(vectors, axis=0)])
    joints = np.arange(1, len(vectors))
    before = sums[joints] - sums[np.maximum(joints - _COMPARED, 0)]
    after = sums[np.minimum(joints + _COMPARED, len(vectors))] - sums[joints]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    cosines = np.sum(before * after, axis=1) / np.maximum(lengths, 1e-9)
    return [float(1 - cosine) for cosine in cosines]


def _changes(joints: Sequence[int], distances: Sequence[float]) -> set[int]:
    """Return the joints at which the subject changes: peaks that stand out."""
    import numpy as np

    if not distances:
        return set()
    outstanding = float(np.mean(distances) + np.std(distances))
    around = zip([0.0, *distances], distances, [*distances[1:], 0.0], strict=False)
    return {
        joint
        for joint, (left, here, right) in zip(joints, around, strict=True)
        if here > outstanding and here >= left and here >= right
    }


def _cuts(stretch: _Stretch, distances: Sequence[float], packer: Packer) -> Iterator[Span]:
    """Cut from left to right: at the next change, else at the best joint, else at any border."""
    changes = _changes(stretch.joints, distances)
    distance = dict(zip(stretch.joints, distances, strict=True))
    borders = Borders(packer.layout.borders(stretch.start, stretch.end))
    start = stretch.start
    while start < stretch.end:
        borders.pass_by(start)
        room = packer.room(start)
        rest = packer.ruler.tokens(start, stretch.end)
        within = _within(stretch, start, room, rest, packer)
        cut = next((joint for joint in within if joint in changes), None)
        if cut is None and rest <= room:
            cut = stretch.end
        elif cut is None and within:
            cut = max(within, key=distance.__getitem__)
        elif cut is None:
            cut = packer.cut(start, start, stretch.end, borders, room)
        yield start, cut
        start = cut


def _within(stretch: _Stretch, start: int, room: int, rest: int, packer: Packer) -> tuple[int, ...]:
    """Return the joints that leave enough on either side and no more than there is room for."""
    least = int(room * _LEAST)
    lowest = max(packer.ruler.advance(start, least), start + 1)
    highest = packer.ruler.advance(start, min(room, rest - least))
    first = bisect_left(stretch.joints, lowest)
    return stretch.joints[first : bisect_right(stretch.joints, highest)]
