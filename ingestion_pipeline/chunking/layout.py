"""The shape of a document: its elements' places in the text, its sections, its natural borders.

Belongs here: what the elements say about where text hangs together. Does not belong here: sizes
in tokens; finding headings that the parser did not (``structure``).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate, pairwise

from ingestion_pipeline.chunking.sentences import sentence_starts
from ingestion_pipeline.chunking.tables import header
from ingestion_pipeline.model.elements import SEPARATOR, Element, ElementCategory, ParsedDocument

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_LINE = re.compile(r"\n\s*")
_LINE_WISE = frozenset({ElementCategory.TABLE, ElementCategory.CODE_SNIPPET})

Span = tuple[int, int]
"""Two offsets in a document's text, the second one behind the last character."""


class Border(IntEnum):
    """How good a place to cut is; the lower the better."""

    PARAGRAPH = 0
    SENTENCE = 1
    """Also the end of a table's row and of a line of code."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An element, or a part of one, and where it begins in the document's text.

    ``document.text[start:end] == element.text``.
    """

    element: Element
    start: int

    @property
    def end(self) -> int:
        """The offset behind its last character."""
        return self.start + len(self.element.text)

    @property
    def is_title(self) -> bool:
        """Whether it is a heading."""
        return self.element.category is ElementCategory.TITLE

    @property
    def is_table(self) -> bool:
        """Whether it is a table."""
        return self.element.category is ElementCategory.TABLE


def placed(document: ParsedDocument) -> list[Placed]:
    """Return the elements of a document with their places."""
    lengths = (len(element.text) + len(SEPARATOR) for element in document.elements)
    return list(map(Placed, document.elements, accumulate(lengths, initial=0)))


@dataclass(frozen=True, slots=True)
class Section:
    """Consecutive parts ``first..last``: headings, if any, and the text under the last one."""

    first: int
    last: int
    parent: tuple[str, ...]
    """The headings above the section's first part."""


class Layout:
    """Where the parts of a document lie in its text; text in between belongs to none of them."""

    def __init__(self, text: str, parts: Sequence[Placed]) -> None:
        self.text = text
        self.parts = parts
        self._starts = [part.start for part in parts]

    def span(self, first: int, last: int) -> Span:
        """Return the offsets of the parts ``first..last``, the last one included."""
        return self.parts[first].start, self.parts[last].end

    def index(self, offset: int) -> int:
        """Return which part an offset lies in or behind."""
        return bisect_right(self._starts, offset) - 1

    def touched(self, start: int, end: int) -> Sequence[Placed]:
        """Return the parts of which ``text[start:end]`` holds something."""
        return self.parts[self.index(start) : bisect_left(self._starts, end)]

    def follows(self, index: int) -> bool:
        """Whether a part follows the one before it without other text in between."""
        if index == 0:
            return False
        between = self.text[self.parts[index - 1].end : self.parts[index].start]
        return between == SEPARATOR or not between.strip()

    def sections(self) -> Iterator[Section]:
        """Yield the sections in order; headings that follow each other open one section together.

        A heading therefore always stays with the text that follows it. Where that was left out,
        the heading is too, if it is in the path of what comes next.
        """
        opening = [
            index
            for index, part in enumerate(self.parts)
            if not self.follows(index) or (part.is_title and not self.parts[index - 1].is_title)
        ]
        for first, following in pairwise((*opening, len(self.parts))):
            last = self.parts[following - 1]
            if last.is_title and following < len(self.parts):
                path = (*last.element.heading_path, last.element.text)
                if self.parts[following].element.heading_path[: len(path)] == path:
                    continue
            yield Section(first, following - 1, self.parts[first].element.heading_path)

    def within_lines(self, offset: int) -> bool:
        """Whether an offset lies within a table or a piece of code, not at its beginning."""
        part = self.parts[self.index(offset)]
        return part.element.category in _LINE_WISE and offset > part.start

    def header(self, offset: int) -> Span | None:
        """Return where the header of the table is, among whose later rows an offset lies."""
        part = self.parts[self.index(offset)]
        if not part.is_table or offset == part.start:
            return None
        row = header(part.element)
        if row is None or offset < part.start + row.end:
            return None
        return part.start + row.start, part.start + row.end

    def borders(self, start: int, end: int) -> Iterator[tuple[int, Border]]:
        """Yield the offsets within ``start..end`` at which a paragraph or sentence begins.

        None is reported between a heading and its text.
        """
        for index in range(self.index(start), bisect_left(self._starts, end)):
            here = self._starts[index]
            follows_heading = index > 0 and self.parts[index - 1].is_title
            if here > start and (self.parts[index].is_title or not follows_heading):
                yield here, Border.PARAGRAPH
            yield from self._inner_borders(index)

    def _inner_borders(self, index: int) -> list[tuple[int, Border]]:
        start, end = self.span(index, index)
        if self.parts[index].element.category in _LINE_WISE:
            small = [match.end() for match in _LINE.finditer(self.text, start, end)]
        else:
            small = list(sentence_starts(self.text, start, end))
        borders = dict.fromkeys(small, Border.SENTENCE)
        for match in _BLANK_LINE.finditer(self.text, start, end):
            borders[match.end()] = Border.PARAGRAPH
        return sorted(borders.items())
