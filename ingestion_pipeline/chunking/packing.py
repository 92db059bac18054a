"""Filling chunks: paragraphs, then sentences, then words, then characters.

Belongs here: cutting a stretch of text to size. Does not belong here: measuring (``measure``),
knowing where a text hangs together (``layout``, ``sentences``), choosing the stretches (the
strategies).

A document is tokenised once and cut by that measure; every chunk is counted again by itself in
the end (``chunks``), because a slice can tokenise differently.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from ingestion_pipeline.chunking.layout import Border, Layout, Span
from ingestion_pipeline.chunking.measure import LONGEST_TOKEN, Ruler, Tokenizer

_SMALL = 0.25
"""Share of a chunk's room: no cut leaves less on either side."""
_SENTENCE_COST = 0.25
"""How much of its room a chunk may miss its target by to end at a paragraph, not a sentence."""

Place = tuple[int, Border]


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk to be: ``lead``, then ``text``, or the slice ``start..end`` where that is None.

    ``start..end`` is what it stands for in the document, without what is only repeated in
    ``lead``. ``parent`` is the span of its parent, if it has one.
    """

    start: int
    end: int
    lead: str = ""
    text: str | None = None
    tags: tuple[str, ...] = ()
    parent: Span | None = None


class Borders:
    """Borders from left to right, found when they are asked for and let go of when passed."""

    def __init__(self, places: Iterator[Place]) -> None:
        self._ahead = places
        self._held: list[Place] = []

    def between(self, lowest: int, highest: int) -> Sequence[Place]:
        """Return the borders at ``lowest..highest``, both included."""
        while not self._held or self._held[-1][0] <= highest:
            place = next(self._ahead, None)
            if place is None:
                break
            self._held.append(place)
        first = bisect_left(self._held, lowest, key=itemgetter(0))
        return self._held[first : bisect_right(self._held, highest, key=itemgetter(0))]

    def pass_by(self, offset: int) -> None:
        """Let go of the borders before an offset: nobody goes back there."""
        del self._held[: bisect_left(self._held, offset, key=itemgetter(0))]


@dataclass(frozen=True)
class Packer:
    """Cuts stretches of a document into pieces of at most ``max_tokens`` tokens.

    ``titled``: each piece begins with the headings above it. ``headed``: one that begins within a
    table begins with the table's header.
    """

    layout: Layout
    ruler: Ruler
    tokenizer: Tokenizer
    max_tokens: int
    overlap: int = 0
    delimiters: tuple[str, ...] = ()
    titled: bool = False
    headed: bool = True
    _counts: dict[str, int] = field(default_factory=dict)

    @property
    def budget(self) -> int:
        """Tokens of text that a chunk may hold."""
        return self.max_tokens - self.tokenizer.special_tokens_per_text

    def count(self, text: str) -> int:
        """Count the tokens of a text that is repeated often, without special tokens."""
        if text not in self._counts:
            (self._counts[text],) = self.counts([text])
        return self._counts[text]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of texts as a ruler does, without special tokens."""
        special = self.tokenizer.special_tokens_per_text
        return [
            max(tokens - special, len(text) // LONGEST_TOKEN)
            for text, tokens in zip(texts, self.tokenizer.counts(texts), strict=True)
        ]

    def room(self, start: int, taken: int = 0) -> int:
        """Return how many tokens of text fit into a piece that begins at ``start``."""
        return self._lead(start, taken)[1]

    def lead(self, start: int, taken: int = 0) -> str:
        """Return what a piece that begins at ``start`` repeats: titles above, a table's header.

        Neither takes more than half of what room there is.
        """
        return self._lead(start, taken)[0]

    def pieces(self, start: int, end: int, lead: str = "") -> Iterator[Piece]:
        """Cut ``start..end`` into pieces that all begin with ``lead``."""
        taken = self.count(lead) if lead else 0
        for first, last in self.spans(start, end, taken):
            yield Piece(first, last, lead + self.lead(first, taken))

    def spans(self, start: int, end: int, taken: int = 0) -> Iterator[Span]:
        """Cut ``start..end`` where that leaves room for ``taken`` tokens and what is repeated."""
        for part in self._delimited(start, end):
            first, last = trimmed(self.layout.text, *part)
            if first >= last:
                continue
            if self.ruler.tokens(first, last) <= self.room(first, taken):
                yield first, last
            else:
                yield from self._split(first, last, taken)

    def halves(self, piece: Piece) -> list[Piece]:
        """Cut a piece that turned out too long at a blank near its middle.

        Its lead is given up instead where it takes most of the room.
        """
        text, start, end = self.layout.text, piece.start, piece.end
        if piece.text is not None:
            text, start, end = piece.text, 0, len(piece.text)
        if piece.lead and (2 * self.count(piece.lead) > self.budget or end - start == 1):
            return [replace(piece, lead="")]
        spans = [(first, last) for first, last in _halves(text, start, end) if first < last]
        if piece.text is not None:
            return [replace(piece, text=text[first:last]) for first, last in spans]
        return [
            replace(piece, start=first, end=last, lead=piece.lead or self.lead(first))
            for first, last in spans
        ]

    def _lead(self, start: int, taken: int) -> tuple[str, int]:
        room = self.budget - taken
        lead = ""
        if self.titled:
            titles = list(self.layout.parts[self.layout.index(start)].element.heading_path)
            while titles and 2 * self.count(_titles(titles)) > room:
                del titles[0]
            if titles:
                lead = _titles(titles)
                room -= self.count(lead)
        header = self.layout.header(start) if self.headed else None
        if header is not None:
            tokens = self.ruler.tokens(*header)
            if 2 * tokens <= room:
                lead += self.layout.text[slice(*header)] + "\n"
                room -= tokens
        return lead, room

    def _delimited(self, start: int, end: int) -> Iterator[Span]:
        """Cut after each delimiter, but not between a heading and its text."""
        if self.delimiters:
            for match in self._delimiter.finditer(self.layout.text, start, end):
                part = self.layout.parts[self.layout.index(match.start())]
                if not (part.is_title and match.end() > part.end):
                    yield start, match.end()
                    start = match.end()
        yield start, end

    @property
    def _delimiter(self) -> re.Pattern[str]:
        longest_first = sorted(self.delimiters, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))

    def _split(self, start: int, end: int, taken: int) -> Iterator[Span]:
        """Cut ``start..end`` from left to right, at the best border within reach each time."""
        borders = Borders(self.layout.borders(start, end))
        reached = start
        while reached < end:
            borders.pass_by(reached)
            cut = self.cut(start, reached, end, borders, self.room(start, taken))
            yield trimmed(self.layout.text, start, cut)
            start = self._repeat_from(reached, cut, borders, taken)
            reached = cut

    def cut(self, start: int, reached: int, end: int, borders: Borders, room: int) -> int:
        """Return where the chunk that begins at ``start`` ends, beyond ``reached``.

        A chunk is filled, except that the last two share evenly what is left for them.
        """
        rest = self.ruler.tokens(start, end)
        if rest <= room:
            return end
        small = int(room * _SMALL)
        repeated = min(self.overlap, room // 2)
        last_two = rest + repeated <= 2 * room
        target = (rest + repeated + 1) // 2 if last_two else room
        lowest = self.ruler.advance(start, self.ruler.tokens(start, reached) + small)
        lowest = max(lowest, reached + 1)  # several tokens may share a character
        highest = self.ruler.advance(start, min(room, rest - small))

        def cost(place: Place) -> float:
            offset, border = place
            missed = abs(target - self.ruler.tokens(start, offset))
            return missed + (_SENTENCE_COST * room if border is Border.SENTENCE else 0)

        within = borders.between(lowest, highest)
        if within:
            return min(within, key=cost)[0]
        aim = self.ruler.advance(start, target)
        return self.ruler.word_near(aim, lowest, highest) or max(aim, reached + 1)

    def _repeat_from(self, reached: int, cut: int, borders: Borders, taken: int) -> int:
        """Return where the chunk after ``cut`` begins: there, or earlier by the overlap."""
        if not self.overlap:
            return cut
        overlap = min(self.overlap, self.room(cut, taken) // 2)
        earliest = max(self.ruler.advance(cut, -overlap), reached + 1)
        sentences = borders.between(earliest, cut - 1)
        if sentences:
            return sentences[0][0]
        return self.ruler.word_near(earliest, earliest, cut - 1) or cut


def trimmed(text: str, start: int, end: int) -> Span:
    """Return ``start..end`` without the blanks at its ends."""
    inner = text[start:end]
    return end - len(inner.lstrip()), start + len(inner.rstrip())


def _titles(titles: Sequence[str]) -> str:
    return "".join(f"{title}\n" for title in titles)


def _halves(text: str, start: int, end: int) -> list[Span]:
    quarter = (end - start) // 4
    middle = (start + end) // 2
    blank = next((i for i in range(middle, start + quarter, -1) if text[i].isspace()), middle)
    return [trimmed(text, start, blank), trimmed(text, blank, end)]
