"""The shape of a document: its elements' places in the text, its sections, its natural borders.

Belongs here: what the parser's elements say about where text hangs together. Does not belong
here: sizes in tokens.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate, pairwise

from ingestion_pipeline.chunking.sentences import sentence_starts
from ingestion_pipeline.model.elements import SEPARATOR, Element, ElementCategory, ParsedDocument

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_LINE = re.compile(r"\n\s*")
_LINE_WISE = frozenset({ElementCategory.TABLE, ElementCategory.CODE_SNIPPET})


class Border(IntEnum):
    """How good a place to cut is; the lower the better."""

    PARAGRAPH = 0
    SENTENCE = 1
    """Also the end of a table's row and of a line of code."""


@dataclass(frozen=True)
class Section:
    """Consecutive elements ``first..last``: headings, if any, and the text under the last one."""

    first: int
    last: int
    parent: tuple[str, ...]
    """The headings above the section's first element."""


class Layout:
    """Where the elements of a document lie in its text."""

    def __init__(self, document: ParsedDocument) -> None:
        self.text = document.text
        self.elements = document.elements
        lengths = (len(element.text) + len(SEPARATOR) for element in self.elements)
        self._starts = list(accumulate(lengths, initial=0))[:-1]

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Return the offsets of elements ``first..last``, the last one included."""
        return self._starts[first], self._starts[last] + len(self.elements[last].text)

    def touched(self, start: int, end: int) -> tuple[Element, ...]:
        """Return the elements of which ``text[start:end]`` holds a part."""
        first = bisect_right(self._starts, start) - 1
        return self.elements[first : bisect_left(self._starts, end)]

    def sections(self) -> Iterator[Section]:
        """Yield the sections in order; headings that follow each other open one section together.

        A heading therefore always stays with the text that follows it.
        """
        opening = [
            index
            for index, (before, element) in enumerate(pairwise((None, *self.elements)))
            if index == 0 or (_is_title(element) and not _is_title(before))
        ]
        for first, following in pairwise((*opening, len(self.elements))):
            yield Section(first, following - 1, self.elements[first].heading_path)

    def borders(self, start: int, end: int) -> Iterator[tuple[int, Border]]:
        """Yield the offsets within ``start..end`` at which a paragraph or sentence begins.

        None is reported between a heading and its text.
        """
        first = bisect_right(self._starts, start) - 1
        last = bisect_left(self._starts, end)
        for index in range(first, last):
            here = self._starts[index]
            follows_heading = index > 0 and _is_title(self.elements[index - 1])
            if here > start and (_is_title(self.elements[index]) or not follows_heading):
                yield here, Border.PARAGRAPH
            yield from self._inner_borders(index)

    def _inner_borders(self, index: int) -> list[tuple[int, Border]]:
        start, end = self.span(index, index)
        if self.elements[index].category in _LINE_WISE:
            small = [match.end() for match in _LINE.finditer(self.text, start, end)]
        else:
            small = list(sentence_starts(self.text, start, end))
        borders = dict.fromkeys(small, Border.SENTENCE)
        for match in _BLANK_LINE.finditer(self.text, start, end):
            borders[match.end()] = Border.PARAGRAPH
        return sorted(borders.items())


def _is_title(element: Element | None) -> bool:
    return element is not None and element.category is ElementCategory.TITLE
