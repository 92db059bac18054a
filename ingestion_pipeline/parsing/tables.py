"""Tables, whatever format they come from, as HTML and as text.

Belongs here: rows, cells and spans. Does not belong here: finding them in a document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ingestion_pipeline.parsing.cleaning import one_line

WIDEST_SPAN = 1000
"""Columns; what browsers allow."""


@dataclass
class Cell:
    """A cell where it starts; columns and rows that it also covers have no cell of their own."""

    text: str
    header: bool = False
    colspan: int = 1
    rowspan: int = 1

    def __post_init__(self) -> None:
        self.text = one_line(self.text)
        self.colspan = min(max(self.colspan, 1), WIDEST_SPAN)
        self.rowspan = max(self.rowspan, 1)


class Table:
    """Rows of cells. ``text`` leaves out rows and columns without any: they only space it out."""

    def __init__(self, rows: Sequence[Sequence[Cell]]) -> None:
        self._rows = [list(row) for row in rows]

    def html(self) -> str:
        """Return the table with nothing but table, tr, th and td, and their spans."""
        rows = "".join(f"<tr>{''.join(map(_cell_html, row))}</tr>" for row in self._rows if row)
        return f"<table>{rows}</table>"

    def text(self) -> str:
        """Return one row a line, cells separated by " | "; a merged cell's text stands once."""
        grid = self._grid()
        columns = sorted({column for row in grid for column in row})
        lines = (" | ".join(row.get(column, "") for column in columns) for row in grid if row)
        return "\n".join(line.rstrip(" |") for line in lines)

    def _grid(self) -> list[dict[int, str]]:
        """Return each row's texts by column, without the empty ones."""
        grid: list[dict[int, str]] = []
        covered: dict[int, int] = {}  # column -> how many more rows a cell from above covers
        for row in self._rows:
            texts: dict[int, str] = {}
            covered_below = {column: rows - 1 for column, rows in covered.items() if rows > 1}
            column = 0
            for cell in row:
                while column in covered:
                    column += 1
                if cell.text:
                    texts[column] = cell.text
                if cell.rowspan > 1:
                    span = range(column, column + cell.colspan)
                    covered_below.update(dict.fromkeys(span, cell.rowspan - 1))
                column += cell.colspan
            grid.append(texts)
            covered = covered_below
        return grid


def _cell_html(cell: Cell) -> str:
    tag = "th" if cell.header else "td"
    colspan = f' colspan="{cell.colspan}"' if cell.colspan > 1 else ""
    rowspan = f' rowspan="{cell.rowspan}"' if cell.rowspan > 1 else ""
    return f"<{tag}{colspan}{rowspan}>{escape(cell.text, quote=False)}</{tag}>"
