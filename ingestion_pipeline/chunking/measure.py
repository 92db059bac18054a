"""Measuring text in tokens.

Belongs here: what a chunker asks of a tokenizer, and a whole document tokenised once so that
any slice of it is measured by two binary searches. Does not belong here: where to cut.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Protocol

LONGEST_TOKEN = 32
"""Characters from which on a stretch counts as several tokens.

A tokenizer may call a word of 100 kB one unknown token, and a stretch of blanks none. Counting
at least one token per 32 characters keeps chunks readable: at most 32 times the cap.
"""


class Tokenizer(Protocol):
    """What a chunker needs to know of the embedding model's tokenizer."""

    @property
    def special_tokens_per_text(self) -> int:
        """How many tokens the model adds to every text."""

    def token_starts(self, text: str) -> Iterable[int]:
        """Return the offset of the first character of each token, ascending."""

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text as the model sees it, special tokens included."""


class Ruler:
    """A text tokenised once; measures any of its slices without tokenising again.

    The measure is close, not exact: a slice that is cut within a word can tokenise differently.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self._text = text
        self._starts: array[int] = array(
            "I", _without_gaps(tokenizer.token_starts(text), len(text))
        )

    def tokens(self, start: int, end: int) -> int:
        """Count the tokens that begin in ``text[start:end]``."""
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def advance(self, start: int, tokens: int) -> int:
        """Return the offset that lies ``tokens`` tokens (negative: back) from ``start``."""
        index = bisect_left(self._starts, start) + tokens
        if index < 0:
            return 0
        return self._starts[index] if index < len(self._starts) else len(self._text)

    def word_near(self, target: int, lowest: int, highest: int) -> int | None:
        """Return where a word begins: the last one at or before ``target``, else the next.

        Only offsets in ``lowest..highest`` count; None if no word begins there.
        """
        index = bisect_left(self._starts, target)
        first = bisect_left(self._starts, lowest)
        last = min(bisect_left(self._starts, highest), len(self._starts) - 1)
        for candidate in (*range(min(index, last), first - 1, -1), *range(index + 1, last + 1)):
            offset: int = self._starts[candidate]
            if lowest <= offset <= highest and self._text[offset - 1].isspace():
                return offset
        return None


def _without_gaps(starts: Iterable[int], length: int) -> Iterable[int]:
    position = 0
    for start in starts:
        yield from range(position + LONGEST_TOKEN, start, LONGEST_TOKEN)
        yield start
        position = start
    yield from range(position + LONGEST_TOKEN, length, LONGEST_TOKEN)
