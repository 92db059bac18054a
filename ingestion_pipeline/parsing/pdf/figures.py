"""Pictures on the pages of a PDF: which paragraph is the caption of which, and their bytes.

Belongs here: where a picture belongs, and reading it. Does not belong here: which are kept
(``pictures``).
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestion_pipeline.model.elements import Box
from ingestion_pipeline.parsing.pdf.drawings import images
from ingestion_pipeline.parsing.pictures import MOST_PICTURES

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfDocument, PdfImage, PdfPage

    from ingestion_pipeline.parsing.pdf.page import Figure

_CAPTION = re.compile(
    r"(?:figure|fig\.?|picture|photo|plate|abbildung|abb\.?|図|图|圖)\s*\d", re.IGNORECASE
)
_FARTHEST_CAPTION = 0.06
"""Of the page's height, from a picture to its caption."""
_MOST_READ = 2 * MOST_PICTURES
"""Some will be the same again."""
_MOST_PIXELS = 200_000_000
"""Of all pictures of a document; a million take about 20 ms."""
_COMPRESSION = 1
"""Of PNG: two thirds of the time of the usual level, files a fifth larger."""
_FILTERS_OF_FILES = (["DCTDecode"], ["JPXDecode"])
"""What PDF calls the content of a JPEG file and of a JPEG 2000 file."""


@dataclass(frozen=True)
class Place:
    """Where a picture belongs: the paragraph with this index, which may be its caption."""

    paragraph: int
    is_caption: bool


def is_caption(text: str) -> bool:
    """Whether a paragraph looks like the caption of a figure."""
    return _CAPTION.match(text) is not None


def places(pictures: Sequence[Box], paragraphs: Sequence[tuple[Box, str]]) -> list[Place | None]:
    """Return where each of the pictures of a page belongs.

    A caption stands closely above or below its picture and has but one. A picture without one
    belongs to the paragraph that is nearest. Without paragraphs it belongs nowhere.
    """
    captions = [number for number, (_, text) in enumerate(paragraphs) if is_caption(text)]
    found: list[Place | None] = []
    for picture in pictures:
        near = [
            (distance, number)
            for number in captions
            if (distance := _distance(picture, paragraphs[number][0])) <= _FARTHEST_CAPTION
            and _share_columns(picture, paragraphs[number][0])
        ]
        if near:
            _, caption = min(near)
            captions.remove(caption)
            found.append(Place(caption, is_caption=True))
            continue
        all_of_them = [
            (_distance(picture, box), number) for number, (box, _) in enumerate(paragraphs)
        ]
        found.append(Place(min(all_of_them)[1], is_caption=False) if all_of_them else None)
    return found


class PictureReader:
    """Reads pictures of one document, until they are many or large enough to take too long."""

    def __init__(self, document: PdfDocument) -> None:
        self._document = document
        self._page: PdfPage | None = None
        self._page_number = 0
        self._images: list[PdfImage] = []
        self._pixels = 0
        self._read = 0

    def __call__(self, page_number: int, figure: Figure) -> bytes | None:
        """Return the file of a picture, JPEG as it is and anything else as PNG, None if neither.

        Args:
            page_number: Counted from 1; asking for a page after the other is fastest.
            figure: A picture on that page.
        """
        import pypdfium2

        try:
            if page_number != self._page_number:
                self._turn_to(page_number)
            return self._file(self._images[figure.number])
        except (pypdfium2.PdfiumError, OSError, ValueError, IndexError, NotImplementedError):
            return None

    def close(self) -> None:
        """Close the page that is open."""
        if self._page is not None:
            self._page.close()
            self._page = None

    def _turn_to(self, page_number: int) -> None:
        import pypdfium2

        self.close()
        self._images = []
        self._page_number = page_number
        self._page = page = self._document[page_number - 1]
        self._images += [pypdfium2.PdfImage(handle, page) for handle in images(page)]

    def _file(self, image: PdfImage) -> bytes | None:
        width, height = image.get_px_size()
        if self._read == _MOST_READ or self._pixels + width * height > _MOST_PIXELS:
            return None
        self._read += 1
        self._pixels += width * height
        if image.get_filters(skip_simple=True) in _FILTERS_OF_FILES:
            return bytes(image.get_data(decode_simple=True))
        file = io.BytesIO()
        _smallest(image.get_bitmap().to_pil()).save(file, "PNG", compress_level=_COMPRESSION)
        return file.getvalue()


def _smallest(picture: Image) -> Image:
    """Return a picture of black and white with a bit for each pixel: much less to compress."""
    from PIL import ImageChops
    from PIL.Image import Dither

    if picture.mode == "L":
        bits = picture.convert("1", dither=Dither.NONE)
        if ImageChops.difference(bits.convert("L"), picture).getbbox() is None:
            return bits
    return picture


def _distance(one: Box, other: Box) -> float:
    """Return how far two boxes are apart in height."""
    return max(one[1] - other[3], other[1] - one[3], 0.0)


def _share_columns(one: Box, other: Box) -> bool:
    return min(one[2], other[2]) > max(one[0], other[0])
