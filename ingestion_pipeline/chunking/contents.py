"""Tables of contents, which say nothing that the headings do not.

Belongs here: telling them from text. Does not belong here: making one.
"""

# ruff: noqa: RUF001 - full-width punctuation is meant

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from ingestion_pipeline.chunking.bullets import looks_like_heading
from ingestion_pipeline.chunking.headings import LINE, Parts, slice_of
from ingestion_pipeline.chunking.layout import Placed

_CONTENTS = re.compile(
    r"(?:table of )?contents|目\s*[录錄次]|inhalt(?:sverzeichnis)?|table des matières|sommaire|"
    r"índice|차\s*례|목\s*차",
    re.IGNORECASE,
)
_PAGE = r"\s*(?:\d{1,4}(?:-\d{1,4})?|[ivxlc]{1,7})\s*$"
_LEADER = re.compile(rf"(?:[.…·_]{{3}}|…|(?:\. ){{3}}|\t| {{2}}|\|){_PAGE}", re.IGNORECASE)
_DOTTED = re.compile(rf"(?:[.…·_]{{3}}|…|(?:\. ){{3}}){_PAGE}", re.IGNORECASE)
_PAGE_AT_END = re.compile(rf"[\s.…·_|]{_PAGE}", re.IGNORECASE)
_LONGEST_ENTRY = 200
_FEWEST_DOTTED = 3


def without_contents(parts: Parts) -> Parts:
    """Leave out a table of contents.

    That is what stands under its heading, line by line, as long as the line ends with a page or is
    a heading that comes later; and elsewhere three or more lines on end with dots up to a page.
    """
    lines = [(part, line) for part in parts for line in LINE.finditer(part.element.text)]
    left_out = _listed(lines) | _dotted([line[0] for _, line in lines])
    if not left_out:
        return parts
    kept: Parts = []
    numbers = iter(range(len(lines)))
    for part in parts:
        own = list(LINE.finditer(part.element.text))
        stays = [next(numbers) not in left_out for _ in own]
        if all(stays):
            kept.append(part)
            continue
        for keep, run in groupby(zip(own, stays, strict=True), key=itemgetter(1)):
            if keep:
                found = [line for line, _ in run]
                kept.append(slice_of(part, found[0].start(), found[-1].end()))
    return kept


def _listed(lines: Sequence[tuple[Placed, re.Match[str]]]) -> set[int]:
    """Return the numbers of the lines under the heading of a table of contents, and its own."""
    later = Counter(_entry(line[0]) for _, line in lines)
    listed: set[int] = set()
    heading: int | None = None
    seen: set[str] = set()  # of this table; what it has already listed begins the text
    for number, (part, match) in enumerate(lines):
        line = match[0]
        later[_entry(line)] -= 1
        if _CONTENTS.fullmatch(line.strip(" :：")):
            heading, seen = number, set()
        elif heading is not None:
            entry = _entry(_PAGE_AT_END.sub("", line) if len(line) <= _LONGEST_ENTRY else line)
            again = entry not in seen and (later[_entry(line)] > 0 or later[entry] > 0)
            if _is_dotted(line) or (
                not part.is_title and (_is_paged(line) or (again and looks_like_heading(line)))
            ):
                listed |= {heading, number}
                seen.add(entry)
            else:
                heading = None
    return listed


def _dotted(lines: Sequence[str]) -> set[int]:
    """Return the numbers of lines that end with dots and a page, where there are several."""
    numbers: set[int] = set()
    dotted = [_is_dotted(line) for line in lines]
    for is_dotted, run in groupby(range(len(lines)), key=dotted.__getitem__):
        found = list(run)
        if is_dotted and len(found) >= _FEWEST_DOTTED:
            numbers.update(found)
    return numbers


def _is_paged(line: str) -> bool:
    return len(line) <= _LONGEST_ENTRY and _LEADER.search(line) is not None


def _is_dotted(line: str) -> bool:
    return len(line) <= _LONGEST_ENTRY and _DOTTED.search(line) is not None


def _entry(line: str) -> str:
    """Return what an entry and the heading it stands for have in common."""
    return "".join(line[:_LONGEST_ENTRY].rstrip(" .…·_|").casefold().split())
