"""Text for pages that are pictures.

Belongs here: from a scanned page to its lines in points. Does not belong here: recognition
(``ocr``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING

from ingestion_pipeline.parsing.ocr import LONGEST_SIDE, OcrLine
from ingestion_pipeline.parsing.pdf.arrange import arrange
from ingestion_pipeline.parsing.pdf.page import Line, Page, Sheet, turned

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfDocument

Recognise = Callable[["Image"], Sequence[OcrLine]]
"""Reads the lines off the picture of a page, in reading order."""

_DOTS_PER_INCH = 200
_POINTS_PER_INCH = 72
_SIZE_STEP = 1.3
"""The height of a recognised line depends on its letters; sizes closer to the usual one are it."""


def recognised_page(document: PdfDocument, page: Page, recognise: Recognise) -> Page:
    """Return a scanned page with the text on it; unchanged if there is none."""
    picture, scale = _picture(document, page.number - 1)
    height = picture.height / scale
    lines = [_line(line, scale, height) for line in recognise(picture) if line.text.strip()]
    if not lines:
        return page
    frame = (0.0, 0.0, picture.width / scale, height)
    return arrange(Sheet(page.number, frame, lines=_in_few_sizes(lines)))


def _picture(document: PdfDocument, index: int) -> tuple[Image, float]:
    """Return a page as it is shown, and its pixels per point."""
    with closing(document[index]) as page:
        longest = max(page.get_size())
        scale = min(_DOTS_PER_INCH / _POINTS_PER_INCH, LONGEST_SIDE / max(longest, 1))
        bitmap = page.render(scale=scale)
        return bitmap.to_pil().convert("RGB"), scale


def _line(line: OcrLine, scale: float, height: float) -> Line:
    turns = -line.turns % 4
    left, bottom, right, top = turned(
        (
            line.left / scale,
            height - line.bottom / scale,
            line.right / scale,
            height - line.top / scale,
        ),
        turns,
    )
    return Line(line.text.strip(), left, right, bottom, top, size=top - bottom, turns=turns)


def _in_few_sizes(lines: Sequence[Line]) -> list[Line]:
    usual = max(median(line.size for line in lines), 1.0)
    return [
        Line(
            line.text,
            line.left,
            line.right,
            line.bottom,
            line.top,
            size=_rounded(line.size, usual),
            turns=line.turns,
        )
        for line in lines
    ]


def _rounded(size: float, usual: float) -> float:
    ratio = max(size, 1.0) / usual
    if 1 / _SIZE_STEP < ratio < _SIZE_STEP:
        return round(usual, 1)
    steps = round(math.log(ratio, _SIZE_STEP))
    return round(usual * _SIZE_STEP**steps, 1)
