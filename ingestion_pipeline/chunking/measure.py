"""Measuring text in tokens.

Belongs here: what a chunker asks of a tokenizer, and a whole document tokenised once so that
any slice of it is measured by two binary searches. Does not belong here: where to cut.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

LONGEST_TOKEN = 32
"""Characters from which on a stretch counts as several tokens.

A tokenizer may call a word of 100 kB one unknown token, and a stretch of blanks none. Counting
at least one token per 32 characters keeps chunks readable: at most 32 times the cap.
"""
_BLOCK = 256
"""Tokens that are looked up together."""
_BLOCKS_AT_HAND = 16


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
        self._starts = _Starts(tokenizer.token_starts(text), len(text))

    def tokens(self, start: int, end: int) -> int:
        """Count the tokens that begin in ``text[start:end]``."""
        return self._starts.before(end) - self._starts.before(start)

    def advance(self, start: int, tokens: int) -> int:
        """Return the offset that lies ``tokens`` tokens (negative: back) from ``start``."""
        index = self._starts.before(start) + tokens
        if index < 0:
            return 0
        return self._starts[index] if index < len(self._starts) else len(self._text)

    def word_near(self, target: int, lowest: int, highest: int) -> int | None:
        """Return where a word begins: the last one at or before ``target``, else the next.

        Only offsets in ``lowest..highest`` count; None if no word begins there.
        """
        index = self._starts.before(target)
        first = self._starts.before(lowest)
        last = min(self._starts.before(highest), len(self._starts) - 1)
        for candidate in (*range(min(index, last), first - 1, -1), *range(index + 1, last + 1)):
            offset = self._starts[candidate]
            if lowest <= offset <= highest and self._text[offset - 1].isspace():
                return offset
        return None


class _Starts:
    """Where tokens begin, a byte for each: how far from the one before, never over the longest."""

    def __init__(self, starts: Iterable[int], length: int) -> None:
        self._steps = bytearray()
        position = 0
        for start in starts:
            while start - position > LONGEST_TOKEN:
                position += LONGEST_TOKEN
                self._steps.append(LONGEST_TOKEN)
            self._steps.append(start - position)
            position = start
        while length - position > LONGEST_TOKEN:
            position += LONGEST_TOKEN
            self._steps.append(LONGEST_TOKEN)
        blocks = range(0, len(self._steps), _BLOCK)
        sums = (sum(self._steps[first : first + _BLOCK]) for first in blocks)
        self._borders: array[int] = array("Q", accumulate(sums, initial=0))
        self._block = lru_cache(_BLOCKS_AT_HAND)(self._unpacked)

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: int) -> int:
        """Return where a token begins."""
        block, within = divmod(index, _BLOCK)
        return self._block(block)[within + 1]

    def before(self, offset: int) -> int:
        """Return how many tokens begin before an offset."""
        block = bisect_left(self._borders, offset, lo=1) - 1
        if block == len(self._borders) - 1:
            return len(self._steps)
        return block * _BLOCK + bisect_left(self._block(block), offset, lo=1) - 1

    def _unpacked(self, block: int) -> list[int]:
        """Return where the last token before a block begins, then its own."""
        steps = self._steps[block * _BLOCK : (block + 1) * _BLOCK]
        return list(accumulate(steps, initial=self._borders[block]))
