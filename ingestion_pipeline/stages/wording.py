"""What summaries and titles must know of texts in some language.

Belongs here: which language a group of texts is in, and the tools for it. Does not belong here:
what is done with them (``summarising``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

from ingestion_pipeline.chunking.sentences import sentence_starts
from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment.keywords import keywords
from ingestion_pipeline.enrichment.words import features
from ingestion_pipeline.languages import language_of
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.summarising.text import TextTools
from ingestion_pipeline.summarising.titles import titles

TokenCounts = Callable[[Sequence[str]], Sequence[int]]

_SAMPLES = 5
"""Texts of a group whose language is told; it takes half a millisecond each."""


def text_tools(texts: Sequence[str], token_counts: TokenCounts, control: Control) -> TextTools:
    """Return the tools for the language that most of some texts are in, by a sample."""
    spoken = language(texts)

    def key_phrases(texts: Sequence[str], limit: int) -> list[tuple[str, ...]]:
        chunks = [Chunk("", "", place, text, 0, 0, 0) for place, text in enumerate(texts)]
        return keywords(chunks, limit, spoken, control)

    return TextTools(
        sentence_starts=sentence_starts,
        token_counts=token_counts,
        features=lambda text: _features(text, spoken),
        key_phrases=key_phrases,
    )


def sibling_titles(groups: Sequence[Sequence[str]], control: Control) -> list[str]:
    """Return a title for each of some groups of texts, which tells it from the others."""
    firsts = [text for group in groups for text in group[:1]]
    return titles(groups, text_tools(firsts, _uncounted, control))


@lru_cache(maxsize=1 << 13)
def _features(sentence: str, spoken: str | None) -> AbstractSet[str]:
    """All summaries and reports above a sentence ask for the same."""
    return features(sentence, spoken)


def _uncounted(texts: Sequence[str]) -> Sequence[int]:
    """Titles are not counted in tokens."""
    return [0] * len(texts)


def language(texts: Sequence[str]) -> str | None:
    """Return the language of most of a sample; of two alike, the one that comes first."""
    step = max(1, len(texts) // _SAMPLES)
    found = Counter(filter(None, map(language_of, texts[::step])))
    return found.most_common(1)[0][0] if found else None
