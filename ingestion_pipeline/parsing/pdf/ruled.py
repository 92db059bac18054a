"""Tables with rulings around their cells.

A ruled grid is a table as soon as there is text in most of it.

Belongs here: pure decisions about places. Does not belong here: PDFium (``extract``), order
(``order``), tables without rulings (``aligned``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ingestion_pipeline.parsing.pdf.order import rows
from ingestion_pipeline.parsing.pdf.page import Grid, Line, Rectangle
from ingestion_pipeline.parsing.pdf.tables import cell_text, is_header
from ingestion_pipeline.parsing.tables import Cell

_TOLERANCE = 3.0
"""Points by which rulings that belong together may miss each other."""
_MOST_CELLS = 10_000
_MOST_CROSSINGS = 200_000
"""A page with more is a drawing."""
_FILLED = 0.4
"""Smallest share of cells with text; the grid of a chart has hardly any."""
_LONGEST_CELL = 600
"""Characters; a "table" of which one longer cell is the greater part is a frame around prose."""


def ruled(lines: Sequence[Line], rulings: Sequence[Rectangle]) -> list[tuple[Grid, list[Line]]]:
    """Return the tables with rulings around their cells, and the lines that are in each."""
    upright = [line for line in lines if not line.turns]
    found = []
    for lattice in _lattices(rulings):
        inside = [line for line in upright if lattice.holds(line)]
        if inside and (grid := lattice.grid(inside)) is not None:
            found.append((grid, inside))
            taken = set(map(id, inside))
            upright = [line for line in upright if id(line) not in taken]
    return found


@dataclass(frozen=True)
class _Lattice:
    """Crossing rulings: where they stand, and each as (place, from, to)."""

    xs: list[float]
    ys: list[float]
    """From left to right; from top to bottom."""
    horizontals: list[tuple[float, float, float]]
    verticals: list[tuple[float, float, float]]

    def holds(self, line: Line) -> bool:
        x, y = (line.left + line.right) / 2, (line.bottom + line.top) / 2
        return self.xs[0] < x < self.xs[-1] and self.ys[-1] < y < self.ys[0]

    def grid(self, lines: Sequence[Line]) -> Grid | None:
        """Return the table with these lines in its cells; None if it looks like none."""
        owners = self._owners()
        texts: defaultdict[tuple[int, int], list[Line]] = defaultdict(list)
        for line in lines:
            place = self._place((line.left + line.right) / 2, (line.bottom + line.top) / 2)
            texts[owners[place]].append(line)
        cells = {owner: cell_text(_in_order(inside)) for owner, inside in texts.items()}
        spans = _spans(owners)
        if not _is_table(cells, len(spans)):
            return None
        first = [cells.get((0, column), "") for column in range(len(self.xs) - 1)]
        header = is_header(first) and len({row for row, _ in spans}) > 1
        table = [
            [
                Cell(cells.get((row, column), ""), header and row == 0, *spans[row, column])
                for column in range(len(self.xs) - 1)
                if (row, column) in spans
            ]
            for row in range(len(self.ys) - 1)
        ]
        size = median(line.size for line in lines)
        return Grid(table, self.xs[0], self.xs[-1], self.ys[-1], self.ys[0], self.xs, size)

    def _place(self, x: float, y: float) -> tuple[int, int]:
        column = bisect_right(self.xs, x) - 1
        row = bisect_right(self.ys, -y, key=lambda height: -height) - 1
        return min(row, len(self.ys) - 2), min(column, len(self.xs) - 2)

    def _owners(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Return for each field of the lattice the first of the cell that it is part of."""
        owners: dict[tuple[int, int], tuple[int, int]] = {}
        for row, (top, bottom) in enumerate(pairwise(self.ys)):
            for column in range(len(self.xs) - 1):
                if (row, column) in owners:
                    continue
                width = 1
                while column + width < len(self.xs) - 1 and not _stands(
                    self.verticals, self.xs[column + width], (top + bottom) / 2
                ):
                    width += 1
                height = 1
                while row + height < len(self.ys) - 1 and not any(
                    _stands(self.horizontals, self.ys[row + height], (begin + end) / 2)
                    for begin, end in pairwise(self.xs[column : column + width + 1])
                ):
                    height += 1
                for below in range(row, row + height):
                    for beside in range(column, column + width):
                        owners.setdefault((below, beside), (row, column))
        return owners


def _spans(
    owners: dict[tuple[int, int], tuple[int, int]],
) -> dict[tuple[int, int], tuple[int, int]]:
    """Return colspan and rowspan of each cell."""
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    for (row, column), owner in owners.items():
        wide, high = spans.get(owner, (1, 1))
        spans[owner] = max(wide, column - owner[1] + 1), max(high, row - owner[0] + 1)
    return spans


def _stands(rulings: Sequence[tuple[float, float, float]], place: float, at: float) -> bool:
    return any(
        abs(ruling - place) <= _TOLERANCE and begin <= at <= end for ruling, begin, end in rulings
    )


def _is_table(cells: dict[tuple[int, int], str], count: int) -> bool:
    filled = {place: text for place, text in cells.items() if text}
    longest = max(map(len, filled.values()), default=0)
    total = sum(map(len, filled.values()))
    return (
        len({row for row, _ in filled}) >= 2
        and len({column for _, column in filled}) >= 2
        and len(filled) >= _FILLED * count
        and not (longest > _LONGEST_CELL and longest > total / 2)
    )


def _lattices(rulings: Sequence[Rectangle]) -> Iterator[_Lattice]:
    """Put rulings that cross each other together."""
    horizontals = _merged(
        (
            ((bottom + top) / 2, left, right)
            for left, bottom, right, top in rulings
            if right - left > top - bottom
        )
    )
    verticals = _merged(
        (
            ((left + right) / 2, bottom, top)
            for left, bottom, right, top in rulings
            if top - bottom >= right - left
        )
    )
    if len(horizontals) * len(verticals) > _MOST_CROSSINGS:
        return
    groups = _Groups(len(horizontals) + len(verticals))
    for number, (y, left, right) in enumerate(horizontals):
        for other, (x, bottom, top) in enumerate(verticals, start=len(horizontals)):
            if (
                left - _TOLERANCE <= x <= right + _TOLERANCE
                and bottom - _TOLERANCE <= y <= top + _TOLERANCE
            ):
                groups.unite(number, other)
    for members in groups.all():
        across = [horizontals[n] for n in members if n < len(horizontals)]
        down = [verticals[n - len(horizontals)] for n in members if n >= len(horizontals)]
        if len(across) + len(down) < 5 or not across or not down:  # a box has four
            continue
        ends = [end for ruling in across for end in ruling[1:]]
        xs = _places([*(x for x, _, _ in down), min(ends), max(ends)])
        ends = [end for ruling in down for end in ruling[1:]]
        ys = _places([*(y for y, _, _ in across), min(ends), max(ends)])[::-1]
        fields = (len(xs) - 1) * (len(ys) - 1)
        if len(xs) > 2 and len(ys) > 2 and fields <= _MOST_CELLS:
            yield _Lattice(xs, ys, across, down)


def _merged(rulings: Iterable[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Join rulings in one line that touch each other."""
    merged: list[tuple[float, float, float]] = []
    line: list[tuple[float, float, float]] = []
    for ruling in sorted(rulings):
        if line and ruling[0] - line[0][0] > _TOLERANCE:
            merged += _joined(line)
            line = []
        line.append(ruling)
    return merged + _joined(line)


def _joined(line: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    joined: list[tuple[float, float, float]] = []
    for place, begin, end in sorted(line, key=lambda ruling: ruling[1]):
        if joined and begin <= joined[-1][2] + _TOLERANCE:
            first, start, stop = joined[-1]
            joined[-1] = first, start, max(stop, end)
        else:
            joined.append((place, begin, end))
    return joined


def _places(values: Iterable[float]) -> list[float]:
    """Return different places, those close to each other once."""
    places: list[float] = []
    for value in sorted(values):
        if not places or value - places[-1] > _TOLERANCE:
            places.append(value)
    return places


class _Groups:
    """Numbers that belong together (union-find)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def unite(self, first: int, second: int) -> None:
        self._parents[self._root(first)] = self._root(second)

    def all(self) -> list[list[int]]:
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for number in range(len(self._parents)):
            groups[self._root(number)].append(number)
        return list(groups.values())

    def _root(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number


def _in_order(lines: Sequence[Line]) -> list[Line]:
    return [item for row in rows(lines) for item in row if isinstance(item, Line)]
