"""From the lines of PDF pages to headings, paragraphs and list items.

A PDF says where glyphs are and nothing about structure. Headings stand out by size or weight
from the body, paragraphs are set apart by space, indent or a short last line, and what comes
back at the edge of page after page is a running header or footer.

Belongs here: pure decisions about lines. Does not belong here: PDFium (``pdf``).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby, pairwise

from ingestion_pipeline.model.elements import Box, ElementCategory
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.pdf.figures import places
from ingestion_pipeline.parsing.pdf.page import Bookmark, Figure, Grid, Line, Page, united

_EDGE_LINES = (2, 3)
"""How many lines at the top and at the bottom of a page may be running headers and footers."""
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
_NUMBER = re.compile(r"\d+(?:[.-]\d+)*")
_NAMED_PAGE = re.compile(r"\b(?:page|seite|p[aá]gina|p\.)\s*\d+", re.IGNORECASE)
_PAGE_NUMBER = re.compile(r"(?<!\d)\d{1,5}(?!\d)")
_LETTERS = re.compile(r"[^\W\d_]{2}|[\u3040-\u9fff\uac00-\ud7a3]")
_LEADER = re.compile(r"[._]{4,}\s*\w+$|(?:\. ){4,}\s*\w+$")
"""The end of a line in a table of contents, which fills its width and yet is a whole."""
_MOST_BETWEEN = 12
"""Paragraphs and tables between the two parts of one that goes on in another column."""
_BACKGROUND = 0.9
"""Share of its page from which a picture is the page's background, or a scan."""
_FULL_LINE = 15
"""Width over size from which a line may have ended for want of room alone."""
_COLUMN_TOLERANCE = 6.0
"""Points by which columns of a table may differ from page to page."""
_CJK = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")


@dataclass(frozen=True, slots=True)
class _Body:
    """The usual text of a document: its size, and the distance of its baselines over the size.

    ``length`` counts the characters of the whole document.
    """

    size: float
    bold: bool
    spacing: float
    length: int

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
    """Lines that belong together, in the columns or pages over which they go; or a table."""

    page: int
    last_page: int
    box: Box
    columns: list[list[Line]] = field(default_factory=list)
    grid: Grid | None = None

    @property
    def lines(self) -> list[Line]:
        return [line for column in self.columns for line in column]

    @property
    def length(self) -> int:
        return sum(len(line.text) for column in self.columns for line in column)

    def add(self, line: Line, box: Box) -> None:
        """Add a line of the same page."""
        if not self.columns or line.bottom >= self.columns[-1][-1].bottom:
            self.columns.append([])
        self.columns[-1].append(line)
        self.box = united([self.box, box])

    def go_on(self, following: _Paragraph) -> None:
        """Add what stands in the next column or on the next page."""
        self.columns += following.columns
        self.last_page = following.last_page
        if following.page == self.page:
            self.box = united([self.box, following.box])


Load = Callable[[int, Figure], bytes | None]
"""Returns the file of a picture, given the number of its page."""


def build(
    pages: Sequence[Page], bookmarks: Sequence[Bookmark], load: Load = lambda *_: None
) -> DocumentBuilder:
    """Return the elements of a document, and the pictures that ``load`` can read."""
    figures = {page.number: _figures(page) for page in pages}
    body = _body(pages)
    pages = _without_running_lines(pages, body)
    paragraphs = _joined((part for page in pages for part in _paragraphs(page, body)), body)
    texts = [paragraph for paragraph in paragraphs if paragraph.grid is None]
    levels = dict(zip(map(id, texts), _heading_levels(texts, bookmarks, body), strict=True))
    words = _Words(texts)
    builder = DocumentBuilder()
    for number, group in groupby(paragraphs, key=lambda paragraph: paragraph.page):
        on_page = [(paragraph, words.joined(paragraph.columns)) for paragraph in group]
        shown = _Shown(number, figures.get(number, []), on_page, load)
        for paragraph, text in on_page:
            picture = shown.with_caption(paragraph)
            if picture is None or not builder.picture(picture, text, number, box=paragraph.box):
                _add(builder, paragraph, text, levels.get(id(paragraph)))
            for picture in shown.beside(paragraph):
                builder.picture(picture, page=number)
    return builder


def _add(builder: DocumentBuilder, paragraph: _Paragraph, text: str, level: int | None) -> None:
    page, box = paragraph.page, paragraph.box
    if paragraph.grid is not None:
        builder.table(paragraph.grid.rows, page, box=box)
    elif level is not None:
        builder.heading(text, level, page, box=box)
    elif _BULLET.match(text):
        builder.text(ElementCategory.LIST_ITEM, text, page, box=box)
    else:
        builder.text(ElementCategory.NARRATIVE_TEXT, text, page, box=box)


def _figures(page: Page) -> list[tuple[Figure, Box]]:
    """Return the pictures of a page and their places, without what lies behind all of it."""
    boxes = [(figure, page.box(figure)) for figure in page.figures]
    return [
        (figure, box)
        for figure, box in boxes
        if 0 < (box[2] - box[0]) * (box[3] - box[1]) < _BACKGROUND
    ]


class _Shown:
    """The pictures of one page by the paragraphs they belong to."""

    def __init__(
        self,
        page: int,
        figures: Sequence[tuple[Figure, Box]],
        paragraphs: Sequence[tuple[_Paragraph, str]],
        load: Load,
    ) -> None:
        self._page = page
        self._load = load
        self._captions: dict[int, Figure] = {}
        self._beside: defaultdict[int, list[Figure]] = defaultdict(list)
        found = places(
            [box for _, box in figures], [(paragraph.box, text) for paragraph, text in paragraphs]
        )
        for (figure, _), place in zip(figures, found, strict=True):
            if place is None:
                continue
            owner = id(paragraphs[place.paragraph][0])
            if place.is_caption:
                self._captions[owner] = figure
            else:
                self._beside[owner].append(figure)

    def with_caption(self, paragraph: _Paragraph) -> bytes | None:
        """Return the picture of which a paragraph is the caption."""
        figure = self._captions.get(id(paragraph))
        return None if figure is None else self._load(self._page, figure)

    def beside(self, paragraph: _Paragraph) -> Iterator[bytes]:
        """Yield the pictures without a caption that belong to a paragraph."""
        for figure in self._beside.get(id(paragraph), []):
            if (picture := self._load(self._page, figure)) is not None:
                yield picture


def _without_running_lines(pages: Sequence[Page], body: _Body) -> list[Page]:
    """Leave out headers and footers: the same words at the same height on many pages."""
    seen: defaultdict[_RunningKey, set[int]] = defaultdict(set)
    edges = {page.number: list(_edge_lines(page, body)) for page in pages}
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
        replace(page, items=[item for item in page.items if id(item) not in left_out])
        for page in pages
    ]


def _edge_lines(page: Page, body: _Body) -> Iterator[Line]:
    """Yield the topmost and the lowest lines if they are set apart from what is between them.

    At most half of a page: a header needs a body.
    """
    upright = sorted((line for line in page.lines if not line.turns), key=lambda line: -line.bottom)
    in_tables = sum(len(item.rows) for item in page.items if isinstance(item, Grid))
    most = (len(upright) + in_tables) // 4
    for ordered, edge in zip((upright, upright[::-1]), _EDGE_LINES, strict=True):
        rows: list[list[Line]] = []
        for line in ordered:
            if not rows or abs(line.bottom - rows[-1][0].bottom) > line.size / 2:
                if len(rows) > edge:
                    break
                rows.append([])
            rows[-1].append(line)
        apart = 0
        for number, (outer, inner) in enumerate(pairwise(rows), start=1):
            if _is_apart(outer[0], inner[0], body):
                apart = number
        yield from chain.from_iterable(rows[: min(apart, most, edge)])


def _is_apart(outer: Line, inner: Line, body: _Body) -> bool:
    """Whether space or size part a line at the edge of a page from the next one."""
    distance = abs(outer.bottom - inner.bottom)
    far = distance > 1.4 * body.spacing * max(outer.size, inner.size)
    return far or not _are_of_one_size(outer, inner)


def _running_key(line: Line, page: int, body: _Body) -> _RunningKey:
    """Return what stays the same from page to page: height and words, not the numbers in them.

    In large type numbers count: "Chapter 2" after "Chapter 1" is a heading. A bare number counts
    by its distance from the page's, so that figures in a table do not look like page numbers.
    """
    height = round(line.bottom / 4)
    if body.is_large(line.size):
        return height, _NAMED_PAGE.sub("#", line.text)
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
    for grid in (item for page in pages for item in page.items if isinstance(item, Grid)):
        amounts[grid.size, False] += sum(len(cell.text) for row in grid.rows for cell in row)
    size, bold = max(amounts, key=lambda style: amounts[style], default=(0.0, False))
    ratios = Counter(
        round((above.bottom - below.bottom) / above.size, 1)
        for page in pages
        for above, below in pairwise(page.lines)
        if above.size == below.size > 0
    )
    plausible = {ratio: count for ratio, count in ratios.items() if 0.9 <= ratio <= 2.5}
    spacing = max(plausible, key=lambda ratio: plausible[ratio], default=1.2)
    return _Body(size, bold, spacing, amounts.total())


def _paragraphs(page: Page, body: _Body) -> Iterator[_Paragraph]:
    current: _Paragraph | None = None
    for item in page.items:
        box = page.box(item)
        if isinstance(item, Grid):
            if current:
                yield current
            yield _Paragraph(page.number, page.number, box, grid=item)
            current = None
            continue
        if current and _starts_paragraph(current, item, body):
            yield current
            current = None
        current = current or _Paragraph(page.number, page.number, box)
        current.add(item, box)
    if current:
        yield current


def _starts_paragraph(paragraph: _Paragraph, line: Line, body: _Body) -> bool:
    above = paragraph.columns[-1][-1]
    if above.hyphenated:
        return False
    if above.turns != line.turns or _BULLET.match(line.text):
        return True
    if not _are_of_one_size(above, line):
        return True
    goes_on = line.text[0].islower() and not _SENTENCE_END.search(above.text)
    if above.bold != line.bold and not body.is_large(line.size) and not goes_on:
        return True
    drop = above.bottom - line.bottom
    if drop <= 0:  # the next column: its first line may go on where this one ended
        return not goes_on
    far = drop > 1.25 * body.spacing * line.size
    return far or _ends_early_or_is_indented(paragraph, line)


def _are_of_one_size(one: Line, other: Line) -> bool:
    return abs(one.size - other.size) <= 0.08 * max(one.size, other.size)


def _ends_early_or_is_indented(paragraph: _Paragraph, line: Line) -> bool:
    """Whether a full stop and then white space part ``line`` from the paragraph above."""
    column = paragraph.columns[-1]
    if not _SENTENCE_END.search(column[-1].text) or _BULLET.match(paragraph.columns[0][0].text):
        return False
    left = min(part.left for part in column[1:] or column)
    right = max(line.right, *(part.right for part in column))
    indented = line.left - left > 0.8 * line.size
    return indented or column[-1].right < right - 0.15 * (right - left)


def _joined(paragraphs: Iterable[_Paragraph], body: _Body) -> list[_Paragraph]:
    """Join what a new column or page cut in two: paragraphs and tables."""
    joined: list[_Paragraph] = []
    for paragraph in paragraphs:
        before = _opening_of(paragraph, joined, body)
        if before is None:
            joined.append(paragraph)
        elif before.grid is not None and paragraph.grid is not None:
            _append_rows(before.grid, paragraph.grid)
            before.last_page = paragraph.last_page
        else:
            before.go_on(paragraph)
    return joined


def _opening_of(
    paragraph: _Paragraph, joined: Sequence[_Paragraph], body: _Body
) -> _Paragraph | None:
    """Return the paragraph or table that this one continues.

    Between the two may stand what is set apart from the text: tables, and smaller type such as
    footnotes and captions.
    """
    for before in reversed(joined[-_MOST_BETWEEN:]):
        if paragraph.page - before.last_page > 1:
            return None
        if paragraph.grid is not None:
            return before if _is_same_table(before, paragraph) else None
        if before.grid is not None:
            continue
        first, last = paragraph.columns[0][0], before.columns[-1][-1]
        if last.turns or first.turns:
            return None
        if before.last_page == paragraph.page and first.bottom <= last.bottom:
            return None
        if last.size < first.size and not _are_of_one_size(last, first):
            continue
        return before if _goes_on(before, paragraph, body) else None
    return None


def _goes_on(before: _Paragraph, paragraph: _Paragraph, body: _Body) -> bool:
    """Whether a sentence goes on from one to the other, which stand in different columns."""
    above, line = before.columns[-1][-1], paragraph.columns[0][0]
    if not _are_of_one_size(above, line) or _BULLET.match(line.text):
        return False
    if above.hyphenated:
        return True
    if _SENTENCE_END.search(above.text) or _LEADER.search(above.text):
        return False
    if line.text[0].islower():
        return True
    if above.bold != line.bold or len(paragraph.columns[0]) < 2 or body.is_large(line.size):
        return False
    column = before.columns[-1]
    full = max(part.right for part in column) - above.right <= above.size
    wide = above.right - above.left >= _FULL_LINE * above.size
    return full and wide and line.left <= paragraph.columns[0][1].left + 0.5 * line.size


def _is_same_table(before: _Paragraph, paragraph: _Paragraph) -> bool:
    """Whether a table goes on at the top of the next page: its columns are as wide."""
    if before.grid is None or paragraph.grid is None or paragraph.page != before.last_page + 1:
        return False
    edges, others = before.grid.edges, paragraph.grid.edges
    if len(edges) != len(others):
        return False
    return all(
        abs((edge - edges[0]) - (other - others[0])) <= _COLUMN_TOLERANCE
        for edge, other in zip(edges[:-1], others[:-1], strict=True)
    )


def _append_rows(grid: Grid, following: Grid) -> None:
    """Add the rows of the next page, but not the header again; what is no header is no longer."""
    header, first = grid.rows[0], following.rows[0]
    repeated = [cell.text for cell in header] == [cell.text for cell in first]
    for cell in first:
        cell.header = False
    grid.rows.extend(following.rows[1 if repeated else 0 :])


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
    most = _MOST_IN_HEADINGS * body.length
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
    first, *others = paragraph.lines
    if first.turns or len(others) >= _MOST_HEADING_LINES:
        return False
    text = " ".join(line.text for line in [first, *others])
    large = body.is_large(first.size)
    return (
        len(text) <= (_LONGEST_HEADING if large else _LONGEST_BOLD_HEADING)
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
            if "-" in line.text
            for word in re.findall(r"\b\w+-\w+", line.text)
        }

    def joined(self, columns: Sequence[Sequence[Line]]) -> str:
        """Return the text of a paragraph; lines that were ended on purpose stay lines."""
        text = ""
        before: Line | None = None
        for column in columns:
            right = sorted(line.right for line in column)[3 * len(column) // 4]
            for number, line in enumerate(column):
                room = right - before.right if before and number else 0.0
                text = self._join(text, before, line, room) if before else line.text
                before = line
        return text

    def _join(self, text: str, above: Line, line: Line, room: float) -> str:
        if above.hyphenated or above.text.endswith("-"):
            cut = re.search(r"(\w+)-?$", above.text[-_LONGEST_WORD:])
            rest = re.match(r"\w+", line.text)
            if cut and rest and (above.hyphenated or rest[0][0].islower()):
                compound = f"{cut[1]}-{rest[0]}".lower() in self._compounds
                return text.removesuffix("-") + ("-" if compound else "") + line.text
        if _LEADER.search(above.text):
            return f"{text}\n{line.text}"
        if _CJK.match(text[-1]) and _CJK.match(line.text):
            return text + line.text
        first_word = line.text.partition(" ")[0]
        width = (above.right - above.left) / max(len(above.text), 1)
        fits = width * (len(first_word) + 1.5) < room
        return f"{text}\n{line.text}" if fits else f"{text} {line.text}"
