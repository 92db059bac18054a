"""Sheets of any length as tables of bounded size, each with the header above it.

Belongs here: what is the same for delimited text and spreadsheets. Does not belong here: reading
cells from a format.
"""

from __future__ import annotations

import re
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
"""Rows that show how wide a sheet is."""
_NUMBER = re.compile(r"[^\w]*\d[\d.,:/ \-]*[^\w]*")


def add_sheet(
    rows: Iterable[Row], builder: DocumentBuilder, name: str = "", *, as_html: bool = True
) -> None:
    """Add a sheet, unless it is empty: its name, what stands above its table, then the table.

    Lines of one cell above a wider table are its captions. The row below them is the header if
    none of its cells is a number.
    """
    filled = (row for row in rows if any(row))
    first = list(islice(filled, _LOOK_AHEAD))
    if first:
        builder.heading(name, level=1)
    start = _captions(first)
    for row in first[:start]:
        builder.text(ElementCategory.NARRATIVE_TEXT, "".join(row))
    header = first[start] if len(first) > start + 1 and _is_header(first[start]) else None
    body = chain(first[start if header is None else start + 1 :], filled)
    for piece in _pieces(body):
        _add_table(header, piece, builder, as_html=as_html)


def _captions(rows: Sequence[Row]) -> int:
    """Return how many rows come before the table."""
    filled = [sum(map(bool, row)) for row in rows]
    if max(filled, default=0) < 2:
        return 0
    return next(index for index, cells in enumerate(filled) if cells > 1)


def _is_header(row: Row) -> bool:
    short = sum(map(len, row)) <= _LONGEST_HEADER
    return short and not any(_NUMBER.fullmatch(cell) for cell in row)


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
    header: Row | None, rows: Sequence[Row], builder: DocumentBuilder, *, as_html: bool
) -> None:
    head = [] if header is None else [header]
    lines = [*head, *rows]
    columns = sorted({index for row in lines for index, cell in enumerate(row) if cell})
    cells = [
        [Cell(row[column] if column < len(row) else "", header=row is header) for column in columns]
        for row in lines
    ]
    builder.table(cells, as_html=as_html)
