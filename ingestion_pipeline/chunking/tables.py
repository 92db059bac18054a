"""The rows of a table, found in its text.

Belongs here: rows, their cells, and whether the first one is a header. Does not belong here:
packing rows into chunks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ingestion_pipeline.model.elements import Element

_LINE = re.compile(r"[^\n]+")
_CELL_BORDER = re.compile(r" \| |\t")
_NUMBER = re.compile(r"[^\w]*\d[\d.,:/ \-]*[^\w]*")
_LONGEST_NUMBER = 50
_FIRST_ROW = re.compile(r"<tr\b[^>]*>(.*?)</tr>", re.DOTALL | re.IGNORECASE)


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
    """Return the first row of a table if it names the columns of others below it.

    It does where the HTML says so, or where most of its cells are no numbers.
    """
    found = rows(element.text)
    first = next(found, None)
    if first is None or next(found, None) is None:
        return None
    marked = _FIRST_ROW.search(element.html or "")
    if marked is not None and "<th" in marked[1].lower():
        return first
    filled = [text for text in first.texts if text]
    numbers = sum(_NUMBER.fullmatch(text[:_LONGEST_NUMBER]) is not None for text in filled)
    return first if numbers * 2 < len(filled) else None
