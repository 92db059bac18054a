"""What PDFium says about the drawings on a page: straight lines and pictures.

Belongs here: calls of PDFium. Does not belong here: text (``extract``), what rulings mean
(``ruled``), the bytes of pictures (``figures``).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.parsing.pdf.page import Figure, Rectangle
from ingestion_pipeline.parsing.pictures import SHORTEST_SIDE

if TYPE_CHECKING:
    from pypdfium2 import PdfMatrix, PdfPage

_THICKEST_RULING = 3.0
_SHORTEST_RULING = 4.0
_MOST_PATHS = 4_000
_MOST_SEGMENTS = 400
"""A page or a path with more of them is a drawing, and no table."""
_MOST_RULINGS = 4_000
_MOST_FIGURES = 50
_SMALLEST_FIGURE = 36
"""Points of its shorter side on the page."""
_DEEPEST_FORM = 15

_Handle = Any
"""PDFium's pointer to an object; objects of Python around each of them cost more than the rest."""


@dataclass(frozen=True, slots=True)
class Drawings:
    """Straight lines and sides of rectangles, pictures, and the places of all images in points."""

    rulings: list[Rectangle] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    images: list[Rectangle] = field(default_factory=list)


def read_drawings(page: PdfPage) -> Drawings:
    """Return what is drawn on a page, in points of the page.

    Raises:
        PdfiumError: An object cannot be read.
    """
    import pypdfium2.raw as pdfium

    drawings = Drawings()
    paths = 0
    for part, kind, around in _objects(page):
        if kind == pdfium.FPDF_PAGEOBJ_PATH:
            paths += 1
            if paths <= _MOST_PATHS and len(drawings.rulings) < _MOST_RULINGS:
                drawings.rulings.extend(_rulings(part, around))
        elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            box = _box(part, around)
            if len(drawings.figures) < _MOST_FIGURES and _shows_something(part, box):
                left, bottom, right, top = box
                number = len(drawings.images)
                drawings.figures.append(Figure(number, left, right, bottom, top))
            drawings.images.append(box)
    return drawings


def images(page: PdfPage) -> list[_Handle]:
    """Return the images of a page; a ``Figure`` has its number in this list."""
    import pypdfium2.raw as pdfium

    return [part for part, kind, _ in _objects(page) if kind == pdfium.FPDF_PAGEOBJ_IMAGE]


def _objects(page: PdfPage) -> Iterator[tuple[_Handle, int, PdfMatrix | None]]:
    """Yield each object that is no form, its kind, and what the forms around it do to places."""
    import pypdfium2.raw as pdfium

    raw = page.raw
    for number in range(pdfium.FPDFPage_CountObjects(raw)):
        yield from _parts(pdfium.FPDFPage_GetObject(raw, number), None, 1)


def _parts(
    part: _Handle, around: PdfMatrix | None, depth: int
) -> Iterator[tuple[_Handle, int, PdfMatrix | None]]:
    import pypdfium2.raw as pdfium

    kind = pdfium.FPDFPageObj_GetType(part)
    if kind != pdfium.FPDF_PAGEOBJ_FORM:
        yield part, kind, around
    elif depth < _DEEPEST_FORM:
        matrix = _matrix(part, around)
        for number in range(pdfium.FPDFFormObj_CountObjects(part)):
            yield from _parts(pdfium.FPDFFormObj_GetObject(part, number), matrix, depth + 1)


def _rulings(path: _Handle, around: PdfMatrix | None) -> Iterator[Rectangle]:
    left, bottom, right, top = _box(path, around)
    if max(right - left, top - bottom) < _SHORTEST_RULING:
        return
    thin = min(right - left, top - bottom) <= _THICKEST_RULING
    for side in [(left, bottom, right, top)] if thin else _sides(path, around):
        if max(side[2] - side[0], side[3] - side[1]) >= _SHORTEST_RULING:
            yield side


def _shows_something(image: _Handle, box: Rectangle) -> bool:
    import pypdfium2.raw as pdfium

    left, bottom, right, top = box
    if min(right - left, top - bottom) < _SMALLEST_FIGURE:
        return False
    width, height = ctypes.c_uint(), ctypes.c_uint()
    pdfium.FPDFImageObj_GetImagePixelSize(image, width, height)
    return min(width.value, height.value) >= SHORTEST_SIDE


def _sides(path: _Handle, around: PdfMatrix | None) -> Iterator[Rectangle]:
    """Yield the parts of a path that run along the page's axes."""
    import pypdfium2.raw as pdfium

    segments = pdfium.FPDFPath_CountSegments(path)
    if not 0 < segments <= _MOST_SEGMENTS:
        return
    matrix = _matrix(path, around)
    x, y = ctypes.c_float(), ctypes.c_float()
    start = before = (0.0, 0.0)
    for number in range(segments):
        segment = pdfium.FPDFPath_GetPathSegment(path, number)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        point = matrix.on_point(x.value, y.value)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            start = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            yield from _side(before, point)
        if pdfium.FPDFPathSegment_GetClose(segment):
            yield from _side(point, start)
        before = point


def _side(begin: tuple[float, float], end: tuple[float, float]) -> Iterator[Rectangle]:
    left, right = sorted((begin[0], end[0]))
    bottom, top = sorted((begin[1], end[1]))
    if min(right - left, top - bottom) <= 1:
        yield left, bottom, right, top


def _box(part: _Handle, around: PdfMatrix | None) -> Rectangle:
    """Return the place of an object; PDFium gives it in the space of the form around it."""
    import pypdfium2
    import pypdfium2.raw as pdfium

    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not pdfium.FPDFPageObj_GetBounds(part, left, bottom, right, top):
        raise pypdfium2.PdfiumError("an object has no place")
    box = left.value, bottom.value, right.value, top.value
    if around is None:
        return box
    placed: Rectangle = around.on_rect(*box)
    return placed


def _matrix(part: _Handle, around: PdfMatrix | None) -> PdfMatrix:
    import pypdfium2
    import pypdfium2.raw as pdfium

    raw = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(part, raw):
        raise pypdfium2.PdfiumError("an object has no matrix")
    matrix = pypdfium2.PdfMatrix.from_raw(raw)
    return matrix if around is None else matrix.multiply(around)
