"""Summaries of sentences that stand in the chunks; each sentence cites its chunk.

Belongs here: which sentences are chosen. Does not belong here: where sentences are (``text``).

Sentences are chosen one after the other, each time the one that adds most (submodular summaries:
Lin & Bilmes 2011). Two things add up:

* how well the chosen ones stand for all others: facility location over the TF-IDF cosines of
  sentences, which is centrality and novelty at once;
* which words, names and numbers they cover that come more than once, each weighing as many
  sentences as have it; covering one again counts half as much each time.

Sentences count as much as their chunk is central, by the cosine of its embedding with the mean of
all; sentences are not embedded. What comes early weighs a little more, a long sentence has to add
more than a short one, and one of very few words ("He nodded.") counts in part.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.summaries import Citation, SummaryMethod
from ingestion_pipeline.summarising.text import TextTools, Written, sentences, shown, trimmed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_MOST_CANDIDATES = 1000
"""Sentences that are compared with each other; of a larger group the first ones of each chunk."""
_REPRESENTATION = 0.5
"""Weight of standing for others, against 1 for coverage."""
_NAME = 1.25
"""Weight of names and numbers, against 1 for words."""
_AGAIN = 0.5
"""What covering a word once more counts, of what it counted before."""
_EARLY = 0.2
"""How much more the first sentence weighs than the last."""
_LENGTH = 0.25
"""Power of a sentence's tokens that its gain is divided by."""
_TELLING = 6
"""Different words and numbers from which on a sentence counts in full."""
_LEAST_GAIN = 0.05
"""Of the first sentence's gain; less is not worth a line."""
_LEAST_CENTRAL = 0.01

_NUMBER = re.compile(r"\d(?:[\d.,:/-]*\d)?")
_CASED_WORD = re.compile(r"[^\W\d_]\w+")


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A candidate; ``place`` is its chunk's."""

    place: int
    start: int
    end: int
    text: str


def extract(
    chunks: Sequence[Chunk],
    vectors: NDArray[np.float32],
    max_tokens: int,
    tools: TextTools,
) -> Written:
    """Choose sentences of a group of chunks; equal input gives equal output.

    Args:
        chunks: The group in the order of the documents; may overlap. For a summary of summaries
            the chunks that these cite: it quotes chunks as well, and choosing anew among all their
            sentences gave better ones than choosing among those that were chosen before.
        vectors: Theirs, (chunks, dimension).
        max_tokens: The most tokens of the summary, special ones included.
        tools: What is known of the language and the embedding model.

    Returns:
        The sentences in the order of the chunks, one a line: line ``n`` is citation ``n``, its
        blanks aside. Empty where the chunks have no text, or ``max_tokens`` leaves no room.
    """
    special = tools.token_counts([""])[0]
    candidates, costs = _candidates(chunks, max_tokens - special, tools)
    if not candidates:
        return Written("", special, (), SummaryMethod.EXTRACTIVE)
    centrality = _centrality(vectors)[[sentence.place for sentence in candidates]]
    chosen = _chosen(candidates, costs, centrality, max_tokens - special, tools)
    return _written(chunks, [candidates[index] for index in chosen], max_tokens, tools)


def _candidates(
    chunks: Sequence[Chunk], room: int, tools: TextTools
) -> tuple[list[_Sentence], list[int]]:
    """Return the sentences to choose from, no two alike, and their tokens without special ones."""
    spans = sentences(chunks, tools.sentence_starts)
    found = [
        _Sentence(place, start, end, shown(chunk.text, start, end))
        for place, (chunk, each) in enumerate(zip(chunks, spans, strict=True))
        for start, end in each
    ]
    different = _different([each for each in found if any(map(str.isalnum, each.text))] or found)
    few = _first_of_each_chunk(different)
    fitting: list[_Sentence] = []
    costs: list[int] = []
    for sentence, cost in zip(few, _costs(few, tools), strict=True):
        for part, tokens in _parts(chunks, sentence, cost, room, tools):
            fitting.append(part)
            costs.append(tokens)
    return fitting, costs


def _different(found: Sequence[_Sentence]) -> list[_Sentence]:
    """Return the first of each text."""
    return list({each.text.casefold(): each for each in reversed(found)}.values())[::-1]


def _first_of_each_chunk(found: Sequence[_Sentence]) -> list[_Sentence]:
    """Return as many as can be compared: all first sentences before any second, and so on."""
    if len(found) <= _MOST_CANDIDATES:
        return list(found)
    before: Counter[int] = Counter()
    ranks = []
    for sentence in found:
        ranks.append(before[sentence.place])
        before[sentence.place] += 1
    kept = sorted(range(len(found)), key=lambda index: (ranks[index], index))[:_MOST_CANDIDATES]
    return [found[index] for index in sorted(kept)]


def _costs(found: Sequence[_Sentence], tools: TextTools) -> list[int]:
    special, *counts = tools.token_counts(["", *(each.text for each in found)])
    return [count - special for count in counts]


def _parts(
    chunks: Sequence[Chunk], sentence: _Sentence, cost: int, room: int, tools: TextTools
) -> Iterator[tuple[_Sentence, int]]:
    """Halve what leaves no room for others, at the end of a line; what does not fit, anywhere."""
    text = chunks[sentence.place].text
    border = _border(text, sentence, anywhere=cost > room) if 2 * cost > room else None
    if border is None:
        if 0 < cost <= room:
            yield sentence, cost
        return
    spans = trimmed(text, sentence.start, border), trimmed(text, border, sentence.end)
    halves = [_Sentence(sentence.place, *span, shown(text, *span)) for span in spans]
    for half, tokens in zip(halves, _costs(halves, tools), strict=True):
        yield from _parts(chunks, half, tokens, room, tools)


def _border(text: str, sentence: _Sentence, *, anywhere: bool) -> int | None:
    """Return where to halve: at a line's end, else, if ``anywhere``, at a blank or in a word."""
    start, end = sentence.start, sentence.end
    middle = (start + end) // 2
    blanks = [index for index in range(start + 1, end) if text[index].isspace()]
    lines = [index for index in blanks if text[index] == "\n"]
    if lines or (anywhere and blanks):
        return min(lines or blanks, key=lambda index: abs(index - middle))
    return middle if anywhere and middle > start else None


def _centrality(vectors: NDArray[np.float32]) -> Floats:
    """Return how like the mean of all vectors each is, rounded as its last digits are noise."""
    import numpy as np

    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    units = vectors / lengths
    mean = units.mean(axis=0)
    cosines: Floats = units @ mean / max(float(np.linalg.norm(mean)), 1e-12)
    return np.round(np.maximum(cosines, _LEAST_CENTRAL), 4).astype(np.float64)


def _chosen(
    candidates: Sequence[_Sentence],
    costs: Sequence[int],
    centrality: Floats,
    room: int,
    tools: TextTools,
) -> list[int]:
    """Return the indices of the sentences to show, the best first."""
    import numpy as np

    mentions = [tools.features(each.text) | set(_NUMBER.findall(each.text)) for each in candidates]
    has, similar, weights = _described(mentions, _names(candidates), centrality)
    weights /= max(float(weights.sum()), 1e-12)
    similar *= centrality[:, None]
    similar *= _REPRESENTATION / max(float(similar.max(axis=1).sum()), 1e-12)
    cost = np.asarray(costs, dtype=np.float64)
    early = 1 + _EARLY * np.linspace(1, 0, len(candidates))
    telling = np.minimum([len(each) / _TELLING for each in mentions], 1)
    favour = early * telling / cost**_LENGTH
    represented = np.zeros((len(candidates), 1))
    chosen: list[int] = []
    first_gain = 0.0
    free = np.full(len(candidates), fill_value=True)
    while (free := free & (cost <= room)).any():
        gains = has @ weights + np.maximum(similar - represented, 0).sum(axis=0)
        # Rounded, so that the order in which a sum was taken decides nothing.
        best = int(np.argmax(np.where(free, np.round(gains * favour, 9), -1)))
        first_gain = first_gain or float(gains[best])
        if gains[best] < _LEAST_GAIN * first_gain:
            break
        chosen.append(best)
        free[best] = False
        room -= costs[best]
        weights = np.where(has[best] > 0, weights * _AGAIN, weights)
        represented = np.maximum(represented, similar[:, best : best + 1])
    return chosen


def _described(
    mentions: Sequence[AbstractSet[str]], names: AbstractSet[str], centrality: Floats
) -> tuple[Floats, Floats, Floats]:
    """Describe sentences by the words and numbers that at least two of them have.

    Returns:
        Which sentence has which, (sentences, words); how alike sentences are, by TF-IDF cosines,
        (sentences, sentences); and how much each word weighs, (words,).
    """
    import numpy as np

    frequencies = Counter(chain.from_iterable(mentions))
    shared = sorted(term for term, count in frequencies.items() if count > 1)
    columns = {term: column for column, term in enumerate(shared)}
    has = np.zeros((len(mentions), len(shared)))
    alone = np.zeros(len(mentions))
    for row, terms in enumerate(mentions):
        has[row, [columns[term] for term in terms if term in columns]] = 1
        alone[row] = sum(term not in columns for term in terms)
    counts = np.array([frequencies[term] for term in shared], dtype=np.float64)
    rarity = np.log(1 + len(mentions) / counts)
    lengths = np.sqrt((has * rarity**2).sum(axis=1) + alone * np.log(1 + len(mentions)) ** 2)
    directions = has * rarity / np.maximum(lengths, 1e-12)[:, None]
    similar = directions @ directions.T
    np.fill_diagonal(similar, 1)
    boost = [_NAME if term in names or term[0].isdigit() else 1.0 for term in shared]
    weights = (centrality @ has) * np.array(boost)
    return has, similar, weights


def _names(candidates: Sequence[_Sentence]) -> set[str]:
    """Return the words, in lower case, that are only ever written with a capital letter."""
    words = set(chain.from_iterable(_CASED_WORD.findall(each.text) for each in candidates))
    small = {word for word in words if word[0].islower()}
    return {word.lower() for word in words if word[0].isupper()} - small


def _written(
    chunks: Sequence[Chunk], best: Sequence[_Sentence], max_tokens: int, tools: TextTools
) -> Written:
    """Join sentences in the order of the chunks, without the last chosen that are too many."""
    best = list(best)
    while True:
        ordered = sorted(best, key=lambda each: (each.place, each.start))
        text = "\n".join(each.text for each in ordered)
        tokens = tools.token_counts([text])[0]
        if tokens <= max_tokens or not best:
            break
        best.pop()
    citations = tuple(
        Citation(chunks[each.place].chunk_id, each.start, each.end) for each in ordered
    )
    return Written(text, tokens, citations, SummaryMethod.EXTRACTIVE)
