"""Tables without rulings, whose cells stand below each other.

White space has to show the columns, and the benefit of the doubt goes to prose: a table that is
not found stays readable line by line, prose that is cut into cells does not.

Belongs here: pure decisions about places. Does not belong here: PDFium (``extract``), order
(``order``), tables with rulings (``ruled``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from ingestion_pipeline.parsing.pdf.order import rows
from ingestion_pipeline.parsing.pdf.page import Grid, Item, Line
from ingestion_pipeline.parsing.pdf.tables import cell_text, is_header, is_number
from ingestion_pipeline.parsing.tables import Cell

_FEWEST_ROWS = 3
_FEWEST_ROWS_OF_WORDS = 4
"""Of a table without rulings, with and without a column of numbers."""
_HIGHEST_PITCH = 3.2
_CONTINUATION_PITCH = 1.6
"""Distance of two baselines over the size: within a table, and within a cell."""
_MOST_UNEVEN = 1.5
"""A distance of rows over the largest one above it in the table."""
_ALIGNED = 0.7
_ALIGNED_FILLED = 0.6
_MOST_RUNNING = 0.25
_SHORT = 30
"""Characters; prose in columns has none so narrow."""
_MARK = re.compile(r"[^\w\s]|[\[(]?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[\].):]")
"""What stands before the items of a list, or of a list of references."""


def aligned(items: Sequence[Item]) -> list[tuple[Grid, list[Line]]]:
    """Return the tables of a region whose cells stand below each other, and their lines."""
    tables = ((run.grid(), run.lines) for run in _runs(items))
    return [(grid, lines) for grid, lines in tables if grid is not None]


@dataclass
class _Cell:
    lines: list[Line]

    @property
    def text(self) -> str:
        return cell_text(self.lines)

    @property
    def left(self) -> float:
        return min(line.left for line in self.lines)

    @property
    def right(self) -> float:
        return max(line.right for line in self.lines)


@dataclass
class _Run:
    """Rows below each other whose cells can stand in common columns."""

    rows: list[dict[int, _Cell]] = field(default_factory=list)
    columns: list[tuple[float, float]] = field(default_factory=list)
    """From where to where the cells of each reach; in the order in which they were met."""
    baseline: float = 0.0
    pitch: float = 0.0

    def take(self, row: Sequence[Line]) -> bool:
        """Add a row, or the next line of the last one's cells; return whether that fits."""
        parts = _row_cells(row)
        size = max(line.size for line in row)
        pitch = self.baseline - min(line.bottom for line in row)
        if not self.rows:
            if len(parts) < 2:
                return False
            self.columns = [(part.left, part.right) for part in parts]
            self.rows.append(dict(enumerate(parts)))
        else:
            places = self._columns_of(parts)
            highest = _HIGHEST_PITCH * size
            if self.pitch:
                highest = min(highest, _MOST_UNEVEN * self.pitch)
            if pitch > highest or places is None:
                return False
            first = min(range(len(self.columns)), key=lambda number: self.columns[number])
            if len(parts) == 1 and places[0] != first and pitch <= _CONTINUATION_PITCH * size:
                self._continue(places[0], parts[0])
            else:
                self.rows.append(dict(zip(places, parts, strict=True)))
                self.pitch = max(self.pitch, pitch)
        self.baseline = min(line.bottom for line in row)
        return True

    @property
    def lines(self) -> list[Line]:
        return [line for row in self._kept() for cell in row.values() for line in cell.lines]

    def grid(self) -> Grid | None:
        """Return the table; None if prose or a list could look like this."""
        kept = self._kept()
        order = sorted({place for row in kept for place in row}, key=lambda p: self.columns[p])
        if not self._is_table(kept, order):
            return None
        texts = [[row[place].text if place in row else "" for place in order] for row in kept]
        header = is_header(texts[0])
        cells = [
            [Cell(text, header and number == 0) for text in row] for number, row in enumerate(texts)
        ]
        lines = self.lines
        edges = [self.columns[place][0] for place in order] + [self.columns[order[-1]][1]]
        return Grid(
            cells,
            left=min(line.left for line in lines),
            right=max(line.right for line in lines),
            bottom=min(line.bottom for line in lines),
            top=max(line.top for line in lines),
            edges=edges,
            size=median(line.size for line in lines),
        )

    def _columns_of(self, parts: Sequence[_Cell]) -> list[int] | None:
        """Return the column of each part of a row, None if one reaches into two columns."""
        places: list[int] = []
        columns = list(self.columns)
        for part in parts:
            begin, end = part.left, part.right
            hit = [
                number
                for number, (left, right) in enumerate(columns)
                if begin < right and end > left
            ]
            if len(hit) > 1 or (hit and hit[0] in places):
                return None
            if hit:
                left, right = columns[hit[0]]
                columns[hit[0]] = min(left, begin), max(right, end)
                places.append(hit[0])
            else:
                columns.append((begin, end))
                places.append(len(columns) - 1)
        ordered = sorted(columns)
        if any(after[0] <= before[1] for before, after in pairwise(ordered)):
            return None
        self.columns = columns
        return places

    def _continue(self, place: int, part: _Cell) -> None:
        cell = self.rows[-1].get(place)
        if cell is None:
            self.rows[-1][place] = part
        else:
            cell.lines += part.lines

    def _kept(self) -> list[dict[int, _Cell]]:
        """Return the rows without what only stands above or below the table."""
        full = [number for number, row in enumerate(self.rows) if len(row) > 1]
        return self.rows[full[0] : full[-1] + 1] if full else []

    def _is_table(self, kept: Sequence[dict[int, _Cell]], order: Sequence[int]) -> bool:
        full = [row for row in kept if len(row) > 1]
        if len(full) < _FEWEST_ROWS or len(full) < len(kept) / 2:
            return False
        columns = [[row[place] for row in full[1:] if place in row] for place in order]
        texts = [[cell.text for cell in column] for column in columns]
        numeric = [_share(is_number(text) for text in column) for column in texts]
        has_numbers = max(numeric[1:]) >= _ALIGNED
        if not has_numbers and len(full) < _FEWEST_ROWS_OF_WORDS:
            return False
        if sum(map(len, full)) < _ALIGNED_FILLED * len(order) * len(full):
            return False
        if any(map(_flows, texts)):
            return False
        if any("@" in text for column in texts for text in column):  # authors beside each other
            return False
        if len(order) == 2 and _share(map(_is_mark, texts[0])) > 0.5:
            return False
        if not has_numbers and all(_length(column) > _SHORT for column in texts):
            return False
        return all(
            number >= _ALIGNED or _are_aligned(column)
            for number, column in zip(numeric, columns, strict=True)
        )


def _runs(items: Sequence[Item]) -> Iterator[_Run]:
    run = _Run()
    for row in rows(items):
        lines = [item for item in row if isinstance(item, Line) and not item.turns]
        if len(lines) == len(row) and run.take(lines):
            continue
        if run.rows:
            yield run
        run = _Run()
        if len(lines) == len(row):
            run.take(lines)
    if run.rows:
        yield run


def _row_cells(row: Sequence[Line]) -> list[_Cell]:
    """Put together what no wide white space separates: PDFium cuts at superscripts, too."""
    cells: list[_Cell] = []
    for line in row:
        if cells and line.left - cells[-1].right <= max(line.size, 6):
            cells[-1].lines.append(line)
        else:
            cells.append(_Cell([line]))
    return cells


def _are_aligned(cells: Sequence[_Cell]) -> bool:
    """Whether most of a column's cells begin or end at one place."""
    if not cells:
        return True
    tolerance = max(line.size for line in cells[0].lines) / 2
    for edges in ([cell.left for cell in cells], [cell.right for cell in cells]):
        middle = median(edges)
        if _share(abs(edge - middle) <= tolerance for edge in edges) >= _ALIGNED:
            return True
    return False


def _flows(texts: Sequence[str]) -> bool:
    """Whether these are the lines of running text: sentences go on from one to the next."""
    pairs = list(pairwise(texts))
    running = sum(
        after[0].islower() and not before.endswith((".", ":", ";", "?", "!"))
        for before, after in pairs
    )
    return running > _MOST_RUNNING * len(pairs)


def _is_mark(text: str) -> bool:
    return _MARK.fullmatch(text) is not None


def _length(texts: Sequence[str]) -> float:
    return median(map(len, texts)) if texts else 0.0


def _share(flags: Iterable[bool]) -> float:
    found = list(flags)
    return sum(found) / len(found) if found else 0.0
