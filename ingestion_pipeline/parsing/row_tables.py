"""Sheets of any length as tables of bounded size, each with the header above it.

Belongs here: what is the same for delimited text and spreadsheets. Does not belong here: reading
cells from a format.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from ingestion_pipeline.model.elements import ElementCategory
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.tables import Cell

Row = Sequence[str]
"""The texts of a row's cells, "" for empty ones; rows need not be of one length."""

_MOST_ROWS = 100
_MOST_CHARACTERS = 8_000
_LONGEST_HEADER = 2_000
"""Characters; a longer header is not worth repeating."""
_LOOK_AHEAD = 20
"""Rows that show how a table begins and how wide it is."""
_MOST_HEADER_ROWS = 3
_NUMBER = re.compile(r"[^\w]*\d[\d.,:/ \-]*[^\w]*")
_YEAR = re.compile(r"(?:19|20)\d\d")


def add_sheet(
    rows: Iterable[Row], builder: DocumentBuilder, name: str = "", *, as_html: bool = True
) -> None:
    """Add a sheet, unless it is empty: its name, what stands above its tables, then the tables.

    Lines of one cell above a wider table are its captions. The rows below them are the header if
    they name columns. Below an empty row another table begins if it has a header of its own.
    """
    for number, table in enumerate(_tables(rows)):
        if number == 0:
            builder.heading(name, level=1)
        _add_rows(table, builder, as_html=as_html)


def _tables(rows: Iterable[Row]) -> Iterator[Iterator[Row]]:
    """Yield the tables of a sheet; each has to be taken before the next one."""
    ahead = _Ahead(rows)
    while ahead.peek(1):
        yield ahead.table()


class _Ahead:
    """Rows that can be looked at before they are taken."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = iter(rows)
        self._held: deque[Row] = deque()

    def peek(self, count: int) -> list[Row]:
        """Return the next filled rows, at most ``count``, up to an empty one."""
        while self._held and not any(self._held[0]):
            self._held.popleft()
        found: list[Row] = []
        for position in range(count):
            while position >= len(self._held):
                row = next(self._rows, None)
                if row is None:
                    return found
                if found or any(row):
                    self._held.append(row)
            if not any(self._held[position]):
                break
            found.append(self._held[position])
        return found

    def table(self) -> Iterator[Row]:
        """Yield the rows until another table begins; captions alone are none."""
        is_table = False
        while (row := self._next()) is not None:
            if any(row):
                is_table = is_table or sum(map(bool, row)) > 1
                yield row
            elif is_table and _begins_table(self.peek(_LOOK_AHEAD)):
                return

    def _next(self) -> Row | None:
        return self._held.popleft() if self._held else next(self._rows, None)


def _begins_table(rows: Sequence[Row]) -> bool:
    """Whether the rows have a header that tells them from those above: names over numbers."""
    body = rows[_captions(rows) :]
    header = _header_rows(body)
    return any(
        _stands_over_numbers(column, body[header:])
        for row in body[:header]
        for column, cell in enumerate(row)
        if cell
    )


def _add_rows(rows: Iterator[Row], builder: DocumentBuilder, *, as_html: bool) -> None:
    first = list(islice(rows, _LOOK_AHEAD))
    start = _captions(first)
    for row in first[:start]:
        builder.text(ElementCategory.NARRATIVE_TEXT, "".join(row))
    body = start + _header_rows(first[start:])
    for piece in _pieces(chain(first[body:], rows)):
        _add_table(first[start:body], piece, builder, as_html=as_html)


def _captions(rows: Sequence[Row]) -> int:
    """Return how many rows come before the table."""
    filled = [sum(map(bool, row)) for row in rows]
    if max(filled, default=0) < 2:
        return 0
    return next(index for index, cells in enumerate(filled) if cells > 1)


def _header_rows(rows: Sequence[Row]) -> int:
    """Return how many rows name columns: the first, and those that name what it leaves open."""
    count = 0
    for row in rows[:-1]:
        is_next = count == 0 or _names_more(row, rows[count - 1], rows[count + 1 :])
        if count == _MOST_HEADER_ROWS or not is_next or not _is_header(row, rows[count + 1 :]):
            break
        count += 1
    return count


def _is_header(row: Row, below: Sequence[Row]) -> bool:
    """Whether no cell is a number, but for years that stand over other numbers."""
    if sum(map(len, row)) > _LONGEST_HEADER:
        return False
    numbers = [column for column, cell in enumerate(row) if _NUMBER.fullmatch(cell)]
    years = all(_YEAR.fullmatch(row[column]) for column in numbers)
    over = all(_stands_over_numbers(column, below) for column in numbers)
    return not numbers or (len(numbers) > 1 and years and over)


def _names_more(row: Row, above: Row, below: Sequence[Row]) -> bool:
    """Whether a row goes on with the header above: it names columns of numbers left open there."""
    return any(
        cell and not (column < len(above) and above[column]) and _stands_over_numbers(column, below)
        for column, cell in enumerate(row)
    )


def _stands_over_numbers(column: int, rows: Sequence[Row]) -> bool:
    cells = (row[column] for row in rows if column < len(row) and row[column])
    return any(_NUMBER.fullmatch(cell) and not _YEAR.fullmatch(cell) for cell in cells)


def _pieces(rows: Iterable[Row]) -> Iterator[list[Row]]:
    piece: list[Row] = []
    characters = 0
    for row in rows:
        length = sum(map(len, row)) + len(row)
        if piece and (len(piece) >= _MOST_ROWS or characters + length > _MOST_CHARACTERS):
            yield piece
            piece, characters = [], 0
        piece.append(row)
        characters += length
    if piece:
        yield piece


def _add_table(
    header: Sequence[Row], rows: Sequence[Row], builder: DocumentBuilder, *, as_html: bool
) -> None:
    lines = [*((row, True) for row in header), *((row, False) for row in rows)]
    columns = sorted({index for row, _ in lines for index, cell in enumerate(row) if cell})
    cells = [
        [Cell(row[column] if column < len(row) else "", is_header) for column in columns]
        for row, is_header in lines
    ]
    builder.table(cells, as_html=as_html)
