"""Numbered headings: the families of bullets that documents number their parts with.

Belongs here: telling which family a document uses and which level a line has in it. Does not
belong here: what becomes of a heading (``structure``).
"""

# ruff: noqa: RUF001 - full-width punctuation is meant

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LONGEST = 100
"""Characters of a heading; a longer line is text that begins with a number."""
_ENDS_SENTENCE = re.compile(r"[.。;；,，!！?？:：]\W*$")
_CHINESE = "零〇一二三四五六七八九十百千"
_EITHER = f"{_CHINESE}0-9０-９"
_NOT_CITED = r"(?!\s*(?:第|规定|所|的|之|至|和|或|及|与|、|，|,))"
"""What follows a number that a sentence refers to."""
_NOT_LOWER = r"\b(?!\.?\s+(?-i:[a-z]))"
"""A number that a sentence begins with goes on in small letters."""
_ROMAN = "[IVXLC]+"
_WORDS = "One|Two|Three|Four|Five|Six|Seven|Eight|Nine|Ten|Eleven|Twelve"
_TITLE = r"(?-i:(?=[.、．]?\s*[^\W\d_a-z]))"
"""What a heading goes on with: a letter, but no small one."""


@dataclass(frozen=True)
class Bullet:
    """The beginning of a line that numbers it; ``level`` counts from 1, the highest."""

    level: int
    length: int


@dataclass(frozen=True)
class Family:
    """Patterns for the beginning of a line, the highest level first."""

    name: str
    levels: tuple[re.Pattern[str], ...]

    def bullet(self, line: str) -> Bullet | None:
        """Return what a line is numbered with."""
        for level, pattern in enumerate(self.levels, start=1):
            match = pattern.match(line)
            if match:
                return Bullet(level, match.end())
        return None


def _family(name: str, *patterns: str) -> Family:
    return Family(name, tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns))


_PART = rf"第\s*[{_EITHER}]+\s*(?:分?编|部分|篇|卷){_NOT_CITED}"
_CHAPTER = rf"第\s*[{_EITHER}]+\s*章{_NOT_CITED}"
_SECTION = rf"第\s*[{_EITHER}]+\s*节{_NOT_CITED}"
_ARTICLE = rf"第\s*[{_EITHER}]+\s*条(?:之[{_CHINESE}]+)?{_NOT_CITED}"
_IN_BRACKETS = rf"[（(][{_CHINESE}]+[)）]"
_NUMBER = rf"(?:{_WORDS}|{_ROMAN}|\d{{1,3}}){_NOT_LOWER}"

FAMILIES = (
    _family("Chinese parts and articles", _PART, _CHAPTER, _SECTION, _ARTICLE, _IN_BRACKETS),
    _family(
        "Arabic numbers",
        rf"第\s*[0-9０-９]+\s*章{_NOT_CITED}",
        rf"第\s*[0-9０-９]+\s*节{_NOT_CITED}",
        rf"\d{{1,2}}(?:[.、．]|\s)(?!\d){_TITLE}",
        *(rf"\d{{1,2}}(?:\.\d{{1,2}}){{{more}}}(?![\d.]*\d){_TITLE}" for more in (1, 2, 3)),
    ),
    _family(
        "Chinese chapters and numerals",
        _CHAPTER,
        _SECTION,
        rf"[{_CHINESE}]+[\s、．.]",
        _IN_BRACKETS,
        r"[（(]\d{1,2}[)）]",
    ),
    _family(
        "English parts and articles",
        rf"Part {_NUMBER}",
        rf"Chapter {_NUMBER}",
        rf"Section (?:{_ROMAN}|\d+(?:\.\d+)*){_NOT_LOWER}",
        rf"Article (?:{_ROMAN}|\d+){_NOT_LOWER}",
    ),
    _family("Markdown", *(rf"#{{{level}}}(?!#)\s*\S" for level in range(1, 7))),
)

_LAW_TITLES = (rf"{_PART}|(?:Part|Title|Book) {_NUMBER}", rf"{_CHAPTER}|Chapter {_NUMBER}")
ARTICLES = _family(
    "Laws of articles",
    *_LAW_TITLES,
    rf"{_SECTION}|Section {_NUMBER}",
    rf"{_ARTICLE}|Art(?:icle|ikel|\.)\s*(?:\d+[a-z]?|{_ROMAN}){_NOT_LOWER}|"
    rf"§+\s*\d+[a-z]?{_NOT_LOWER}",
)
"""Articles or paragraphs, and the titles above them, in several languages."""
SECTIONS = _family(
    "Laws of sections", *_LAW_TITLES, rf"Sec(?:tion|\.)\s*\d+(?:\.\d+)*[a-z]?{_NOT_LOWER}"
)
"""Where sections are what articles are elsewhere."""


def family_of(lines: Iterable[str]) -> Family | None:
    """Return the family that numbers most of the lines, the first of several; None without two."""
    hits = [0] * len(FAMILIES)
    for line in lines:
        for index, family in enumerate(FAMILIES):
            hits[index] += family.bullet(line) is not None
    most = max(hits)
    return FAMILIES[hits.index(most)] if most > 1 else None


def looks_like_heading(line: str) -> bool:
    """Whether a line is short and no sentence."""
    return len(line) <= _LONGEST and not _ENDS_SENTENCE.search(line)
