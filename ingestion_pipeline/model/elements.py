"""What a parser gives: a document as a sequence of typed elements.

Belongs here: the neutral form between all parsers and all chunkers. Does not belong here: how a
format is read (``parsing``) or cut (``chunking``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

SEPARATOR = "\n\n"
"""What stands between two elements in the text of a document."""


class ElementCategory(StrEnum):
    """The categories of the ``unstructured`` library that this project produces."""

    TITLE = "Title"
    NARRATIVE_TEXT = "NarrativeText"
    LIST_ITEM = "ListItem"
    TABLE = "Table"
    CODE_SNIPPET = "CodeSnippet"


@dataclass(frozen=True)
class Element:
    """One paragraph, heading, list item or table.

    ``text`` is never empty and holds no lone surrogates. ``level`` is 1..6 for a Title, else
    None. ``heading_path`` names the headings above the element, outermost first, without the
    element itself. ``page`` counts from 1 where the format has pages. ``html`` is the table as
    HTML; its ``text`` then holds one row a line, cells separated by " | ".
    """

    category: ElementCategory
    text: str
    page: int | None = None
    level: int | None = None
    heading_path: tuple[str, ...] = ()
    html: str | None = None


@dataclass(frozen=True)
class ParsedDocument:
    """A parsed document. ``pages`` is None where the format has none; ``title`` may be unknown.

    ``scanned_pages`` counts the pages that are pictures: without text, a good part of them an
    image. There may be no elements where there are such pages, else there is at least one.
    """

    media_type: str
    elements: tuple[Element, ...]
    title: str | None = None
    pages: int | None = None
    warnings: tuple[str, ...] = field(default=())
    scanned_pages: int = 0

    @cached_property
    def text(self) -> str:
        """The canonical text, of which every chunk is a slice (offsets in characters)."""
        return SEPARATOR.join(element.text for element in self.elements)
