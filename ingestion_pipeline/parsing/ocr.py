"""Text read off pictures: PP-OCR models that come inside the ``rapidocr`` package.

They know Chinese, Japanese and the languages of Latin script (not Korean, Greek and Cyrillic), in
any of the four directions a page can lie on a scanner. Nothing is fetched, and the models are
loaded when the first picture is read.

Belongs here: from pixels to lines of text in reading order. Does not belong here: files
(``image``), and what lines make (their callers).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.installed import reads_pictures
from ingestion_pipeline.parsing import pulse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from PIL.Image import Image
    from rapidocr import RapidOCR

LONGEST_SIDE = 2500
"""Pixels; larger pictures are made smaller before they are read."""
_SHORTEST_SIDE = 8
"""Pixels; nobody can read letters that small."""
_ENLARGED_SIDE = 736
"""Pixels of the shorter side that small pictures are enlarged to, as PP-OCR was trained for."""
_DETECTED_SIDE = 1280
"""Pixels of the longer side in which lines are looked for; they are read in full size. With 2000 it
takes three times as long and finds the same lines, down to type of 5 points on A4."""
_LEAST_CONFIDENCE = 0.6
_LEAST_SURE = 0.7
"""Confidence, by area of the lines. At 0.75 a worn page has five letters in six right, at 0.5 half
of them; Korean, which the models do not know, has 0.66."""
_THREADS = 2

_MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
_MOST_ASKED = 4
_ASKED_LENGTH = 12
"""Lines, and their width over height, that are asked whether they stand on their head."""
_CLEARLY = 1.1
"""Times as sure; some letters and many Chinese characters look the same from both sides."""
_LONGEST_LINE = 32
"""Width over height; from 45 on, what is read gets worse."""
_CJK = re.compile(r"[\u3000-\u9fff\uac00-\ud7a3\uff00-\uffef]")
_NO_MEMORY = re.compile(r"alloc|insufficient memory|out of memory", re.IGNORECASE)

_TALL = 1.5
"""Height over width of a line that runs down or up the page; PP-OCR's own."""
_FEWEST_IN_COLUMN = 3
_COLUMN_LINE = 8
"""Width over height of a line of running text; cells of tables are shorter."""
_MOST_ACROSS = 0.35
"""Largest share of lines that run across a gutter, such as titles above both columns."""


@dataclass(frozen=True, slots=True)
class OcrLine:
    """A line of text and where it stands, in pixels from the upper left corner.

    ``confidence`` is from 0.6 to 1. ``turns`` says how many quarter turns clockwise the text is
    from upright: 1 runs down the page, as on a page on its side or in Japanese columns.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float
    turns: int = 0

    @property
    def width(self) -> float:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """In pixels; the size of the type where the line runs from left to right."""
        return self.bottom - self.top


def read_picture(image: Image | NDArray[np.uint8]) -> list[OcrLine]:
    """Read a picture.

    Args:
        image: Of any mode, or red, green and blue in an array (H, W, 3).

    Returns:
        The lines in reading order: columns one after the other, Japanese columns from the right,
        and pages that lie on their side or head as if they stood upright.

    Raises:
        PermanentError: ``dependency_missing``.
        MemoryError: As it is.
    """
    if not reads_pictures():
        raise PermanentError(
            ErrorKind.DEPENDENCY_MISSING,
            "text in pictures cannot be read: install ingestion-pipeline[ocr]",
        )
    pixels, scale = _prepared(image)
    if min(pixels.shape[:2]) < _SHORTEST_SIDE:
        return []
    try:
        lines = _recognised(pixels)
    except Exception as error:
        # Native libraries have errors of their own for what Python calls MemoryError.
        if _NO_MEMORY.search(str(error)):
            raise MemoryError from error
        raise
    pulse.beat()
    return [_scaled(line, 1 / scale) for line in _in_reading_order(lines)]


def _prepared(image: Image | NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Return the pixels as blue, green, red in a size that can be read, and the change of scale."""
    import numpy as np
    from PIL import Image as Images

    picture = Images.fromarray(image) if isinstance(image, np.ndarray) else image
    if picture.mode != "RGB":
        picture = on_white(picture)
    longer, shorter = max(picture.size), min(picture.size)
    enlarged = min(_ENLARGED_SIDE / shorter, _DETECTED_SIDE / longer)
    scale = min(LONGEST_SIDE / longer, max(1.0, enlarged))
    if scale != 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Images.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1]), scale


def on_white(picture: Image) -> Image:
    """Return a copy of a picture in RGB; what is transparent becomes paper."""
    import numpy as np
    from PIL import Image as Images

    if picture.mode.startswith("I;16"):  # Pillow would make white of all but the darkest
        grey = np.asarray(picture) // 256
        return Images.fromarray(grey.astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    above = picture.convert("RGBA")
    paper = Images.new("RGBA", above.size, "white")
    return Images.alpha_composite(paper, above).convert("RGB")


def _recognised(pixels: NDArray[np.uint8]) -> list[OcrLine]:
    from rapidocr.main import RapidOCRError

    engine = _engine()
    changes: dict[str, dict[str, float]] = {}
    try:
        crops, detected = engine.detect_and_crop(pixels, changes)
    except RapidOCRError:  # it sees no text
        return []
    assert detected.boxes is not None  # noqa: S101
    margin = changes["padding_1"]["top"]
    boxes = [(*each.min(axis=0).tolist(), *each.max(axis=0).tolist()) for each in detected.boxes]
    turns = _turns(engine, crops, boxes)
    lines = []
    for crop, (left, top, right, bottom), turn in zip(crops, boxes, turns, strict=True):
        # What is tall was turned when it was cut out.
        text, score = _read(engine, crop[::-1, ::-1] if turn >= 2 else crop)
        lines.append(OcrLine(text, left, top - margin, right, bottom - margin, score, turn))
    return _trusted(lines)


def _trusted(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """Return the lines that are likely right: none of a page in a script that is not known."""
    areas = [line.width * line.height for line in lines]
    sure = sum(line.confidence * area for line, area in zip(lines, areas, strict=True))
    if sure < _LEAST_SURE * sum(areas):
        return []
    return [
        line
        for line in lines
        if line.confidence >= _LEAST_CONFIDENCE and any(map(str.isalnum, line.text))
    ]


def _read(engine: RapidOCR, crop: NDArray[np.uint8]) -> tuple[str, float]:
    """Return the text of a line and how sure it is; long lines are read in parts."""
    parts = _parts(crop)
    read = engine.recognize_txt(parts)
    assert read.txts is not None  # noqa: S101
    text = ""
    for part in filter(None, map(str.strip, read.txts)):
        joined = not text or _CJK.match(text[-1]) or _CJK.match(part)
        text += part if joined else f" {part}"
    return text, float(min(read.scores))


def _parts(crop: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Cut a line into parts that can be read, in the emptiest places near to equal lengths."""
    import numpy as np

    height, width = crop.shape[:2]
    count = -(-width // (_LONGEST_LINE * height))
    if count == 1:
        return [crop]
    # An empty column varies little from top to bottom; a space is several in a row.
    space = max(1, height // 4)
    ink = np.convolve(crop.std(axis=(0, 2)), np.ones(space), mode="same")
    cuts = [0]
    for number in range(1, count):
        start = number * width // count - 2 * height
        cuts.append(start + int(ink[start : start + 4 * height].argmin()))
    return [crop[:, left:right] for left, right in pairwise([*cuts, width])]


def _turns(
    engine: RapidOCR,
    crops: Sequence[NDArray[np.uint8]],
    boxes: Sequence[tuple[float, float, float, float]],
) -> list[int]:
    """Return how each line is turned.

    Whether it is tall says its shape. Whether it stands on its head say the longest of each shape
    for all: they are read both ways, and better the right way. PP-OCR's own model for that asks
    each line alone, and now and then takes one of small print for upside down.
    """
    turns = [int(bottom - top >= _TALL * (right - left)) for left, top, right, bottom in boxes]
    for shape in (0, 1):
        same = [crop for crop, turn in zip(crops, turns, strict=True) if turn == shape]
        longest = sorted(same, key=lambda crop: -crop.shape[1] / crop.shape[0])[:_MOST_ASKED]
        asked = [crop[:, : _ASKED_LENGTH * crop.shape[0]] for crop in longest]
        if asked:
            upright = engine.recognize_txt(asked)
            overturned = engine.recognize_txt([crop[::-1, ::-1] for crop in asked])
            if sum(overturned.scores) > _CLEARLY * sum(upright.scores):
                turns = [turn + 2 if turn == shape else turn for turn in turns]
    return turns


@cache
def _engine() -> RapidOCR:
    """Load the models; they stay loaded as long as the process lives."""
    import onnxruntime
    import rapidocr
    from omegaconf import flag_override

    onnxruntime.disable_telemetry_events()
    engine = rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Det.limit_type": "max",
            "Det.limit_side_len": _DETECTED_SIDE,
            # In a batch all lines are as wide as the widest: that costs memory and saves no time.
            "Rec.rec_batch_num": 1,
        }
    )
    # With sessions of our own it neither looks for its models nor downloads any.
    folder = Path(rapidocr.__file__).parent / "models"
    with flag_override(engine.cfg, "allow_objects", True):
        for stage, name in _MODELS.items():
            engine.cfg[stage].session = _session(folder / name)
    return engine


def _session(model: Path) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _THREADS
    options.inter_op_num_threads = 1
    # Threads that wait in a loop would take the cores from other parsers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Pictures differ in size: memory that is kept from one is of no use to the next.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model, sess_options=options, providers=["CPUExecutionProvider"]
    )


def _scaled(line: OcrLine, scale: float) -> OcrLine:
    return replace(
        line,
        left=line.left * scale,
        top=line.top * scale,
        right=line.right * scale,
        bottom=line.bottom * scale,
    )


def _in_reading_order(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """Order lines as on a page that stands upright: most of its text says how it lies."""
    letters = Counter[int]()
    for line in lines:
        letters[line.turns] += len(line.text)
    if not letters:
        return []
    turns = letters.most_common(1)[0][0]
    across = [line for line in lines if (line.turns - turns) % 2 and len(line.text) > 2]
    upright = [turned(replace(line, turns=turns), turns) for line in lines if line not in across]
    return [turned(line, -turns) for line in _columns(upright)] + across


def turned(line: OcrLine, turns: int) -> OcrLine:
    """Return where a line stands on its page turned counterclockwise by quarters.

    Of a page that is turned as a line is, the line stands upright. Places may be negative.
    """
    for _ in range(turns % 4):
        line = replace(line, left=line.top, top=-line.right, right=line.bottom, bottom=-line.left)
    return replace(line, turns=(line.turns - turns) % 4)


def _columns(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """Order lines column by column; what runs across columns parts what is above from below."""
    gutter = _gutter(lines)
    if gutter is None:
        return [line for row in _rows(lines) for line in row]
    ordered: list[OcrLine] = []
    side_by_side: list[OcrLine] = []
    for line in sorted(lines, key=_middle):
        if line.left < gutter < line.right:
            ordered += _sides(side_by_side, gutter)
            ordered.append(line)
            side_by_side = []
        else:
            side_by_side.append(line)
    return ordered + _sides(side_by_side, gutter)


def _sides(lines: Sequence[OcrLine], gutter: float) -> list[OcrLine]:
    left = [line for line in lines if line.right <= gutter]
    right = [line for line in lines if line.right > gutter]
    return _columns(left) + _columns(right)


def _gutter(lines: Sequence[OcrLine]) -> float | None:
    """Return where columns of running text part, None where there is one column, or a table."""
    best: tuple[int, float] | None = None
    for gutter in {line.right for line in lines}:
        left = [line for line in lines if line.right <= gutter]
        right = [line for line in lines if line.left >= gutter]
        across = len(lines) - len(left) - len(right)
        if across > _MOST_ACROSS * len(lines) or (best is not None and across >= best[0]):
            continue
        if _is_column(left, right) and _is_column(right, left):
            best = across, gutter
    return None if best is None else best[1]


def _is_column(lines: Sequence[OcrLine], others: Sequence[OcrLine]) -> bool:
    """Whether lines are running text, and most of them stand beside others."""
    texts = [line for line in lines if line.width >= _COLUMN_LINE * line.height]
    if not others or len(texts) < max(_FEWEST_IN_COLUMN, len(lines) / 2):
        return False
    top = min(line.top for line in others)
    bottom = max(line.bottom for line in others)
    return 2 * sum(top < _middle(line) < bottom for line in lines) > len(lines)


def _rows(lines: Sequence[OcrLine]) -> list[list[OcrLine]]:
    """Group lines that stand at one height, from left to right."""
    rows: list[list[OcrLine]] = []
    for line in sorted(lines, key=_middle):
        if rows and _is_beside(line, rows[-1][0]):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.left) for row in rows]


def _is_beside(line: OcrLine, first: OcrLine) -> bool:
    """Whether a line goes on where ``first`` ends; much larger type holds several lines."""
    return first.top < _middle(line) < first.bottom and first.height < 2 * line.height


def _middle(line: OcrLine) -> float:
    return (line.top + line.bottom) / 2
