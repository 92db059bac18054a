"""Files that are pictures: scans, faxes, photographs, screenshots.

The text is read off them where text can be read (``ocr``); without, they have no elements and
count as scanned pages.

Belongs here: opening pictures that nobody vouches for, and making paragraphs of lines. Does not
belong here: reading lines (``ocr``), pictures within documents (``pictures``).
"""

from __future__ import annotations

import importlib.util
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.installed import reads_pictures
from ingestion_pipeline.model.elements import Box, ElementCategory, ParsedDocument
from ingestion_pipeline.parsing import ocr
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.ocr import OcrLine

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {
    FileType.PNG: "PNG",
    FileType.JPEG: "JPEG",
    FileType.TIFF: "TIFF",
    FileType.BMP: "BMP",
    FileType.GIF: "GIF",
    FileType.WEBP: "WEBP",
    FileType.AVIF: "AVIF",
    FileType.HEIC: "HEIF",
}
"""The formats, and what Pillow calls them."""
_SHOWN_EVERYWHERE = frozenset({FileType.PNG, FileType.JPEG, FileType.GIF, FileType.WEBP})
"""What browsers and models that describe pictures take as it is; others are converted."""
_JPEG_QUALITY = 85

_NEXT_PARAGRAPH = 1.35
"""Distance of two baselines over the usual one."""
_NEXT_BLOCK = 2.2
"""Distance of two baselines over the height of the line."""
_OTHER_TYPE = 1.5
"""Height of a line over that of its neighbour."""
_NEXT_CELL = 1.5
"""Gap in a line over its height."""
_BULLET = re.compile(r"(?:[•‣◦▪●○■□·*\u2013—-]|\(?\d{1,3}[.)])\s*\S")
_CJK = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
_HYPHENATED = re.compile(r"[^\W\d_]-$")


def parse_image(data: bytes, file_type: FileType) -> ParsedDocument:
    """Read a picture; only TIFF has pages, of an animation the first frame counts.

    Raises:
        PermanentError: ``too_large`` for more pixels than any scan has, ``dependency_missing``
            for HEIC without its package.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return _read(data, file_type)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise PermanentError(
                ErrorKind.TOO_LARGE,
                f"the picture has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller",
            ) from error


def _read(data: bytes, file_type: FileType) -> ParsedDocument:
    builder = DocumentBuilder()
    readable = reads_pictures()
    pages = recognised = 0
    for pages, page in enumerate(_pages(data, file_type), start=1):
        small = _reduced(page)
        shown = data if file_type in _SHOWN_EVERYWHERE else _converted(page, small)
        picture = builder.keep(shown)
        lines = ocr.read_picture(small) if readable else []
        recognised += bool(lines)
        for paragraph in _paragraphs(lines):
            builder.text(
                ElementCategory.NARRATIVE_TEXT,
                _text(paragraph),
                pages,
                box=_box(paragraph, small.size),
                picture=picture,
            )
    return builder.document(
        file_type,
        pages=pages,
        scanned_pages=0 if readable else pages,
        recognised_pages=recognised,
    )


def _pages(data: bytes, file_type: FileType) -> Iterator[Image]:
    """Yield the pages, upright; each is of use until the next."""
    from PIL import Image, ImageOps, ImageSequence

    if file_type is FileType.HEIC:
        _learn_heic()
    with Image.open(io.BytesIO(data), formats=[FORMATS[file_type]]) as image:
        image.draft("RGB", (ocr.LONGEST_SIDE, ocr.LONGEST_SIDE))
        frames = ImageSequence.Iterator(image) if file_type is FileType.TIFF else [image]
        for frame in frames:
            ImageOps.exif_transpose(frame, in_place=True)
            yield frame


def _reduced(page: Image) -> Image:
    """Return a page in a size that can be read, with few copies in full size on the way."""
    if max(page.size) <= ocr.LONGEST_SIDE:
        return page
    scale = ocr.LONGEST_SIDE / max(page.size)
    size = max(1, round(page.width * scale)), max(1, round(page.height * scale))
    if page.mode == "1":  # only with greys can letters be made smaller
        return page.convert("L").resize(size)
    return (page if page.mode in {"L", "RGB"} else ocr.on_white(page)).resize(size)


def _learn_heic() -> None:
    """Teach Pillow the format of phones; its packages hold libraries under the LGPL or GPL."""
    if not _has_heic():
        raise PermanentError(
            ErrorKind.DEPENDENCY_MISSING,
            "HEIC pictures cannot be read: install the package pi-heif, or save the picture as "
            "JPEG",
        )
    import pi_heif

    pi_heif.register_heif_opener()


def _has_heic() -> bool:
    return importlib.util.find_spec("pi_heif") is not None


def _converted(page: Image, small: Image) -> bytes:
    """Return a page in a format that is shown everywhere; in colour the small one will do."""
    file = io.BytesIO()
    if page.mode in {"1", "P"}:
        page.save(file, "PNG")
    else:
        ocr.on_white(small).save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


_Row = list[OcrLine]
"""What stands side by side: the parts of a line, cells of a table."""


def _paragraphs(lines: Sequence[OcrLine]) -> list[list[_Row]]:
    """Part lines in reading order where more than a line's space or other type is between them."""
    rows = _rows(lines)
    steps = [
        step for above, row in pairwise(rows) if (step := _baseline(row) - _baseline(above)) > 0
    ]
    usual = median(steps) if steps else 0.0
    paragraphs: list[list[_Row]] = []
    for row in rows:
        if paragraphs and not _starts_paragraph(paragraphs[-1][-1], row, usual):
            paragraphs[-1].append(row)
        else:
            paragraphs.append([row])
    return paragraphs


def _rows(lines: Sequence[OcrLine]) -> list[_Row]:
    rows: list[_Row] = []
    for line in lines:
        last = _upright(rows[-1][-1]) if rows else None
        this = _upright(line)
        beside = last is not None and this.left >= last.right - this.height
        if last is not None and beside and last.top < (this.top + this.bottom) / 2 < last.bottom:
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _upright(line: OcrLine) -> OcrLine:
    return ocr.turned(line, line.turns)


def _baseline(row: _Row) -> float:
    return _upright(row[0]).bottom


def _starts_paragraph(above: _Row, row: _Row, usual: float) -> bool:
    if above[0].turns != row[0].turns or _BULLET.match(row[0].text):
        return True
    step = _baseline(row) - _baseline(above)
    if step <= 0:  # the next column: its first line may go on where this one ended
        return not row[0].text[0].islower()
    heights = sorted((_upright(above[0]).height, _upright(row[0]).height))
    return (
        step > min(_NEXT_PARAGRAPH * usual, _NEXT_BLOCK * heights[0])
        or heights[1] > _OTHER_TYPE * heights[0]
    )


def _text(paragraph: Sequence[_Row]) -> str:
    """Join lines to running text; rows of several cells stay lines, as in tables."""
    text = _row_text(paragraph[0])
    for above, row in pairwise(paragraph):
        below = _row_text(row)
        if len(above) > 1 or len(row) > 1:
            text = f"{text}\n{below}"
        elif _HYPHENATED.search(text) and below[0].islower():
            text = text[:-1] + below
        elif _CJK.match(text[-1]) and _CJK.match(below):
            text += below
        else:
            text = f"{text} {below}"
    return text


def _row_text(row: _Row) -> str:
    text = row[0].text
    for before, line in pairwise(row):
        gap = _upright(line).left - _upright(before).right
        text += (" | " if gap > _NEXT_CELL * _upright(line).height else " ") + line.text
    return text


def _box(paragraph: Sequence[_Row], size: tuple[int, int]) -> Box:
    lines = [line for row in paragraph for line in row]
    width, height = size
    return (
        max(0.0, min(line.left for line in lines) / width),
        max(0.0, min(line.top for line in lines) / height),
        min(1.0, max(line.right for line in lines) / width),
        min(1.0, max(line.bottom for line in lines) / height),
    )
