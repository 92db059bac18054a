"""What reading a passage gives: its sentences, what they name, and what they state.

Belongs here: the form between those who read texts (``linguistic``, ``fallback``) and those who
make graphs of what was read (``document_graph``). Does not belong here: reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ingestion_pipeline.control import Control
from ingestion_pipeline.model.graph import EntityType


@dataclass(frozen=True, slots=True)
class Span:
    """Where a text names something; ``key`` is the normal form of that name."""

    start: int
    end: int
    type: EntityType
    key: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What a sentence states of two spans, all by their positions in the reading."""

    sentence: int
    subject: int
    predicate: str
    object: int
    negated: bool


@dataclass(frozen=True, slots=True)
class Passage:
    """A text, its language, and the spans that are known to be names before it is read."""

    text: str
    language: str | None = None
    names: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a passage says; ``sentences`` (start, end) and ``spans`` are ascending and disjoint.

    Every span lies within a sentence. ``abbreviations`` are pairs of keys, short and long.
    """

    sentences: tuple[tuple[int, int], ...]
    spans: tuple[Span, ...]
    statements: tuple[Statement, ...] = ()
    abbreviations: tuple[tuple[str, str], ...] = ()


class Reader(Protocol):
    """Reads passages of the languages that it knows."""

    def __call__(self, passages: Iterable[Passage], control: Control) -> Iterator[Reading]:
        """Yield the reading of each passage, asking ``control`` several times a second."""


def disjoint(spans: Iterable[Span]) -> list[Span]:
    """Return the longest of the spans that overlap, of equal ones the first, in text order."""
    chosen: list[Span] = []
    taken: set[int] = set()
    for span in sorted(spans, key=lambda each: each.start - each.end):
        if taken.isdisjoint(range(span.start, span.end)):
            taken.update(range(span.start, span.end))
            chosen.append(span)
    return sorted(chosen, key=lambda each: each.start)


def preferred(named: Sequence[Span], known: Sequence[Span]) -> list[Span]:
    """Return both, a known name with the type that it has where it is recognised as well."""
    types = {(span.start, span.end): span.type for span in named}
    return [
        *(
            Span(span.start, span.end, types.get((span.start, span.end), span.type), span.key)
            for span in known
        ),
        *named,
    ]


def within(sentences: Sequence[tuple[int, int]], spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the spans that lie within one of the sentences; both are ascending."""
    place = 0
    for span in spans:
        while place < len(sentences) and sentences[place][1] < span.end:
            place += 1
        if place < len(sentences) and sentences[place][0] <= span.start:
            yield span
