"""What summaries are written with: tools for texts, sentences of chunks, and what is written.

Belongs here: the sentences that a summary may quote, and the small types that all its authors
share. Does not belong here: which sentences matter (``extractive``), titles, prompts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.summaries import Citation, SummaryMethod

_PARAGRAPH = re.compile(r"\S(?:.*?\S)??(?=\s*(?:\n[^\S\n]*\n|\Z))", re.DOTALL)
_LINE = re.compile(r"\S[^\n]*")
_IS_TABLE = re.compile(r" \| |\t")
"""Between the cells of a row; each row of a table is a line."""


@dataclass(frozen=True, slots=True)
class TextTools:
    """What summaries need to know of languages and of the embedding model.

    ``sentence_starts`` yields the offsets in ``text[start:end]`` at which the second and later
    sentences begin. ``token_counts`` counts the embedding model's tokens of each text, special
    tokens included. ``features`` are what two texts can have in common: words that say something,
    in lower case, and parts of words where there are no blanks. ``key_phrases`` returns of each
    text at most so many phrases that tell it from the others, the best first.
    """

    sentence_starts: Callable[[str, int, int], Iterable[int]]
    token_counts: Callable[[Sequence[str]], Sequence[int]]
    features: Callable[[str], AbstractSet[str]]
    key_phrases: Callable[[Sequence[str], int], Sequence[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Written:
    """A summary's text, its tokens of the embedding model (special ones included) and sources."""

    text: str
    tokens: int
    citations: tuple[Citation, ...]
    method: SummaryMethod


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the slice without the blanks at its ends."""
    stretch = text[start:end].rstrip()
    return start + len(stretch) - len(stretch.lstrip()), start + len(stretch)


def shown(text: str, start: int, end: int) -> str:
    """Return ``text[start:end]`` on one line."""
    return " ".join(text[start:end].split())


def sentences(
    chunks: Sequence[Chunk],
    sentence_starts: Callable[[str, int, int], Iterable[int]],
) -> list[list[tuple[int, int]]]:
    """Return where the sentences of each chunk are, those of overlapping chunks in one of them.

    A paragraph ends the sentence; a row of a table is one. Of a sentence that one chunk cuts off
    and another has whole, the whole one is returned.
    """
    spans = [list(_spans(chunk.text, sentence_starts)) for chunk in chunks]
    repeated = _repeated(chunks, spans)
    return [
        [span for span in each if (place, span) not in repeated] for place, each in enumerate(spans)
    ]


def _spans(
    text: str, sentence_starts: Callable[[str, int, int], Iterable[int]]
) -> Iterator[tuple[int, int]]:
    for paragraph in _PARAGRAPH.finditer(text):
        start, end = paragraph.span()
        if _IS_TABLE.search(paragraph[0]):
            yield from (line.span() for line in _LINE.finditer(text, start, end))
        else:
            for border, following in pairwise((start, *sentence_starts(text, start, end), end)):
                yield trimmed(text, border, following)


def _repeated(
    chunks: Sequence[Chunk], spans: Sequence[Sequence[tuple[int, int]]]
) -> set[tuple[int, tuple[int, int]]]:
    """Return the sentences that stand within one of another chunk, as (chunk, span)."""
    by_place = sorted(
        (chunk.document_id, chunk.start + start, -(chunk.start + end), place, (start, end))
        for place, chunk in enumerate(chunks)
        if len(chunk.text) == chunk.end - chunk.start  # else offsets are not the document's
        for start, end in spans[place]
    )
    found = set()
    document_id, reached = "", 0
    for document, _, minus_end, place, span in by_place:
        if document != document_id:
            document_id, reached = document, 0
        if -minus_end <= reached:
            found.add((place, span))
        reached = max(reached, -minus_end)
    return found
