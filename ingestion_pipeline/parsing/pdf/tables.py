"""What tables with and without rulings have in common.

Belongs here: text and header of a table found on a page. Does not belong here: finding one
(``ruled``, ``aligned``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ingestion_pipeline.parsing.pdf.page import Line

_NUMBER = re.compile(r"[^\w]*\d[\d.,:/ %\-\u2013]*[^\w]*|[-\u2013\u2014]|n/?a", re.IGNORECASE)


def is_number(text: str) -> bool:
    """Whether a cell holds a number, an amount or what stands for none."""
    return _NUMBER.fullmatch(text) is not None


def is_header(texts: Sequence[str]) -> bool:
    """Whether the first row of a table tells what stands below it: it has words and no number."""
    return any(texts) and not any(map(is_number, filter(None, texts)))


def cell_text(lines: Iterable[Line]) -> str:
    """Join the lines of a cell."""
    text = ""
    for line in lines:
        text += line.text if line.hyphenated else f"{line.text} "
    return text.strip()
