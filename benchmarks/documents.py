"""Documents that benchmarks make up: each of one page, with a word that no other has."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

WORDS = (
    "harbour canal freight tonnage pilot lock vessel schedule inspection permit invoice depot "
    "crane customs tariff berth cargo manifest engine survey route tide signal lantern"
)
WORDS_ON_A_PAGE = 380
WORDS_IN_A_LINE = 11


def write_page(folder: Path, generator: random.Random) -> Path:
    """Write a PDF of one page; its name without the suffix is a word that only it holds."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    mark = f"mark{uuid.uuid4().hex[:10]}"
    words = [*generator.choices(WORDS.split(), k=WORDS_ON_A_PAGE), mark]
    path = folder / f"{mark}.pdf"
    canvas = Canvas(str(path), pagesize=A4)
    text = canvas.beginText(60, 780)
    for start in range(0, len(words), WORDS_IN_A_LINE):
        text.textLine(" ".join(words[start : start + WORDS_IN_A_LINE]).capitalize() + ".")
    canvas.drawText(text)
    canvas.save()
    return path
