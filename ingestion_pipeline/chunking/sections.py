"""The strategies that cut between sections, pages or pictures.

Belongs here: which parts of a document belong together. Does not belong here: cutting what is too
long for one chunk (``packing``).

Where a section is cut depends on that section alone, so that an edit leaves the chunks of other
sections as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from ingestion_pipeline.chunking.layout import Layout, Placed, Section
from ingestion_pipeline.chunking.packing import Packer, Piece

_SMALL = 0.25
"""Share of the cap: sections below it are joined with the next."""
_TINY = 32
"""Tokens; smaller sections tell nothing by themselves."""


def general(packer: Packer) -> Iterator[Piece]:
    """Cut at headings; a small section takes in the next one under the same headings."""
    yield from _packed(general_sections(packer), packer)


def general_sections(packer: Packer) -> Iterator[Section]:
    """Yield the sections that the general strategy cuts."""
    return _joined(packer, int(packer.budget * _SMALL), _is_under)


def by_title(packer: Packer) -> Iterator[Piece]:
    """Cut at headings; only a tiny section takes in the next one under the very same headings."""
    yield from _packed(_joined(packer, _TINY, _is_beside), packer)


def by_section(packer: Packer) -> Iterator[Piece]:
    """Cut at every heading, however little stands under it."""
    yield from _packed(packer.layout.sections(), packer)


def by_hierarchy(packer: Packer, depth: int) -> Iterator[Piece]:
    """Cut at headings down to a depth; what deeper ones head stays with what is above it."""
    parts = packer.layout.parts
    opened = 0
    openings: list[int] = []
    for index, part in enumerate(parts):
        opens = part.is_title and len(part.element.heading_path) < depth
        if opens and not (index > 0 and parts[index - 1].is_title):
            opened = index
        openings.append(opened)
    yield from _packed(_runs(packer.layout, openings), packer)


def by_page(packer: Packer) -> Iterator[Piece]:
    """Cut between pages; a document without pages is cut like a general one."""
    pages = [part.element.page for part in packer.layout.parts]
    if any(page is not None for page in pages):
        yield from _packed(_runs(packer.layout, _filled(pages)), packer)
    else:
        yield from general(packer)


def _filled(pages: Sequence[int | None]) -> list[int | None]:
    """Return the pages; what has none is on that of what stands before."""
    filled: list[int | None] = []
    for page in pages:
        filled.append(page if page is not None or not filled else filled[-1])
    return filled


def by_picture(packer: Packer) -> Iterator[Piece]:
    """Give each picture its own chunk."""
    pictures = [part.element.picture for part in packer.layout.parts]
    yield from _packed(_runs(packer.layout, pictures), packer)


def one(packer: Packer) -> Iterator[Piece]:
    """Keep the document whole if it fits into one chunk."""
    yield from _packed(_runs(packer.layout, [None] * len(packer.layout.parts)), packer)


def tables_and_rest(layout: Layout, wanted: Callable[[Placed], bool]) -> Iterator[Placed | Section]:
    """Yield the wanted tables, and what stands around them, section by section.

    Headings right above a table are left out: they are in the heading path of its rows.
    """
    for section in layout.sections():
        opening = section.first
        for index in range(section.first, section.last + 1):
            if not (layout.parts[index].is_table and wanted(layout.parts[index])):
                continue
            if any(not part.is_title for part in layout.parts[opening:index]):
                yield Section(opening, index - 1, section.parent)
            yield layout.parts[index]
            opening = index + 1
        if opening <= section.last:
            yield Section(opening, section.last, section.parent)


def _joined(
    packer: Packer, smaller: int, related: Callable[[Section, Section], bool]
) -> Iterator[Section]:
    """Yield the sections; one of under ``smaller`` tokens takes in the next that is ``related``.

    They are joined only if both fit into one chunk.
    """
    layout, ruler = packer.layout, packer.ruler
    group: Section | None = None
    for section in layout.sections():
        if group is None:
            group = section
            continue
        both = Section(group.first, section.last, group.parent)
        start, end = layout.span(both.first, both.last)
        if (
            ruler.tokens(*layout.span(group.first, group.last)) < smaller
            and related(group, section)
            and layout.follows(section.first)
            and ruler.tokens(start, end) <= packer.room(start)
        ):
            group = both
        else:
            yield group
            group = section
    if group is not None:
        yield group


def _is_under(group: Section, section: Section) -> bool:
    return section.parent[: len(group.parent)] == group.parent


def _is_beside(group: Section, section: Section) -> bool:
    return section.parent == group.parent


def _runs(layout: Layout, keys: Sequence[object]) -> Iterator[Section]:
    """Yield the stretches of parts that follow each other and have the same key."""
    opening = [
        index
        for index, key in enumerate(keys)
        if not layout.follows(index) or key != keys[index - 1]
    ]
    for first, following in pairwise((*opening, len(keys))):
        yield Section(first, following - 1, layout.parts[first].element.heading_path)


def _packed(sections: Iterator[Section], packer: Packer) -> Iterator[Piece]:
    for section in sections:
        yield from packer.pieces(*packer.layout.span(section.first, section.last))
