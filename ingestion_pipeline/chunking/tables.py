"""The rows of a table, found in its text.

Belongs here: rows, their cells, and which of them are a header. Does not belong here:
packing rows into chunks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from ingestion_pipeline.model.elements import Element

_LINE = re.compile(r"[^\n]+")
_CELL_BORDER = re.compile(r" \| |\t")
_NUMBER = re.compile(r"[^\w]*\d[\d.,:/ \-]*[^\w]*")
_LONGEST_NUMBER = 50
_HTML_ROW = re.compile(r"<tr\b[^>]*>(.*?)</tr>", re.DOTALL | re.IGNORECASE)
_MOST_HEADER_ROWS = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell, "" for an empty one, and where it begins in its element's text."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row that stands at ``start..end`` of its element's text; a merged cell's text stands once.

    Rows need not be of one length: empty cells at the end are left out.
    """

    start: int
    end: int
    cells: tuple[Cell, ...]

    @property
    def texts(self) -> list[str]:
        """The texts of the cells, by column."""
        return [cell.text for cell in self.cells]

    def cell(self, column: int) -> Cell:
        """Return the cell of a column, an empty one where the row is shorter."""
        return self.cells[column] if column < len(self.cells) else Cell("", self.end)


def rows(text: str) -> Iterator[Row]:
    """Yield the rows of a table's text: one a line, cells between " | " or tabs."""
    for line in _LINE.finditer(text):
        if line[0].isspace():
            continue
        cells = []
        start = line.start()
        for border in _CELL_BORDER.finditer(text, line.start(), line.end()):
            cells.append(_cell(text, start, border.start()))
            start = border.end()
        cells.append(_cell(text, start, line.end()))
        yield Row(line.start(), line.end(), tuple(cells))


def _cell(text: str, start: int, end: int) -> Cell:
    inner = text[start:end].lstrip()
    return Cell(inner.rstrip(), end - len(inner))


@lru_cache(maxsize=8)
def header(element: Element) -> Row | None:
    """Return the first rows of a table as one if they name the columns of others below them.

    They do where the HTML says so; else the first row does if most of its cells are no numbers.
    """
    first = list(islice(rows(element.text), _MOST_HEADER_ROWS + 1))
    if len(first) < 2:
        return None
    if marked := min(_marked_rows(element.html or ""), len(first) - 1):
        return _joined(first[:marked])
    filled = [text for text in first[0].texts if text]
    numbers = sum(_NUMBER.fullmatch(text[:_LONGEST_NUMBER]) is not None for text in filled)
    return first[0] if numbers * 2 < len(filled) else None


def _marked_rows(html: str) -> int:
    """Return how many rows are headers: the first with any header cell, others of nothing else."""
    count = 0
    for row in islice(_HTML_ROW.finditer(html), _MOST_HEADER_ROWS):
        cells = row[1].lower()
        if "<th" not in cells or (count and "<td" in cells):
            break
        count += 1
        if "<td" in cells:
            break
    return count


def _joined(found: Sequence[Row]) -> Row:
    """Return header rows as one that spans them; a name holds for the open columns to its right."""
    if len(found) == 1:
        return found[0]
    width = max(len(row.cells) for row in found)
    names = [list[str]() for _ in range(width)]
    for row in found:
        name = ""
        for column in range(width):
            name = row.cell(column).text or ("" if row is found[-1] else name)
            if name:
                names[column].append(name)
    cells = tuple(Cell(" ".join(parts), found[0].start) for parts in names)
    return Row(found[0].start, found[-1].end, cells)
