"""Making headings of what stands in the text: parts, their lines, their outline.

Belongs here: dividing parts and keeping levels and paths right. Does not belong here: telling what
is a heading (``structure``, ``bullets``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingestion_pipeline.chunking.layout import Placed
from ingestion_pipeline.model.elements import ElementCategory

Parts = list[Placed]

PROSE = frozenset({ElementCategory.NARRATIVE_TEXT, ElementCategory.LIST_ITEM})
"""What headings may hide in."""
LINE = re.compile(r"\S[^\n]*")
_DEEPEST_LEVEL = 6


@dataclass(frozen=True)
class Heading:
    """A heading that a line begins with: its first ``length`` characters.

    ``rank`` orders headings of one document, 0 for the highest.
    """

    rank: int
    length: int


Finder = Callable[[str], Heading | None]
"""Finds a heading at the beginning of a line."""


def lines_of(parts: Parts) -> Iterator[str]:
    """Yield the lines of prose."""
    for part in parts:
        if part.element.category in PROSE:
            yield from LINE.findall(part.element.text)


def with_headings(parts: Parts, find: Finder, *, most: int | None = None) -> Parts:
    """Make headings of what ``find`` finds at the beginning of lines, at most ``most`` of them.

    They stand below the headings above the first of them.
    """
    ranked: list[tuple[Placed, int | None]] = []
    count = 0
    for part in parts:
        if part.is_title:
            heading = find(part.element.text)
            ranked.append((part, heading.rank if heading else None))
            count += heading is not None
            continue
        done = 0
        for line in _prose_lines(part):
            heading = find(line[0].rstrip()) if most is None or count < most else None
            if heading is None:
                continue
            count += 1
            ranked += [(piece, None) for piece in _rest(part, done, line.start())]
            done = line.start() + heading.length
            ranked.append((slice_of(part, line.start(), done), heading.rank))
        ranked += [(piece, None) for piece in _rest(part, done, len(part.element.text))]
    return _outlined(ranked) if count else parts


def _prose_lines(part: Placed) -> Iterator[re.Match[str]]:
    return LINE.finditer(part.element.text) if part.element.category in PROSE else iter(())


def _rest(part: Placed, start: int, end: int) -> Iterator[Placed]:
    if start == 0 and end == len(part.element.text):
        yield part
        return
    text = part.element.text[start:end]
    if text.strip():
        yield slice_of(part, end - len(text.lstrip()), start + len(text.rstrip()))


def slice_of(part: Placed, start: int, end: int) -> Placed:
    """Return what stands at ``start..end`` of a part, counted from its beginning."""
    return Placed(replace(part.element, text=part.element.text[start:end]), part.start + start)


def _outlined(ranked: Sequence[tuple[Placed, int | None]]) -> Parts:
    """Give headings with a rank a level, and every part the path of the headings above it."""
    ranks = sorted({rank for _, rank in ranked if rank is not None})
    first = next(i for i, (_, rank) in enumerate(ranked) if rank is not None)
    above = [part.element.level or 1 for part, _ in ranked[:first] if part.is_title]
    base = above[-1] if above else 0
    headings: list[tuple[int, str]] = []
    outlined: Parts = []
    for part, rank in ranked:
        level = part.element.level
        if rank is not None:
            level = min(base + 1 + ranks.index(rank), _DEEPEST_LEVEL)
        while level is not None and headings and headings[-1][0] >= level:
            headings.pop()
        path = tuple(text for _, text in headings)
        element = replace(part.element, heading_path=path)
        if level is not None:
            element = replace(element, category=ElementCategory.TITLE, level=level)
            headings.append((level, element.text))
        outlined.append(Placed(element, part.start))
    return outlined
