"""Keywords: the words and phrases that tell a chunk from the rest of its document.

Belongs here: keywords by statistics, and by a language model. Does not belong here: what a word is
(``words``).

The statistics are class-based TF-IDF (Grootendorst 2022, BERTopic) with a chunk as the class: a
term's count in the chunk times ``log(1 + A / f)``, for ``A`` words in an average chunk and ``f``
occurrences in all of them. Phrases of up to three words weigh more and take the counts of the
words within them, as in C-value (Frantzi 2000); what comes early weighs more, headings first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment.asking import Asked, items, quoted
from ingestion_pipeline.enrichment.words import (
    BREAK,
    east_asian_words,
    stop_words,
    weak_words,
    words,
)
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.chunks import Chunk

WINDOW = 1000
"""Chunks that are compared with each other; it bounds the memory that a long document takes."""
_LONGEST_PHRASE = 3
_SEPARATORS = r"[,，、;；\n]"  # noqa: RUF001
_LONGEST_KEYWORD = 60
"""Characters; a model that answers with sentences has not understood."""
_EARLY = 0.5
"""How much more a term weighs at the very beginning than at the end."""
_LEAST_TOGETHER = 0.15
"""Share of the rarer word's occurrences that are in a phrase; less is no phrase."""


def keywords(
    chunks: Sequence[Chunk], limit: int, language: str | None, control: Control | None = None
) -> list[tuple[str, ...]]:
    """Return at most ``limit`` keywords of each chunk, best first, in the order of the chunks."""
    if limit == 0:
        return [()] * len(chunks)
    found: list[tuple[str, ...]] = []
    for start in range(0, len(chunks), WINDOW):
        if control:
            control.check()
        texts = [_with_heading(chunk) for chunk in chunks[start : start + WINDOW]]
        found += _of_window(texts, limit, language)
    return found


def asked_keywords(text: str, limit: int, llm: ChatModel, control: Control) -> Asked[str]:
    """Return at most ``limit`` keywords that a language model gives, the most important first."""
    answer = llm.chat(
        f"You find keywords. Give the {limit} most important keywords or key phrases of the text, "
        "in the language of the text, most important first, each of at most five words. "
        "Answer with the keywords only, separated by commas.",
        quoted(text),
        max_tokens=64 + 16 * limit,
        temperature=0.2,
        control=control,
    )
    return Asked(items(answer.text, _SEPARATORS, limit, _LONGEST_KEYWORD), answer.tokens)


def _with_heading(chunk: Chunk) -> str:
    heading = chunk.heading_path[-1] if chunk.heading_path else ""
    return chunk.text if chunk.text.startswith(heading) else f"{heading}\n\n{chunk.text}"


def _of_window(texts: Sequence[str], limit: int, language: str | None) -> list[tuple[str, ...]]:
    stops = stop_words(language)
    forms = _Forms()
    sequences = []
    for text, east_asian in zip(texts, east_asian_words(texts), strict=True):
        written, keys = words(text, stops)
        forms.saw(written, keys)
        sequences.append([*keys, *(each for word in east_asian for each in (BREAK, word))])
    terms = [_terms(sequence) for sequence in sequences]
    totals = _telling(Counter(chain.from_iterable(terms)))
    average = sum(map(len, sequences)) / max(1, len(sequences))
    best = (
        _best(Counter(filter(totals.__contains__, each)), sequence, totals, average)
        for each, sequence in zip(terms, sequences, strict=True)
    )
    return [tuple(map(forms.usual, _distinct(ranked, limit))) for ranked in best]


class _Forms:
    """How words are written: small if they are anywhere, else as they came first."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._small: set[str] = set()

    def saw(self, written: Sequence[str], keys: Sequence[str]) -> None:
        for key, each in zip(keys, written, strict=True):
            self._first.setdefault(key, each)
        self._small.update(written)

    def usual(self, term: str) -> str:
        return " ".join(map(self._usual_word, term.split(" ")))

    def _usual_word(self, key: str) -> str:
        first = self._first.get(key, key)
        return key if key in self._small or first.lower() != key else first


def _terms(sequence: Sequence[str]) -> list[str]:
    """Return the words of a sequence, and its phrases of two and three words."""
    second, third = sequence[1:], sequence[2:]
    pairs = zip(sequence, second, strict=False)
    triples = zip(sequence, second, third, strict=False)
    return [
        *filter(None, sequence),
        *(f"{a} {b}" for a, b in pairs if a and b),
        *(f"{a} {b} {c}" for a, b, c in triples if a and b and c),
    ]


def _telling(totals: Counter[str]) -> Counter[str]:
    """Return the words that say something, and the phrases whose words belong together."""
    weak = weak_words()
    telling: Counter[str] = Counter()
    for term, count in totals.items():
        if " " not in term:
            if term not in weak:
                telling[term] = count
        elif count > 1:
            parts = term.split(" ")
            together = count >= _LEAST_TOGETHER * min(totals[part] for part in parts)
            if together and not weak.issuperset(parts):
                telling[term] = count
    return telling


def _best(
    counts: Counter[str], sequence: Sequence[str], totals: Counter[str], average: float
) -> list[str]:
    """Return the terms of a chunk by their weight, the heaviest first."""
    first, length = _first_places(sequence), len(sequence)
    within = _within(counts)
    scores = {}
    for term, count in counts.items():
        alone = count - within.get(term, 0)
        if alone > 0:
            head, *rest = term.split(" ")
            early = 1 + _EARLY * (1 - first[head] / length)
            rarity = math.log(1 + average / totals[term])
            scores[term] = alone * rarity * early * math.log2(2 + len(rest))
    return sorted(scores, key=lambda term: (-scores[term], term))


def _within(counts: Counter[str]) -> dict[str, int]:
    """Return how often each term occurs as a part of the longer phrase that has it most often."""
    within: dict[str, int] = {}
    for term, count in counts.items():
        if " " in term:
            parts = term.split(" ")
            for part in (*parts, " ".join(parts[1:]), " ".join(parts[:-1])):
                within[part] = max(within.get(part, 0), count)
    return within


def _first_places(sequence: Sequence[str]) -> dict[str, int]:
    """Return where each word stands first."""
    return dict(zip(reversed(sequence), range(len(sequence) - 1, -1, -1), strict=True))


def _distinct(terms: Sequence[str], limit: int) -> list[str]:
    """Return the first terms, of a singular and its plural the better one."""
    chosen: dict[str, str] = {}
    for term in terms:
        chosen.setdefault(term.removesuffix("s"), term)
        if len(chosen) == limit:
            break
    return list(chosen.values())
