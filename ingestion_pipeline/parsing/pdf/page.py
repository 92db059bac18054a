"""What a PDF page is made of, once its lines stand in reading order.

Belongs here: the data that pass between the steps of reading a PDF. Does not belong here: PDFium
(``extract``), and what lines mean (``tables``, ``order``, ``layout``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ingestion_pipeline.model.elements import Box
from ingestion_pipeline.parsing.tables import Cell

Rectangle = tuple[float, float, float, float]
"""Left, bottom, right, top in points, y upwards."""

_BOX_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; places and ``size`` in points, y upwards, as if it ran left to right.

    ``turns`` counts the quarter turns of its true direction. ``hyphenated`` says that its last
    word goes on in the next line and its hyphen was taken away, ``part`` that PDFium takes it for
    the rest of the line before.
    """

    text: str
    left: float
    right: float
    bottom: float
    top: float
    size: float
    bold: bool = False
    hyphenated: bool = False
    turns: int = 0
    part: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table found on a page, the size of its type in points.

    ``edges`` are where its columns begin, and where the last one ends.
    """

    rows: list[list[Cell]]
    left: float
    right: float
    bottom: float
    top: float
    edges: list[float]
    size: float


Item = Line | Grid


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture that is large enough to show something; ``number`` among those of its page."""

    number: int
    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page as PDFium gives it: lines in the order in which they are drawn, and what is ruled.

    ``frame``, ``rulings`` and ``figures`` are in points of the page, before ``rotation``, its
    quarter turns clockwise when it is shown. ``scanned`` says that there is no line and that a
    good part of the page is an image. A line may be cut into parts where white space or a ruling
    separates them.
    """

    number: int
    frame: Rectangle
    rotation: int = 0
    lines: list[Line] = field(default_factory=list)
    rulings: list[Rectangle] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    scanned: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page, counted from 1: lines and tables in reading order.

    ``turns`` are the quarter turns clockwise from the space of its items to that of ``frame`` and
    ``figures``, which is the page as it is shown. ``scanned`` as in ``Sheet``.
    """

    number: int
    frame: Rectangle
    turns: int = 0
    items: list[Item] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    scanned: bool = False

    @property
    def lines(self) -> list[Line]:
        """The lines that are in no table."""
        return [item for item in self.items if isinstance(item, Line)]

    def box(self, item: Item | Figure) -> Box:
        """Return where an item stands on the page as it is shown."""
        turns = 0 if isinstance(item, Figure) else self.turns
        if isinstance(item, Line):
            turns -= item.turns
        left, bottom, right, top = turned((item.left, item.bottom, item.right, item.top), turns % 4)
        frame_left, frame_bottom, frame_right, frame_top = self.frame
        width = frame_right - frame_left or 1.0
        height = frame_top - frame_bottom or 1.0
        return (
            _share((left - frame_left) / width),
            _share((frame_top - top) / height),
            _share((right - frame_left) / width),
            _share((frame_top - bottom) / height),
        )


@dataclass(frozen=True, slots=True)
class Bookmark:
    """An entry of the document's outline; ``level`` counts from 1."""

    title: str
    level: int
    page: int


def turned(rectangle: Rectangle, turns: int) -> Rectangle:
    """Return a rectangle after so many (0..3) quarter turns clockwise around the origin."""
    left, bottom, right, top = rectangle
    match turns:
        case 1:
            return bottom, -right, top, -left
        case 2:
            return -right, -top, -left, -bottom
        case 3:
            return -top, left, -bottom, right
    return rectangle


def united(boxes: list[Box]) -> Box:
    """Return the smallest box around all of these."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def overlap(first: Item, second: Item) -> float:
    """Return how much two items share of the height of the lower one, 0..1."""
    shared = min(first.top, second.top) - max(first.bottom, second.bottom)
    lower = min(first.top - first.bottom, second.top - second.bottom)
    return max(shared, 0.0) / lower if lower > 0 else 0.0


def _share(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), _BOX_DIGITS)
