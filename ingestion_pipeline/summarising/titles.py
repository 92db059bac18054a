"""Titles of groups: a few phrases that tell a group from its siblings.

Belongs here: which phrases make a title. Does not belong here: which phrases a text has, told by
class-based TF-IDF with a group as the class, and titles that headings give (``tree``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, dropwhile

from ingestion_pipeline.summarising.text import TextTools

_CANDIDATES = 12
"""Phrases of a group that are looked at."""
_PHRASES = 3
_LONGEST = 60
"""Characters."""
_SEPARATOR = ", "


def titles(groups: Sequence[Sequence[str]], tools: TextTools) -> list[str]:
    """Return a title for each group of texts, cased as in the texts.

    A title that an earlier sibling has gets more phrases, as long as there are any. Where a group
    has no phrases its title is how it begins; it is "" only where there is no text.
    """
    phrases = tools.key_phrases(["\n\n".join(texts) for texts in groups], _CANDIDATES)
    shared = Counter(chain.from_iterable(map(set, phrases)))
    taken: set[str] = set()
    found = []
    for texts, own in zip(groups, phrases, strict=True):
        ranked = _disjoint(_telling(own, shared, len(groups)))
        title = _untaken(ranked, taken) or _beginning(texts)
        taken.add(title)
        found.append(title)
    return found


def _telling(phrases: Sequence[str], shared: Counter[str], groups: int) -> list[str]:
    """Return a group's phrases, those first that are good ones and that few siblings have."""

    def weight(rank: int) -> float:
        return math.log(1 + groups / shared[phrases[rank]]) / math.sqrt(1 + rank)

    return [phrases[rank] for rank in sorted(range(len(phrases)), key=lambda rank: -weight(rank))]


def _disjoint(phrases: Sequence[str]) -> list[str]:
    """Return the phrases that repeat no word of an earlier one."""
    said: set[str] = set()
    found = []
    for phrase in phrases:
        words = set(phrase.casefold().split())
        if not words & said:
            said |= words
            found.append(phrase)
    return found


def _untaken(phrases: Sequence[str], taken: set[str]) -> str:
    """Return the first title that no sibling has: of some phrases, or of these and more."""
    longer = list(_longer(phrases))
    usual = [title for title in longer[:_PHRASES] if len(title) <= _LONGEST] or longer[:1]
    further = dropwhile(taken.__contains__, (*usual[-1:], *longer[len(usual) :]))
    return next(further, (usual or [""])[-1])


def _longer(phrases: Sequence[str]) -> Iterator[str]:
    """Yield titles of one phrase, of two, and so on."""
    return accumulate(phrases, lambda title, phrase: f"{title}{_SEPARATOR}{phrase}")


def _beginning(texts: Sequence[str]) -> str:
    """Return the first words of the texts, or characters where a word is too long."""
    text = " ".join(" ".join(texts)[: 4 * _LONGEST].split()) or " ".join(" ".join(texts).split())
    if len(text) <= _LONGEST:
        return text
    start = text[: _LONGEST - 1]
    return (start.rpartition(" ")[0] or start) + "…"
