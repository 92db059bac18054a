"""Pictures drawn for tests."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

NOTICE = ("Travel needs approval", "before anybody books it.")

_STROKES = {
    "中": "0141 4143 4303 0301 2024",
    "日": "1030 3034 3414 1410 1232",
    "工": "0040 0444 2024",
    "口": "1131 3133 3313 1311",
    "田": "0040 4044 4404 0400 2024 0242",
    "山": "2024 0204 4244 0444",
    "上": "0444 2024 2242",
    "王": "0040 0242 0444 2024",
    "二": "1131 0444",
    "土": "0242 0444 2024",
}
"""Characters as lines from x, y to x, y on a grid of five by five, for there is no font of them."""


def page(lines: Sequence[str], size: int = 28, mode: str = "RGB") -> Image.Image:
    """Return lines of black text on white."""
    font = ImageFont.load_default(size)
    width = 80 + round(max(map(font.getlength, lines)))
    image = Image.new("RGB", (width, 60 + round(1.5 * size * len(lines))), "white")
    for number, line in enumerate(lines):
        at = (40, 30 + round(1.5 * size * number))
        ImageDraw.Draw(image).text(at, line, font=font, fill="black")
    return image.convert(mode)


def chinese(text: str, size: int = 60) -> Image.Image:
    """Return a line of Chinese."""
    image = Image.new("L", (80 + len(text) * size * 3 // 2, 3 * size), "white")
    draw = ImageDraw.Draw(image)
    for number, character in enumerate(text):
        left = 40 + number * size * 3 // 2
        for stroke in _STROKES[character].split():
            x1, y1, x2, y2 = (int(each) * size // 4 for each in stroke)
            draw.line((left + x1, size + y1, left + x2, size + y2), fill=0, width=5)
    return image


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chart(colour: str = "navy", size: tuple[int, int] = (120, 80)) -> bytes:
    """Return a picture without any text."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).pieslice((10, 10, size[0] - 10, size[1] - 10), 0, 250, fill=colour)
    return encoded(image)
