"""From what is drawn on one page to its lines and tables in reading order.

Belongs here: the steps that one page takes by itself, so that pages can be read in parallel. Does
not belong here: what takes several pages, or says what a line means (``layout``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from ingestion_pipeline.parsing.pdf import order
from ingestion_pipeline.parsing.pdf.aligned import aligned
from ingestion_pipeline.parsing.pdf.page import Figure, Grid, Item, Line, Page, Sheet, turned
from ingestion_pipeline.parsing.pdf.ruled import ruled


def arrange(sheet: Sheet) -> Page:
    """Return the page with its tables found and its lines in order."""
    usual = Counter(line.turns for line in sheet.lines).most_common(1)
    turns = usual[0][0] if usual else 0
    lines = _upright([line for line in sheet.lines if _is_visible(line, sheet)], turns)
    rulings = [turned(ruling, turns) for ruling in sheet.rulings]
    items = _with_tables(lines, ruled(lines, rulings))
    margin = [item for item in items if isinstance(item, Line) and item.turns]
    upright = [item for item in items if not (isinstance(item, Line) and item.turns)]
    by_place: list[list[Item]] = []
    for region in order.regions(upright):
        tables = aligned(region)
        by_place.append(_with_tables(region, tables))
        upright = _with_tables(upright, tables)
    return Page(
        number=sheet.number,
        frame=turned(sheet.frame, sheet.rotation),
        turns=(sheet.rotation - turns) % 4,
        items=_joined_parts([*margin, *order.better(upright, by_place)]),
        figures=[_shown(figure, sheet.rotation) for figure in sheet.figures],
        scanned=sheet.scanned,
    )


def _shown(figure: Figure, rotation: int) -> Figure:
    left, bottom, right, top = turned(
        (figure.left, figure.bottom, figure.right, figure.top), rotation
    )
    return Figure(figure.number, left, right, bottom, top)


def _is_visible(line: Line, sheet: Sheet) -> bool:
    """Whether some of a line is on the page: halves of a double page hold the text of both."""
    left, bottom, right, top = turned(
        (line.left, line.bottom, line.right, line.top), -line.turns % 4
    )
    frame = sheet.frame
    return left < frame[2] and right > frame[0] and bottom < frame[3] and top > frame[1]


def _upright(lines: Sequence[Line], turns: int) -> list[Line]:
    """Count turns from the direction of most lines, so that only stamps in the margin have any."""
    if turns == 0:
        return list(lines)
    upright = [replace(line, turns=(line.turns - turns) % 4) for line in lines]
    upwards = sum(above.bottom < below.bottom for above, below in pairwise(upright))
    if 2 * upwards > len(upright) - 1:  # PDFium sorts by place, and so turns the order as well
        upright.reverse()
    return upright


def _with_tables(
    items: Sequence[Item], tables: Sequence[tuple[Grid, Sequence[Line]]]
) -> list[Item]:
    """Put each table where the first of its lines stood."""
    grids: dict[int, Grid] = {id(line): grid for grid, lines in tables for line in lines}
    placed: set[int] = set()
    result: list[Item] = []
    for item in items:
        grid = grids.get(id(item))
        if grid is None:
            result.append(item)
        elif id(grid) not in placed:
            placed.add(id(grid))
            result.append(grid)
    return result


def _joined_parts(items: Iterable[Item]) -> list[Item]:
    """Put together what stands on one line and is no table after all."""
    joined: list[Item] = []
    for item in items:
        before = joined[-1] if joined else None
        if (
            not isinstance(item, Line)
            or not isinstance(before, Line)
            or not _continues_on_line(before, item)
        ):
            joined.append(item)
            continue
        gap = " " if item.left - before.right > 0.15 * before.size else ""
        longer = max(before, item, key=lambda part: len(part.text))
        joined[-1] = replace(
            longer,
            text=before.text + gap + item.text,
            left=before.left,
            right=item.right,
            hyphenated=item.hyphenated,
            bold=before.bold and item.bold,
            part=before.part,
        )
    return joined


def _continues_on_line(before: Line, line: Line) -> bool:
    if before.turns != line.turns or before.hyphenated:
        return False
    overlap = min(before.top, line.top) - max(before.bottom, line.bottom)
    if overlap < 0.4 * min(before.top - before.bottom, line.top - line.bottom):
        return False
    gap = line.left - before.right
    return gap >= -0.5 * before.size and (line.part or gap <= 2 * before.size)
