"""The general strategy: sections, then paragraphs, then sentences, then words, then characters.

Belongs here: packing. Does not belong here: measuring (``measure``), knowing where a text hangs
together (``layout``, ``sentences``).

A document is tokenised once and cut by that measure; every chunk is then counted again by itself,
because a slice can tokenise differently, and halved if it is over the cap. Where a section is cut
depends on that section alone, so that an edit leaves the chunks of other sections as they are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from ingestion_pipeline.chunking.layout import Border, Layout, Section
from ingestion_pipeline.chunking.measure import Ruler, Tokenizer
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.chunks import Chunk, chunk_id
from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument

SMALLEST_CAP = 16
"""Tokens; below this a single character with the special tokens might not fit."""
_SMALL = 0.25
"""Share of the cap: no cut leaves less on either side, and smaller sections are joined."""
_SENTENCE_COST = 0.25
"""How much of the cap a chunk may miss its target by to end at a paragraph, not a sentence."""

Span = tuple[int, int]
Place = tuple[int, Border]


def chunk(
    document: ParsedDocument,
    document_id: str,
    tokenizer: Tokenizer,
    max_tokens: int,
    overlap: int = 0,
) -> list[Chunk]:
    """Cut a document into chunks of at most ``max_tokens`` tokens, special tokens included.

    Each chunk is a slice of ``document.text`` without blanks at its ends; together they hold every
    other character. ``overlap`` is the most tokens that a chunk repeats from the end of the one
    before, within a section, from the beginning of a sentence or else a word.

    Raises:
        PermanentError: of kind ``invalid_option``, for a cap or an overlap that cannot work.
    """
    _validate(max_tokens, overlap)
    layout = Layout(document)
    packer = _Packer(
        layout,
        Ruler(layout.text, tokenizer),
        budget=max_tokens - tokenizer.special_tokens_per_text,
        overlap=overlap,
    )
    spans = list(packer.spans())
    return _described(_counted(spans, layout.text, tokenizer, max_tokens), layout, document_id)


def _validate(max_tokens: int, overlap: int) -> None:
    if max_tokens < SMALLEST_CAP:
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            f"a chunk of {max_tokens} tokens is too small; set chunk_tokens to at least "
            f"{SMALLEST_CAP}",
        )
    if not 0 <= overlap < max_tokens / 2:
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            f"an overlap of {overlap} tokens does not fit chunks of {max_tokens}; "
            "set chunk_overlap to less than half of chunk_tokens",
        )


@dataclass(frozen=True)
class _Packer:
    """Cuts a document into spans that fit ``budget`` tokens by the ruler's measure."""

    layout: Layout
    ruler: Ruler
    budget: int
    overlap: int

    @property
    def small(self) -> int:
        return int(self.budget * _SMALL)

    def spans(self) -> Iterator[Span]:
        for first, last in self._groups():
            start, end = _trimmed(self.layout.text, *self.layout.span(first, last))
            if self.ruler.tokens(start, end) <= self.budget:
                yield start, end
            else:
                yield from self._split(start, end)

    def _groups(self) -> Iterator[Span]:
        """Yield the elements ``first..last`` of each section.

        A small section takes in the next one under the same parent if both fit into one chunk.
        """
        group: Section | None = None
        for section in self.layout.sections():
            if group is None:
                group = section
            elif self._join(group, section):
                group = Section(group.first, section.last, group.parent)
            else:
                yield group.first, group.last
                group = section
        if group is not None:
            yield group.first, group.last

    def _join(self, group: Section, section: Section) -> bool:
        return (
            self.ruler.tokens(*self.layout.span(group.first, group.last)) < self.small
            and section.parent[: len(group.parent)] == group.parent
            and self.ruler.tokens(*self.layout.span(group.first, section.last)) <= self.budget
        )

    def _split(self, start: int, end: int) -> Iterator[Span]:
        """Cut ``start..end`` from left to right, at the best border within reach each time."""
        borders = list(self.layout.borders(start, end))
        reached = start
        while reached < end:
            cut = self._cut(start, reached, end, borders)
            yield _trimmed(self.layout.text, start, cut)
            start = self._repeat_from(reached, cut, borders)
            reached = cut

    def _cut(self, start: int, reached: int, end: int, borders: list[Place]) -> int:
        """Return where the chunk that begins at ``start`` ends, beyond ``reached``.

        A chunk is filled, except that the last two share evenly what is left for them.
        """
        rest = self.ruler.tokens(start, end)
        if rest <= self.budget:
            return end
        last_two = rest + self.overlap <= 2 * self.budget
        target = (rest + self.overlap + 1) // 2 if last_two else self.budget
        lowest = self.ruler.advance(start, self.ruler.tokens(start, reached) + self.small)
        highest = self.ruler.advance(start, min(self.budget, rest - self.small))

        def cost(place: Place) -> float:
            offset, border = place
            missed = abs(target - self.ruler.tokens(start, offset))
            return missed + (_SENTENCE_COST * self.budget if border is Border.SENTENCE else 0)

        within = _between(borders, lowest, highest)
        if within:
            return min(within, key=cost)[0]
        aim = self.ruler.advance(start, target)
        return self.ruler.word_near(aim, lowest, highest) or max(aim, reached + 1)

    def _repeat_from(self, reached: int, cut: int, borders: list[Place]) -> int:
        """Return where the chunk after ``cut`` begins: there, or earlier by the overlap."""
        if not self.overlap:
            return cut
        earliest = max(self.ruler.advance(cut, -self.overlap), reached + 1)
        sentences = _between(borders, earliest, cut - 1)
        if sentences:
            return sentences[0][0]
        return self.ruler.word_near(earliest, earliest, cut - 1) or cut


def _between(borders: list[Place], lowest: int, highest: int) -> list[Place]:
    first = bisect_left(borders, lowest, key=itemgetter(0))
    return borders[first : bisect_right(borders, highest, key=itemgetter(0))]


def _trimmed(text: str, start: int, end: int) -> Span:
    inner = text[start:end]
    return end - len(inner.lstrip()), start + len(inner.rstrip())


def _counted(
    spans: list[Span], text: str, tokenizer: Tokenizer, max_tokens: int
) -> list[tuple[Span, int]]:
    """Count the tokens of each span by itself; halve those over the cap until all fit."""
    spans = [(start, end) for start, end in spans if start < end]
    counted: list[tuple[Span, int]] = []
    for span, tokens in zip(
        spans, tokenizer.counts([text[start:end] for start, end in spans]), strict=True
    ):
        if tokens <= max_tokens or span[1] - span[0] == 1:
            counted.append((span, tokens))
        else:
            counted += _counted(_halves(text, *span), text, tokenizer, max_tokens)
    return counted


def _halves(text: str, start: int, end: int) -> list[Span]:
    quarter = (end - start) // 4
    middle = (start + end) // 2
    blank = next((i for i in range(middle, start + quarter, -1) if text[i].isspace()), middle)
    return [_trimmed(text, start, blank), _trimmed(text, blank, end)]


def _described(counted: list[tuple[Span, int]], layout: Layout, document_id: str) -> list[Chunk]:
    occurrences: Counter[str] = Counter()
    chunks = []
    for ordinal, ((start, end), tokens) in enumerate(counted):
        text = layout.text[start:end]
        touched = layout.touched(start, end)
        chunks.append(
            Chunk(
                chunk_id=chunk_id(document_id, text, occurrences[text]),
                document_id=document_id,
                ordinal=ordinal,
                text=text,
                tokens=tokens,
                start=start,
                end=end,
                pages=tuple(sorted({item.page for item in touched if item.page is not None})),
                heading_path=_heading_path(touched),
            )
        )
        occurrences[text] += 1
    return chunks


def _heading_path(touched: tuple[Element, ...]) -> tuple[str, ...]:
    """Return the path of the section that the first text, else the last heading, stands in."""
    for element in touched:
        if element.category is not ElementCategory.TITLE:
            return element.heading_path
    return (*touched[-1].heading_path, touched[-1].text)
