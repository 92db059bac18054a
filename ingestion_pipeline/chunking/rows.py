"""The strategy *rows*: a row of a table is a chunk that names its columns.

Belongs here: tables, and what stands around them; tags in a column. Does not belong here: tables
within text (``layout``, ``packing``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from ingestion_pipeline.chunking.layout import Placed, Section
from ingestion_pipeline.chunking.packing import Packer, Piece
from ingestion_pipeline.chunking.sections import tables_and_rest
from ingestion_pipeline.chunking.tables import Row, header, rows

_FIELD_BORDER = "; "
_TAG_NAMES = frozenset({"tag", "tags", "label", "labels", "标签", "標籤"})
_USUAL_NAMES = _TAG_NAMES | {"content", "text", "description", "内容", "文本", "描述"}
_TAG_BORDER = re.compile(r"[,，、]")  # noqa: RUF001


def by_row(packer: Packer) -> Iterator[Piece]:
    """Give each row of each table its own chunk, "column: value; column: value"."""
    before = ""
    for part in tables_and_rest(packer.layout, lambda part: part.is_table):
        if isinstance(part, Section):
            yield from packer.pieces(*packer.layout.span(part.first, part.last))
            continue
        head = header(part.element)
        if head and any(2 * packer.count(f"{name}: ") > packer.budget for name in head.texts):
            head = None  # what is so long is no name
        for row in _below(head, part, before):
            yield from _record(part, row, row.texts, head.texts if head else [], packer)
        before = _first_line(part)


def by_tagged_row(packer: Packer) -> Iterator[Piece]:
    """Give each row its own chunk, with the labels in the column "tags", else the last, as tags.

    The first row names columns only if it has a usual name ("content", "tags") in it.
    """
    before = ""
    for part in tables_and_rest(packer.layout, lambda part: part.is_table):
        if isinstance(part, Section):
            yield from packer.pieces(*packer.layout.span(part.first, part.last))
            continue
        found = list(rows(part.element.text))
        width = max(len(row.cells) for row in found)
        usual = [text.lower() for text in found[0].texts]
        head = found[0] if not _USUAL_NAMES.isdisjoint(usual) else None
        names = head.texts if head and width > 2 else []
        tagged = next((i for i, name in enumerate(usual) if name in _TAG_NAMES), width - 1)
        for row in _below(head, part, before):
            values = row.texts
            tags: tuple[str, ...] = ()
            if width > 1 and tagged < len(values):
                tags = tags_in(values[tagged])
                values[tagged] = ""
            for piece in _record(part, row, values, names, packer):
                yield replace(piece, tags=tags)
        before = _first_line(part)


def tags_in(cell: str) -> tuple[str, ...]:
    """Return the labels of a cell; "." would be a path in some stores, so it becomes "_"."""
    labels = (label.strip().replace(".", "_") for label in _TAG_BORDER.split(cell))
    return tuple(dict.fromkeys(label for label in labels if label))


def _below(head: Row | None, table: Placed, before: str) -> Iterator[Row]:
    """Yield the rows below the header.

    A long sheet comes as several tables that each begin with the same row: it counts once.
    """
    found = rows(table.element.text)
    if head is not None:
        yield from (row for row in found if row.start >= head.end)
        return
    if _first_line(table) == before:
        next(found)
    yield from found


def _first_line(table: Placed) -> str:
    return table.element.text.partition("\n")[0]


def _record(
    part: Placed, row: Row, values: Sequence[str], names: Sequence[str], packer: Packer
) -> Iterator[Piece]:
    """Yield a row as one piece, or as several that each hold whole fields if it is too long."""
    start, end = part.start + row.start, part.start + row.end
    labels = (f"{name}: " if name else "" for name in names)
    fields = [(label, value) for label, value in zip_longest(labels, values, fillvalue="") if value]
    texts = [label + value for label, value in fields]
    borders = 2 * len(fields)
    most = packer.ruler.tokens(start, end) + sum(packer.count(label) for label, _ in fields)
    if most + borders <= packer.budget:
        if texts:
            yield Piece(start, end, text=_FIELD_BORDER.join(texts))
        return
    held: list[str] = []
    room = packer.budget
    for (label, value), text, tokens in zip(fields, texts, packer.counts(texts), strict=True):
        if held and tokens > room:
            yield Piece(start, end, text=_FIELD_BORDER.join(held))
            held, room = [], packer.budget
        if tokens > room:
            yield Piece(start, end, lead=label, text=value)
        else:
            held.append(text)
            room -= tokens + packer.count(_FIELD_BORDER)
    if held:
        yield Piece(start, end, text=_FIELD_BORDER.join(held))
