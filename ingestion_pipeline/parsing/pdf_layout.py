"""From the lines of PDF pages to headings, paragraphs and list items.

A PDF says where glyphs are and nothing about structure. Headings stand out by size or weight
from the body, paragraphs are set apart by space, indent or a short last line, and what comes
back at the edge of page after page is a running header or footer.

Belongs here: pure decisions about lines. Does not belong here: PDFium (``pdf``).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ingestion_pipeline.model.elements import ElementCategory
from ingestion_pipeline.parsing.builder import DocumentBuilder

_EDGE_LINES = 2
"""How many lines at each edge of a page may be running headers or footers."""
_FEWEST_REPEATS = 3
_LARGER = 1.15
"""Size of a heading over that of the body."""
_MOST_IN_HEADINGS = 0.25
"""Largest share of a document's text in one style that can still be a heading's."""
_LONGEST_HEADING = 200
_LONGEST_BOLD_HEADING = 120
_MOST_HEADING_LINES = 4
_LONGEST_WORD = 50

_SYMBOLS = r"[•‣◦▪●○■□∙·*\u2013—-]"
_BULLET = re.compile(rf"(?:{_SYMBOLS}|\(?(?:\d{{1,3}}|[a-zA-Z]|[ivx]{{1,4}})[.)])\s+\S")
_SYMBOL_BULLET = re.compile(rf"{_SYMBOLS}\s")
_SENTENCE_END = re.compile(r"[.!?:;。\uff01\uff1f\uff1a][\"'”\u2019)\]]*$")
_NUMBER = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"(?<!\d)\d{1,5}(?!\d)")
_LETTERS = re.compile(r"[^\W\d_]{2}|[\u3040-\u9fff\uac00-\ud7a3]")
_LEADER = re.compile(r"\.{4,}\s*\w+$|(?:\. ){4,}\s*\w+$")
"""The end of a line in a table of contents, which fills its width and yet is a whole."""
_CJK = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; places and ``size`` in points, y upwards, as if it ran left to right.

    ``turns`` counts the quarter turns of its true direction. ``hyphenated`` says that its last
    word goes on in the next line and its hyphen was taken away.
    """

    text: str
    left: float
    right: float
    bottom: float
    top: float
    size: float
    bold: bool = False
    hyphenated: bool = False
    turns: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A page, counted from 1, and its lines in reading order.

    ``scanned`` says that there are none and that a good part of the page is an image.
    """

    number: int
    lines: list[Line]
    scanned: bool = False


@dataclass(frozen=True, slots=True)
class Bookmark:
    """An entry of the document's outline; ``level`` counts from 1."""

    title: str
    level: int
    page: int


@dataclass(frozen=True, slots=True)
class _Body:
    """The usual text of a document: its size, and the distance of its baselines over the size."""

    size: float
    bold: bool
    spacing: float

    def is_large(self, size: float) -> bool:
        """Whether text of this size stands out."""
        return size >= _LARGER * self.size

    def style(self, line: Line) -> _Style:
        """Return what tells headings of one level from others.

        Size to half a point; weight only where size says nothing, for large type mixes weights.
        """
        return round(line.size * 2) / 2, line.bold and not self.is_large(line.size)

    def stands_out(self, style: _Style) -> bool:
        """Whether a heading could look like this."""
        size, bold = style
        return self.is_large(size) or (bold and not self.bold and size >= 0.95 * self.size)


_Style = tuple[float, bool]
_RunningKey = tuple[int, str]


@dataclass(slots=True)
class _Paragraph:
    page: int
    lines: list[Line] = field(default_factory=list)

    @property
    def length(self) -> int:
        return sum(len(line.text) for line in self.lines)


def build(pages: Sequence[Page], bookmarks: Sequence[Bookmark]) -> DocumentBuilder:
    """Return the elements of a document."""
    pages = [replace(page, lines=_joined_fragments(_upright(page.lines))) for page in pages]
    body = _body(pages)
    pages = _without_running_lines(pages, body)
    paragraphs = [paragraph for page in pages for paragraph in _paragraphs(page, body)]
    levels = _heading_levels(paragraphs, bookmarks, body)
    words = _Words(paragraphs)
    builder = DocumentBuilder()
    for paragraph, level in zip(paragraphs, levels, strict=True):
        text = words.joined(paragraph.lines)
        if level is not None:
            builder.heading(text, level, paragraph.page)
        elif _BULLET.match(text):
            builder.text(ElementCategory.LIST_ITEM, text, paragraph.page)
        else:
            builder.text(ElementCategory.NARRATIVE_TEXT, text, paragraph.page)
    return builder


def _upright(lines: Sequence[Line]) -> list[Line]:
    """Count turns from the direction of most lines, so that only stamps in the margin have any."""
    usual = Counter(line.turns for line in lines).most_common(1)
    if not usual or usual[0][0] == 0:
        return list(lines)
    upright = [replace(line, turns=(line.turns - usual[0][0]) % 4) for line in lines]
    upwards = sum(above.bottom < below.bottom for above, below in pairwise(upright))
    if 2 * upwards > len(upright) - 1:  # PDFium sorts by place, and so turns the order as well
        upright.reverse()
    return upright


def _joined_fragments(lines: Iterable[Line]) -> list[Line]:
    """Put together what stands on one line: PDFium breaks it at superscripts and wide gaps."""
    joined: list[Line] = []
    for line in lines:
        before = joined[-1] if joined else None
        if before is None or not _continues_on_line(before, line):
            joined.append(line)
            continue
        gap = " " if line.left - before.right > 0.15 * before.size else ""
        longer = max(before, line, key=lambda part: len(part.text))
        joined[-1] = replace(
            longer,
            text=before.text + gap + line.text,
            left=before.left,
            right=line.right,
            hyphenated=line.hyphenated,
            bold=before.bold and line.bold,
        )
    return joined


def _continues_on_line(before: Line, line: Line) -> bool:
    if before.turns != line.turns or before.hyphenated:
        return False
    overlap = min(before.top, line.top) - max(before.bottom, line.bottom)
    if overlap < 0.4 * min(before.top - before.bottom, line.top - line.bottom):
        return False
    return -0.5 * before.size <= line.left - before.right <= 2 * before.size


def _without_running_lines(pages: Sequence[Page], body: _Body) -> list[Page]:
    """Leave out headers and footers: the same words at the same height on many pages."""
    seen: defaultdict[_RunningKey, set[int]] = defaultdict(set)
    edges = {page.number: list(_edge_lines(page)) for page in pages}
    for number, lines in edges.items():
        for line in lines:
            seen[_running_key(line, number, body)].add(number)
    running = {key for key, numbers in seen.items() if _is_running(numbers)}
    left_out = {
        id(line)
        for number, lines in edges.items()
        for line in lines
        if _running_key(line, number, body) in running
    }
    return [
        replace(page, lines=[line for line in page.lines if id(line) not in left_out])
        for page in pages
    ]


def _edge_lines(page: Page) -> Iterator[Line]:
    """Yield the topmost and the lowest lines, at most half of a page: a header needs a body."""
    upright = sorted((line for line in page.lines if not line.turns), key=lambda line: -line.bottom)
    most = min(_EDGE_LINES, len(upright) // 4)
    for ordered in (upright, upright[::-1]):
        baselines: list[float] = []
        for line in ordered:
            if not baselines or abs(line.bottom - baselines[-1]) > line.size / 2:
                baselines.append(line.bottom)
            if len(baselines) > most:
                break
            yield line


def _running_key(line: Line, page: int, body: _Body) -> _RunningKey:
    """Return what stays the same from page to page: height and words, not the numbers in them.

    In large type numbers count: "Chapter 2" after "Chapter 1" is a heading. A bare number counts
    by its distance from the page's, so that figures in a table do not look like page numbers.
    """
    height = round(line.bottom / 4)
    if body.is_large(line.size):
        return height, line.text
    if _LETTERS.search(line.text):
        return height, _NUMBER.sub("#", line.text)
    return height, _PAGE_NUMBER.sub(lambda match: f"{int(match[0]) - page:+}", line.text)


def _is_running(pages: set[int]) -> bool:
    """Whether these pages, in which a line stands, are many and close to each other.

    Every second page is close: books have other headers on the left than on the right.
    """
    return len(pages) >= _FEWEST_REPEATS and 2 * len(pages) >= max(pages) - min(pages)


def _body(pages: Sequence[Page]) -> _Body:
    lines = [line for page in pages for line in page.lines]
    amounts: Counter[_Style] = Counter()
    for line in lines:
        amounts[line.size, line.bold] += len(line.text)
    size, bold = max(amounts, key=lambda style: amounts[style], default=(0.0, False))
    ratios = Counter(
        round((above.bottom - below.bottom) / above.size, 1)
        for page in pages
        for above, below in pairwise(page.lines)
        if above.size == below.size > 0
    )
    plausible = {ratio: count for ratio, count in ratios.items() if 0.9 <= ratio <= 2.5}
    spacing = max(plausible, key=lambda ratio: plausible[ratio], default=1.2)
    return _Body(size, bold, spacing)


def _paragraphs(page: Page, body: _Body) -> Iterator[_Paragraph]:
    current = _Paragraph(page.number)
    for line in page.lines:
        if current.lines and _starts_paragraph(current.lines, line, body):
            yield current
            current = _Paragraph(page.number)
        current.lines.append(line)
    if current.lines:
        yield current


def _starts_paragraph(lines: Sequence[Line], line: Line, body: _Body) -> bool:
    above = lines[-1]
    if above.hyphenated:
        return False
    if above.turns != line.turns or _BULLET.match(line.text):
        return True
    if abs(above.size - line.size) > 0.08 * max(above.size, line.size):
        return True
    goes_on = line.text[0].islower() and not _SENTENCE_END.search(above.text)
    if above.bold != line.bold and not body.is_large(line.size) and not goes_on:
        return True
    drop = above.bottom - line.bottom
    if drop <= 0:  # the next column: its first line may go on where this one ended
        return not goes_on
    return drop > 1.25 * body.spacing * line.size or _ends_early_or_is_indented(lines, line)


def _ends_early_or_is_indented(lines: Sequence[Line], line: Line) -> bool:
    """Whether a full stop and then white space part ``line`` from the paragraph above."""
    if not _SENTENCE_END.search(lines[-1].text) or _BULLET.match(lines[0].text):
        return False
    column = _columns(lines)[-1]
    left = min(part.left for part in column[1:] or column)
    right = max(line.right, *(part.right for part in column))
    indented = line.left - left > 0.8 * line.size
    return indented or lines[-1].right < right - 0.15 * (right - left)


def _columns(lines: Sequence[Line]) -> list[list[Line]]:
    """Cut a paragraph where it goes on at the top of another column."""
    columns = [[lines[0]]]
    for above, line in pairwise(lines):
        if line.bottom >= above.bottom:
            columns.append([])
        columns[-1].append(line)
    return columns


def _heading_levels(
    paragraphs: Sequence[_Paragraph], bookmarks: Sequence[Bookmark], body: _Body
) -> list[int | None]:
    """Return each paragraph's level as a heading: from the outline, else by rank of its style."""
    marked = _marked_levels(paragraphs, bookmarks)
    by_style = _levels_by_style(paragraphs, marked, body)
    levels: list[int | None] = []
    for index, paragraph in enumerate(paragraphs):
        level = by_style.get(body.style(paragraph.lines[0]))
        if not _may_be_heading(paragraph, body) or _goes_on_in_next(paragraphs, index):
            level = None
        levels.append(marked.get(index, level))
    return levels


def _goes_on_in_next(paragraphs: Sequence[_Paragraph], index: int) -> bool:
    """Whether the next paragraph starts in lower case: this one was emphasis, no heading."""
    following = paragraphs[index + 1 : index + 2]
    return any(
        paragraph.page == paragraphs[index].page and paragraph.lines[0].text[0].islower()
        for paragraph in following
    )


def _levels_by_style(
    paragraphs: Sequence[_Paragraph], marked: Mapping[int, int], body: _Body
) -> dict[_Style, int]:
    """Return the level of each style that stands out and is not used for running text.

    Where the outline names headings, a style has the level of the highest that are not larger.
    """
    amounts: Counter[_Style] = Counter()
    for paragraph in paragraphs:
        amounts[body.style(paragraph.lines[0])] += paragraph.length
    most = _MOST_IN_HEADINGS * amounts.total()
    candidates = {body.style(p.lines[0]) for p in paragraphs if _may_be_heading(p, body)}
    styles = sorted(
        (style for style in candidates if amounts[style] <= most and body.stands_out(style)),
        reverse=True,
    )
    if not marked:
        return {style: rank for rank, style in enumerate(styles, start=1)}
    known: dict[_Style, int] = {}
    for index, level in marked.items():
        style = body.style(paragraphs[index].lines[0])
        known[style] = min(level, known.get(style, level))
    below_all = max(marked.values()) + 1
    return {
        style: min((level for other, level in known.items() if other <= style), default=below_all)
        for style in styles
    }


def _marked_levels(
    paragraphs: Sequence[_Paragraph], bookmarks: Sequence[Bookmark]
) -> dict[int, int]:
    """Return the levels of paragraphs whose text is that of a bookmark to their page."""
    by_place = {(mark.page, _key(mark.title)): mark.level for mark in bookmarks}
    return {
        index: level
        for index, paragraph in enumerate(paragraphs)
        if len(paragraph.lines) <= _MOST_HEADING_LINES
        and paragraph.length <= _LONGEST_HEADING
        and (level := by_place.get((paragraph.page, _key_of(paragraph)))) is not None
    }


def _key_of(paragraph: _Paragraph) -> str:
    return _key("".join(line.text for line in paragraph.lines))


def _key(text: str) -> str:
    """Return the letters and digits alone: outlines differ from pages in spaces and dots."""
    return "".join(filter(str.isalnum, text.lower()))


def _may_be_heading(paragraph: _Paragraph, body: _Body) -> bool:
    first = paragraph.lines[0]
    text = " ".join(line.text for line in paragraph.lines)
    large = body.is_large(first.size)
    return (
        first.turns == 0
        and len(paragraph.lines) <= _MOST_HEADING_LINES
        and len(text) <= (_LONGEST_HEADING if large else _LONGEST_BOLD_HEADING)
        and _LETTERS.search(text) is not None
        and not _SYMBOL_BULLET.match(text)
        and not text.endswith((",", ";") if large else (",", ";", ".", ":"))
    )


class _Words:
    """Joins lines; knows the document's words, to tell a hyphen of its own from a typesetter's."""

    def __init__(self, paragraphs: Sequence[_Paragraph]) -> None:
        self._compounds = {
            word.lower()
            for paragraph in paragraphs
            for line in paragraph.lines
            for word in re.findall(r"\b\w+-\w+", line.text)
        }

    def joined(self, lines: Sequence[Line]) -> str:
        """Return the text of a paragraph; lines that were ended on purpose stay lines."""
        text = ""
        before: Line | None = None
        for column in _columns(lines):
            right = sorted(line.right for line in column)[3 * len(column) // 4]
            for line in column:
                text = line.text if before is None else self._join(text, before, line, right)
                before = line
        return text

    def _join(self, text: str, above: Line, line: Line, right: float) -> str:
        cut = re.search(r"(\w+)(-?)$", above.text[-_LONGEST_WORD:])
        rest = re.match(r"\w+", line.text)
        if cut and rest and (above.hyphenated or (cut[2] and rest[0][0].islower())):
            compound = f"{cut[1]}-{rest[0]}".lower() in self._compounds
            return text.removesuffix("-") + ("-" if compound else "") + line.text
        if _LEADER.search(above.text):
            return f"{text}\n{line.text}"
        if _CJK.match(text[-1]) and _CJK.match(line.text):
            return text + line.text
        first_word = line.text.partition(" ")[0]
        width = (above.right - above.left) / max(len(above.text), 1)
        room = right - above.right if above.bottom > line.bottom else 0
        fits = width * (len(first_word) + 1.5) < room
        return f"{text}\n{line.text}" if fits else f"{text} {line.text}"
