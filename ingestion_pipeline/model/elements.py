"""What a parser gives: a document as a sequence of typed elements.

Belongs here: the neutral form between all parsers and all chunkers. Does not belong here: how a
format is read (``parsing``) or cut (``chunking``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from pydantic import Base64Bytes

SEPARATOR = "\n\n"
"""What stands between two elements in the text of a document."""


class ElementCategory(StrEnum):
    """The categories of the ``unstructured`` library that this project produces."""

    TITLE = "Title"
    NARRATIVE_TEXT = "NarrativeText"
    LIST_ITEM = "ListItem"
    TABLE = "Table"
    CODE_SNIPPET = "CodeSnippet"
    IMAGE = "Image"
    """What a picture says: text read off it, its caption or its description."""


Box = tuple[float, float, float, float]
"""Left, top, right, bottom of something on its page, as shares (0..1) of width and height."""


@dataclass(frozen=True, slots=True)
class Element:
    """One paragraph, heading, list item or table.

    ``text`` is never empty and holds no lone surrogates. ``level`` is 1..6 for a Title, else
    None. ``heading_path`` names the headings above the element, outermost first, without the
    element itself. ``page`` counts from 1 where the format has pages. ``html`` is the table as
    HTML; its ``text`` then holds one row a line, cells separated by " | ". ``picture`` is the id of
    the picture that the element shows; ``box`` where it stands on its (first) page.
    """

    category: ElementCategory
    text: str
    page: int | None = None
    level: int | None = None
    heading_path: tuple[str, ...] = ()
    html: str | None = None
    picture: str | None = None
    box: Box | None = None


@dataclass(frozen=True)
class Picture:
    """A picture in a document; ``picture_id`` is the SHA-256 of its bytes in hex."""

    picture_id: str
    media_type: str
    data: Base64Bytes


@dataclass(frozen=True)
class Attachment:
    """A file within a file: what is attached to a mail, a member of an archive.

    ``name`` is its path within, with '/' between folders; ``sha256`` and ``size`` are those of its
    bytes. ``data`` is there on the way from the parser to the object store only.
    """

    name: str
    sha256: str
    size: int
    data: Base64Bytes = b""


@dataclass(frozen=True)
class ParsedDocument:
    """A parsed document. ``pages`` is None where the format has none; ``title`` may be unknown.

    ``scanned_pages`` counts the pages that are pictures and could not be read: without text, a good
    part of them an image. ``recognised_pages`` counts those whose text was read off a picture
    (OCR). There may be no elements where there are scanned pages, pictures or attachments, else
    there is at least one. Attachments become documents of their own.
    """

    media_type: str
    elements: tuple[Element, ...]
    title: str | None = None
    pages: int | None = None
    warnings: tuple[str, ...] = field(default=())
    scanned_pages: int = 0
    recognised_pages: int = 0
    pictures: tuple[Picture, ...] = ()
    attachments: tuple[Attachment, ...] = ()

    @cached_property
    def text(self) -> str:
        """The canonical text; chunks say where in it they stand (offsets in characters)."""
        return SEPARATOR.join(element.text for element in self.elements)
