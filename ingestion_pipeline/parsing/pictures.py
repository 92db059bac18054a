"""Pictures in documents: which are kept, and what their authors say about them.

Kept are pictures made of pixels that are large enough to show something. Nothing is fetched: a
picture is in the file or left out. Drawings (SVG, EMF, WMF) are left out.

Belongs here: what is the same for every format. Does not belong here: where a format has its
pictures, and files that are pictures (``image``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import warnings
from urllib.parse import unquote_to_bytes

from ingestion_pipeline.model.elements import Picture
from ingestion_pipeline.parsing.cleaning import one_line

SHORTEST_SIDE = 64
"""Pixels; smaller pictures are icons, bullets and rules."""
MOST_PICTURES = 200
MOST_BYTES = 64 * 1024**2
"""Of all pictures of a document together."""

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
_FILE_NAME = re.compile(
    r"[^\s/]{1,100}\.(?:png|jpe?g|jfif|gif|bmp|tiff?|webp|heic|emf|wmf|svg)", re.IGNORECASE
)
_GENERIC = re.compile(
    r"(?:picture|image|img|photo|figure|graphic|logo|icon|bild|grafik|imagen|图片|圖片|图像|画像)"
    r"[\s_-]*\d*",
    re.IGNORECASE,
)
_REMARKS = re.compile(
    r"\s*(?:Description automatically generated(?: with \w+ confidence)?"
    r"|AI-generated content may be incorrect\.?)\s*$"
)
"""What Word adds to the descriptions that it makes up."""


class Pictures:
    """The pictures of one document, each once."""

    def __init__(self) -> None:
        self._kept: dict[str, Picture] = {}
        self._bytes = 0
        self._left_out: set[str] = set()

    def add(self, data: bytes) -> str | None:
        """Keep a picture; returns its id, None for one that is none, too small or too much."""
        picture_id = hashlib.sha256(data).hexdigest()
        if picture_id in self._kept:
            return picture_id
        media_type = _media_type(data)
        if media_type is None:
            return None
        if len(self._kept) == MOST_PICTURES or self._bytes + len(data) > MOST_BYTES:
            self._left_out.add(picture_id)
            return None
        self._kept[picture_id] = Picture(picture_id, media_type, data)
        self._bytes += len(data)
        return picture_id

    @property
    def kept(self) -> tuple[Picture, ...]:
        """In the order they came."""
        return tuple(self._kept.values())

    @property
    def warnings(self) -> list[str]:
        """What to tell about pictures that were too much."""
        limits = f"{MOST_PICTURES} or {MOST_BYTES // 1024**2} MiB"
        left_out = f"pictures beyond {limits} were left out: {len(self._left_out)}"
        return [left_out] if self._left_out else []


def _media_type(data: bytes) -> str | None:
    """Return what kind of picture it is, None for one that is not worth keeping."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                large = min(image.size) >= SHORTEST_SIDE
                return image.get_format_mimetype() if large else None
        except (OSError, ValueError, Image.DecompressionBombError):
            return None


def caption(text: str) -> str:
    """Return what an author says about a picture, nothing where that is a name or a placeholder."""
    text = _REMARKS.sub("", one_line(text))
    named = _FILE_NAME.fullmatch(text) or _GENERIC.fullmatch(text)
    return "" if named or not any(map(str.isalnum, text)) else text


def data_uri(uri: str) -> bytes:
    """Return the bytes that a ``data:`` URI holds, nothing for any other."""
    head, _, content = uri.strip().partition(",")
    if not head.lower().startswith("data:image/"):
        return b""
    data = unquote_to_bytes(content)
    if not head.lower().endswith(";base64"):
        return data
    try:
        return base64.b64decode(data)
    except binascii.Error:
        return b""
