"""What PDFium says about a page: its lines of text, cut where its drawings or white space do.

Belongs here: calls of PDFium. Does not belong here: drawings (``drawings``), what lines mean.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from ingestion_pipeline.parsing.pdf.drawings import read_drawings
from ingestion_pipeline.parsing.pdf.page import Line, Rectangle, Sheet, turned

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfTextPage

_LINE = re.compile("[^\r\n\ufffe]+\ufffe?")
"""PDFium ends a line with a line break, or, where it takes a hyphen away, with U+FFFE."""
_WORD = re.compile(r"[^\s\ufffe]+")
_BOLD = re.compile(r"bold|black|heavy|demi|cmbx|sfbx|-medi", re.IGNORECASE)
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)
_FONT_NAME_BYTES = 128
_SCANNED_SHARE = 0.25
"""Share of a page without text that images cover if it is a scan: a receipt may be a small part of
its page, a logo or a rule is a smaller one."""
_WIDE_GAP = 1.0
"""Width of the white space, over the size, at which a line is cut into parts."""

_Word = tuple[int, int, float, float]
"""Where it starts and ends (excluded) in the text, and from where to where it reaches."""


def read_sheet(document: PdfDocument, index: int) -> Sheet:
    """Return what stands on one page.

    Raises:
        PdfiumError: The page cannot be read.
    """
    with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
        frame = page.get_cropbox()
        drawings = read_drawings(page)
        lines = list(_Reader(text_page, drawings.rulings).lines())
        return Sheet(
            number=index + 1,
            frame=frame,
            rotation=page.get_rotation() // 90 % 4,
            lines=lines,
            rulings=drawings.rulings,
            figures=drawings.figures,
            scanned=not lines and _share_of_images(drawings.images, frame) >= _SCANNED_SHARE,
        )


class _Reader:
    """Reads the lines of one page."""

    def __init__(self, text_page: PdfTextPage, rulings: list[Rectangle]) -> None:
        import pypdfium2.raw as pdfium

        self._page = text_page.raw
        self._text: str = text_page.get_text_range()
        self._one_to_one = text_page.count_chars() == len(self._text)
        self._rulings = rulings
        self._verticals: dict[int, list[Rectangle]] = {}
        self._pdfium = pdfium
        self._rectangle = pdfium.FS_RECTF()
        self._rectangle_reference = ctypes.byref(self._rectangle)
        self._font_name = ctypes.create_string_buffer(_FONT_NAME_BYTES)

    def lines(self) -> Iterator[Line]:
        """Yield the lines, or their parts, in the order in which PDFium reads them."""
        for match in _LINE.finditer(self._text):
            words = [word.span() for word in _WORD.finditer(self._text, *match.span())]
            if words:
                yield from self._parts(words, hyphenated=match[0].endswith("\ufffe"))

    def _parts(self, spans: list[tuple[int, int]], *, hyphenated: bool) -> Iterator[Line]:
        """Cut a line where white space is wide or a ruling stands in it."""
        first = self._index(spans[0][0])
        turns, scale = self._direction(first)
        size = self._size(first, scale)
        box = self._box(first, turns)
        middle = (box[1] + box[3]) / 2
        verticals = [
            ruling[0] for ruling in self._verticals_of(turns) if ruling[1] < middle < ruling[3]
        ]
        words = [
            (
                start,
                end,
                self._box(self._index(start), turns)[0],
                self._box(self._index(end - 1), turns)[2],
            )
            for start, end in spans
        ]
        if verticals:
            words = [half for word in words for half in self._halves(word, turns, verticals)]
        part = [words[0]]
        for word, following in pairwise(words):
            right, next_left = word[3], following[2]
            if next_left - right > _WIDE_GAP * size or (
                verticals
                and next_left > right
                and any(right - 1 <= ruling <= next_left + 1 for ruling in verticals)
            ):
                yield self._line(part, turns, part=part[0] is not words[0])
                part = []
            part.append(following)
        last = self._line(part, turns, part=part[0] is not words[0])
        yield replace(last, hyphenated=True) if hyphenated else last

    def _halves(self, word: _Word, turns: int, verticals: list[float]) -> Iterator[_Word]:
        """Cut a word where a ruling stands in it: cells may touch."""
        start, end, left, right = word
        inside = [ruling for ruling in verticals if left + 1 < ruling < right - 1]
        if inside:
            before = self._box(self._index(start), turns)
            for place in range(start + 1, end):
                after = self._box(self._index(place), turns)
                if any(
                    before[0] + 1 < ruling < after[2] - 1
                    and before[2] - 1 <= ruling <= after[0] + 1
                    for ruling in inside
                ):
                    yield start, place, left, before[2]
                    start, left = place, after[0]
                before = after
        yield start, end, left, right

    def _line(self, words: list[_Word], turns: int, *, part: bool) -> Line:
        """Return a line with its place and style, both in the direction in which it is written.

        Its size is that of a word in its middle: what stands first may be a bullet.
        """
        start, _, left, _ = words[0]
        _, end, _, right = words[-1]
        first, last = self._index(start), self._index(end - 1)
        middle = self._index(words[len(words) // 2][0])
        _, scale = self._direction(middle)
        _, bottom, _, top = self._box(first, turns)
        return Line(
            text=self._text[start:end].translate(_LIGATURES),
            left=left,
            right=max(left, right),
            bottom=bottom,
            top=top,
            size=self._size(middle, scale),
            bold=all(self._is_bold(index) for index in {first, middle, last}),
            turns=turns,
            part=part,
        )

    def _index(self, place: int) -> int:
        """Return PDFium's number of a character; some have none in the text, and so no place."""
        if self._one_to_one:
            return place
        index: int = self._pdfium.FPDFText_GetCharIndexFromTextIndex(self._page, place)
        return index

    def _direction(self, index: int) -> tuple[int, float]:
        """Return the quarter turns counter-clockwise of a character, and its scale."""
        matrix = self._pdfium.FS_MATRIX()
        self._pdfium.FPDFText_GetMatrix(self._page, index, matrix)
        scale = (matrix.c**2 + matrix.d**2) ** 0.5
        if abs(matrix.a) >= abs(matrix.b):
            return (0 if matrix.a >= 0 else 2), scale
        return (1 if matrix.b > 0 else 3), scale

    def _size(self, index: int, scale: float) -> float:
        size: float = round(self._pdfium.FPDFText_GetFontSize(self._page, index) * scale, 1)
        return size

    def _box(self, index: int, turns: int) -> Rectangle:
        """Return the place of a character as if its text ran from left to right."""
        box = self._rectangle
        self._pdfium.FPDFText_GetLooseCharBox(self._page, index, self._rectangle_reference)
        if turns == 0:
            return box.left, box.bottom, box.right, box.top
        return turned((box.left, box.bottom, box.right, box.top), turns)

    def _is_bold(self, index: int) -> bool:
        """Whether the font's name says so; the weight that PDFium reports is often wrong."""
        name = self._font_name
        length = self._pdfium.FPDFText_GetFontInfo(self._page, index, name, len(name), None)
        return length > 0 and _is_name_of_bold(name.value)

    def _verticals_of(self, turns: int) -> list[Rectangle]:
        if turns not in self._verticals:
            upright = (turned(ruling, turns) for ruling in self._rulings)
            self._verticals[turns] = [
                ruling for ruling in upright if ruling[3] - ruling[1] > ruling[2] - ruling[0]
            ]
        return self._verticals[turns]


def _share_of_images(images: Iterable[Rectangle], frame: Rectangle) -> float:
    """Return the share of a page that images cover; scanners cut pages into strips, so: summed."""
    left, bottom, right, top = frame
    covered = 0.0
    for box in images:
        width = min(box[2], right) - max(box[0], left)
        height = min(box[3], top) - max(box[1], bottom)
        covered += max(width, 0.0) * max(height, 0.0)
    area = (right - left) * (top - bottom)
    return covered / area if area else 0.0


@lru_cache(maxsize=1_000)
def _is_name_of_bold(name: bytes) -> bool:
    return _BOLD.search(name.decode("utf-8", errors="replace")) is not None
