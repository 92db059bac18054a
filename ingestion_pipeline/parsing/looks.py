"""Headings told by their looks, in documents that do not say which paragraphs are headings.

A line of its own in bold or large type is a heading, unless it is a sentence. Of two headings the
larger one stands above; of one size, the one whose kind of number ("Chapter 2", "A.", "1.1", none)
came first.

Belongs here: what is the same for every format. Does not belong here: how a format writes type,
and headings by their text alone (``chunking``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST = 120
"""Characters."""
_LARGE = 1.15
"""Times the size that most text has."""
_MOST = 0.5
"""Share of paragraphs; where more stand out, that means something else."""
_SENTENCE_END = (".", ";", ",", "!", "。", "；", "，", "！", "…")  # noqa: RUF001
_CHAPTER = re.compile(r"[^\W\d_]+ +(?:\d+|[IVXLC]+)\b|第 ?[\d一二三四五六七八九十百千零〇两]+ ?\w")  # noqa: RUF001
_DECIMAL = re.compile(r"(\d{1,3}(?:\.\d{1,3})*)(?:[.)、:]|\s)")
_LETTER = re.compile(r"\(?[A-Za-z一二三四五六七八九十]{1,5}[.)、）]\s*")  # noqa: RUF001


@dataclass(frozen=True)
class Look:
    """A paragraph as it is set: its text, whether all of it is bold, and its size in any unit."""

    text: str
    is_bold: bool
    size: float


def heading_levels(looks: Sequence[Look]) -> list[int | None]:
    """Return the level of each paragraph that looks like a heading, from 1; None for the others."""
    filled = [look for look in looks if look.text.strip()]
    sizes: Counter[float] = Counter()
    for look in filled:
        sizes[look.size] += len(look.text)
    usual = max(sizes, key=lambda size: sizes[size], default=0.0)
    found = [_stands_out(look, usual) for look in looks]
    if not 0 < sum(found) <= _MOST * len(filled):
        return [None] * len(looks)
    ranks = list(
        dict.fromkeys(_rank(look) for look, is_one in zip(looks, found, strict=True) if is_one)
    )
    ranks.sort(key=lambda rank: -rank[0])
    return [
        ranks.index(_rank(look)) + 1 if is_one else None
        for look, is_one in zip(looks, found, strict=True)
    ]


def _stands_out(look: Look, usual: float) -> bool:
    text = look.text.strip()
    if len(text) > _LONGEST or not any(map(str.isalpha, text)) or text.endswith(_SENTENCE_END):
        return False
    return look.is_bold or look.size > usual * _LARGE


def _rank(look: Look) -> tuple[float, str]:
    """Return the size of a heading, and what kind of number it has."""
    text = look.text.strip()
    if _CHAPTER.match(text):
        return look.size, text[0] if text[0] == "第" else "chapter"
    if number := _DECIMAL.match(text):
        return look.size, f"decimal {number[1].count('.')}"
    return look.size, "letter" if _LETTER.match(text) else ""
