"""A document's table of contents: its headings, and which chunks stand under each.

Belongs here: contents from headings that the parser found. Does not belong here: contents of
documents without any (``outline``).
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.elements import SEPARATOR, ElementCategory, ParsedDocument
from ingestion_pipeline.model.enrichment import TocEntry

MAX_ENTRIES = 512
"""The deepest levels are left out of longer contents (the seed's limit)."""
_MAX_TITLE = 200
"""Characters; what is longer is a paragraph in large print."""
DEEPEST = 6
"""The deepest level of a heading."""


def contents(parsed: ParsedDocument, chunks: Sequence[Chunk]) -> tuple[TocEntry, ...]:
    """Return the headings of a document in their order, each with the chunks of its section.

    A section reaches from its heading to the next one of any level. A chunk with text of several
    sections belongs to each.
    """
    headings = _kept(_headings(parsed))
    ends = [chunk.end for chunk in chunks]
    starts = [chunk.start for chunk in chunks]
    borders = [offset for offset, _, _ in headings] + [len(parsed.text)]
    return tuple(
        TocEntry(
            title,
            level,
            tuple(
                chunk.chunk_id
                for chunk in chunks[
                    bisect.bisect_right(ends, offset) : bisect.bisect_left(starts, border)
                ]
            ),
        )
        for (offset, level, title), border in zip(headings, borders[1:], strict=True)
    )


def _headings(parsed: ParsedDocument) -> list[tuple[int, int, str]]:
    """Return offset, level and text of each heading."""
    headings = []
    offset = 0
    for element in parsed.elements:
        title = " ".join(element.text.split())
        is_title = element.category is ElementCategory.TITLE and len(title) <= _MAX_TITLE
        if is_title and any(map(str.isalpha, title)):
            headings.append((offset, element.level or 1, title))
        offset += len(element.text) + len(SEPARATOR)
    return headings


def _kept(headings: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    for deepest in range(DEEPEST, 0, -1):
        kept = [heading for heading in headings if heading[1] <= deepest]
        if len(kept) <= MAX_ENTRIES:
            return kept
    return kept[:MAX_ENTRIES]
