"""The order in which a person reads what stands on a page.

The order in which a program drew a page is usually right, and knows what places cannot tell. It is
given up only where following it means jumping about, and going by columns does not.

Belongs here: columns and order. Does not belong here: what a paragraph is (``layout``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ingestion_pipeline.parsing.pdf.page import Grid, Item, Line, overlap

_SAME_ROW = 0.4
"""Share of their height in which items on one row overlap."""
_FEWEST_LINES = 3
"""Of each column; fewer side by side are no columns."""
_NARROWEST_COLUMN = 8
"""Width of the typical line of a column of prose, over its size; cells of a table have less."""
_FILLED = 0.5
"""Width of the typical line of a column, over that of the column."""
_SIDE_BY_SIDE = 0.5
"""Share of the height of the lower column in which another one stands beside it."""
_CANDIDATES = 8
_ROUNDING = 4
_MOST_ITEMS = 2_000
"""A page with more of them is taken as it was drawn."""
_DEEPEST = 4
_FACTOR = 3
_MARGIN = 3


def regions(items: Sequence[Item]) -> list[list[Item]]:
    """Cut a page into columns of prose and what stands above, between and below them.

    Returns:
        The regions in reading order, the items of each from top to bottom and left to right.
    """
    if len(items) > _MOST_ITEMS:
        return [list(items)]
    return list(_regions(items, _DEEPEST))


def rows(items: Sequence[Item]) -> list[list[Item]]:
    """Put items on one height together, from top to bottom, each row from left to right."""
    found: list[list[Item]] = []
    for item in sorted(items, key=lambda item: (-item.top - item.bottom, item.left)):
        if found and overlap(found[-1][0], item) >= _SAME_ROW and isinstance(item, Line):
            found[-1].append(item)
        else:
            found.append([item])
    return [sorted(row, key=lambda item: item.left) for row in found]


def better(drawn: Sequence[Item], by_place: Sequence[Sequence[Item]]) -> list[Item]:
    """Return the items as they were drawn, unless going by regions jumps about less.

    Where there are columns, much less: headings beside their text look like a column, too.
    """
    ordered = [item for region in by_place for item in region]
    if len(drawn) > _MOST_ITEMS:
        return list(drawn)
    jumps, most = _jumps(drawn), _jumps(ordered)
    if len(by_place) > 1:
        most = _FACTOR * most + _MARGIN
    return ordered if jumps > most else list(drawn)


def _jumps(items: Sequence[Item]) -> int:
    """Count where the next item stands neither below nor beside the one before."""
    return sum(not _follows(item, after) for item, after in pairwise(items))


def _follows(item: Item, after: Item) -> bool:
    if overlap(item, after) >= _SAME_ROW:
        gap = after.left - item.right
        return -_size(item) <= gap <= 2 * _size(item)
    below = after.top <= item.top
    return below and min(item.right, after.right) > max(item.left, after.left)


def _size(item: Item) -> float:
    return item.size if isinstance(item, Line) else 10.0


@dataclass
class _Band:
    """What stands between two heights: to the left and the right of a gutter, or across it."""

    across: list[Item] = field(default_factory=list)
    left: list[Item] = field(default_factory=list)
    right: list[Item] = field(default_factory=list)

    @property
    def has_columns(self) -> bool:
        return (
            bool(self.left and self.right)
            and _are_side_by_side(self.left, self.right)
            and _is_column(self.left)
            and (_is_column(self.right) or _best_bands(self.right) is not None)
        )

    @property
    def items(self) -> list[Item]:
        return [*self.across, *self.left, *self.right]


def _regions(items: Sequence[Item], depth: int) -> Iterator[list[Item]]:
    bands = _best_bands(items) if depth else None
    if bands is None:
        yield [item for row in rows(items) for item in row]
        return
    whole: list[Item] = []
    for band in bands:
        if not band.has_columns:
            whole += band.items
            continue
        if whole:
            yield [item for row in rows(whole) for item in row]
            whole = []
        yield from _regions(band.left, depth - 1)
        yield from _regions(band.right, depth - 1)
    if whole:
        yield [item for row in rows(whole) for item in row]


def _best_bands(items: Sequence[Item]) -> list[_Band] | None:
    """Return the bands of the gutter that has most lines in columns beside it."""
    starts = Counter(round(item.left / _ROUNDING) for item in items)
    best: list[_Band] | None = None
    most = 0
    for start, count in starts.most_common(_CANDIDATES):
        if count < _FEWEST_LINES:
            break
        bands = _bands(items, (start - 0.5) * _ROUNDING - 1)
        in_columns = sum(len(band.items) for band in bands if band.has_columns)
        if in_columns > most:
            best, most = bands, in_columns
    return best


def _bands(items: Sequence[Item], gutter: float) -> list[_Band]:
    """Cut a page at whatever stands across a gutter, from top to bottom."""
    bands = [_Band()]
    for item in sorted(items, key=lambda item: (-item.top - item.bottom, item.left)):
        if item.left < gutter < item.right - 1:
            if bands[-1].left or bands[-1].right:
                bands.append(_Band())
            bands[-1].across.append(item)
            continue
        if bands[-1].across:
            bands.append(_Band())
        side = bands[-1].left if item.right - 1 <= gutter else bands[-1].right
        side.append(item)
    return bands


def _is_column(items: Sequence[Item]) -> bool:
    """Whether these are lines of prose: wide, and most of them as wide as their column."""
    if any(isinstance(item, Grid) for item in items) and len(items) > 1:
        return True
    if len(items) < _FEWEST_LINES:
        return False
    width = max(item.right for item in items) - min(item.left for item in items)
    typical = _typical(items)
    typical_width = typical.right - typical.left
    return typical_width >= max(_NARROWEST_COLUMN * _size(typical), _FILLED * width)


def _typical(items: Sequence[Item]) -> Item:
    """Return the item in whose width, or less, half of the text stands."""
    ordered = sorted(items, key=lambda item: item.right - item.left)
    total = sum(item.right - item.left for item in ordered)
    covered = 0.0
    for item in ordered:
        covered += item.right - item.left
        if covered >= total / 2:
            return item
    return ordered[-1]


def _are_side_by_side(left: Sequence[Item], right: Sequence[Item]) -> bool:
    top = min(max(item.top for item in left), max(item.top for item in right))
    bottom = max(min(item.bottom for item in left), min(item.bottom for item in right))
    heights = [
        max(item.top for item in side) - min(item.bottom for item in side) for side in (left, right)
    ]
    return top - bottom >= _SIDE_BY_SIDE * min(heights)
