"""Where sentences begin, in Latin and East Asian scripts, without a model.

East Asian sentences end without a blank: at a full-width stop, at an ellipsis before a quote, at
an ASCII "!" or "?" between East Asian letters. Quotes and brackets that close after the stop belong
to the sentence; in Japanese it may go on behind them ("「はい。」と言った。").

Belongs here: the rules. Does not belong here: packing sentences into chunks. A missed border only
makes a chunk less even, a wrong one cuts a sentence, so the rules err on the side of missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TERMINALS = ".!?…؟।۔"  # noqa: RUF001
_CLOSERS = "\"'”’»)]"  # noqa: RUF001
_EAST_STOPS = "。！？｡；"  # noqa: RUF001
_EAST_CLOSERS = "」』”’）】》〉〕"  # noqa: RUF001
_EAST_OPENERS = "「『“‘（【《〈〔"  # noqa: RUF001
_EAST_LETTER = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]"
_CLOSED = rf"[{_EAST_CLOSERS}]++(?![とっのはがをも])"
_CANDIDATE = re.compile(
    rf"(?<=[{re.escape(_TERMINALS + _CLOSERS)}])\s+"
    rf"|(?<![{_EAST_STOPS}])[{_EAST_STOPS}]++(?:{_CLOSED}|(?![{_EAST_CLOSERS}]))\s*"
    rf"|(?<!…)…{{2,}}+(?:{_CLOSED}\s*|(?=[{_EAST_OPENERS}]))"
    rf"|(?<={_EAST_LETTER})[!?]+(?={_EAST_LETTER})"
)
_LAST_WORD = re.compile(r"[\w.]*$")
_LONGEST_TAIL = 24
_ABBREVIATION = re.compile(
    r"(?:[^\W\d_]\.)*[^\W\d_]|al|approx|bzw|ca|cf|co|corp|dept|dr|eqs?|figs?|inc|jr|ltd|mrs?|ms|"
    r"nos?|nr|pp?|prof|refs?|resp|secs?|sr|st|tab|vgl|vols?|vs",
    re.IGNORECASE,
)
"""Initials (also "e.g", "U.S") and words that are written with a full stop."""


def sentence_starts(text: str, start: int, end: int) -> Iterator[int]:
    """Yield the offsets in ``text[start:end]`` at which the second and later sentences begin."""
    for match in _CANDIDATE.finditer(text, start, end):
        border = match.end()
        if border < end and (not match[0].isspace() or _ends_sentence(text, match.start(), border)):
            yield border


def _ends_sentence(text: str, blank: int, following: int) -> bool:
    """Judge the blanks at ``text[blank:following]``, which stand after a terminal or a closer."""
    tail = text[max(0, blank - _LONGEST_TAIL) : blank].rstrip(_CLOSERS)
    if not tail or tail[-1] not in _TERMINALS or text[following].islower():
        return False
    word = _LAST_WORD.search(tail, 0, len(tail) - 1)
    return tail[-1] != "." or word is None or not _ABBREVIATION.fullmatch(word[0])
