"""Finding known names in texts: the longest that begins at each word.

Belongs here: the names and how a text is searched for them. Does not belong here: which names are
known (``document_graph``, ``linking``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from ingestion_pipeline.graph.normal_form import (
    WORD_CHARACTER,
    normal_form,
    singular,
    without_remark,
)

_TOKEN = re.compile(
    r"[\u3005\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"  # written without blanks
    r"|(?:[^\W\d_]\.){2,}"
    rf"|{WORD_CHARACTER}+(?:[.,]\d+)*(?:['’]\w+)*"  # noqa: RUF001 - as it is printed
)
_APOSTROPHE = re.compile(r"['’](?:s$)?|\.(?!\d)")  # noqa: RUF001
_SENTENCE_END = re.compile(r"(?:^|[.!?:\n。！？])[\s\"'“‘(]*$")  # noqa: RUF001
_BORDER = re.compile(r"[|•;。；]|\n\s*(?:\n|[-*#])")  # noqa: RUF001
_LOOKED_BACK = 5
_LONG = 5
"""Letters; a name with no word as long may be a turn of phrase."""
_DETERMINERS = frozenset({"a", "an", "the"})


@dataclass(frozen=True, slots=True)
class Match:
    """A name that stands at ``text[start:end]``; ``key`` is its normal form."""

    start: int
    end: int
    key: str


@dataclass(frozen=True, slots=True)
class _Name:
    key: str
    capitals: tuple[bool, ...]


@dataclass(slots=True)
class Gazetteer:
    """Names by their words; the last word counts as the same in the plural.

    A name of one word, or of short words only, is found as it is written: with capitals where it
    has them, and if it has one only, not at the beginning of a sentence.
    """

    _names: dict[tuple[str, ...], _Name] = field(default_factory=dict)
    _lengths: dict[str, set[int]] = field(default_factory=dict)

    def add(self, name: str, key: str = "") -> None:
        """Have a name found under a key, that of its own normal form unless another is given.

        What stands in brackets behind it is no part of it.
        """
        name = without_remark(name)
        words = _words(name)
        if not words or not (key := key or normal_form(name)):
            return
        capitals = tuple(token[0].isupper() for token in _TOKEN.findall(name)[-len(words) :])
        self._names.setdefault(words, _Name(key, capitals))
        self._lengths.setdefault(words[0], set()).add(len(words))

    def matches(self, text: str) -> Iterator[Match]:
        """Yield the names in a text, from its beginning to its end, none within another."""
        tokens = list(_TOKEN.finditer(text))
        forms = [_form(token[0]) for token in tokens]
        # Hardly any word is the first one of a name.
        begins = [
            place
            for place, form in enumerate(forms)
            if form in self._lengths or (form[-1:] == "s" and singular(form) in self._lengths)
        ]
        reached = 0
        for place in begins:
            if place < reached:
                continue
            form = forms[place]
            lengths = self._lengths.get(form) or self._lengths[singular(form)]
            for length in sorted(lengths, reverse=True):
                end = place + length
                name = self._names.get(_key(forms[place:end])) if end <= len(forms) else None
                found = tokens[place:end]
                if name and _written_so(name, found) and not _parted(found):
                    yield Match(tokens[place].start(), _end(tokens[end - 1]), name.key)
                    reached = end
                    break


def _written_so(name: _Name, tokens: Sequence[re.Match[str]]) -> bool:
    if len(tokens) > 1 and max(len(token[0]) for token in tokens) >= _LONG:
        return True
    if any(
        capital and not token[0][0].isupper()
        for capital, token in zip(name.capitals, tokens, strict=True)
    ):
        return False
    start = tokens[0].start()
    before = tokens[0].string[max(0, start - _LOOKED_BACK) : start]
    return sum(name.capitals) != 1 or not _SENTENCE_END.search(before)


def _parted(tokens: Sequence[re.Match[str]]) -> bool:
    """Whether some of these words stand in different cells, lines of a list or paragraphs."""
    return any(
        _BORDER.search(one.string, one.end(), other.start()) for one, other in pairwise(tokens)
    )


def _words(name: str) -> tuple[str, ...]:
    forms = [_form(token) for token in _TOKEN.findall(name)]
    while len(forms) > 1 and forms[0] in _DETERMINERS:
        forms.pop(0)
    return _key(forms)


def _key(forms: list[str]) -> tuple[str, ...]:
    return (*forms[:-1], singular(forms[-1])) if forms else ()


@lru_cache(maxsize=2**16)
def _form(token: str) -> str:
    return _APOSTROPHE.sub("", unicodedata.normalize("NFKC", token).casefold())


def _end(token: re.Match[str]) -> int:
    """Return where a token ends, without the possessive."""
    text = token[0]
    return token.end() - (2 if text[-2:].casefold() in {"'s", "’s"} else 0)  # noqa: RUF001
