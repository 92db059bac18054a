"""The names that a document gives: its title, its headings, what it defines and abbreviates.

Belongs here: what a document itself says to be a name, told from its structure and from fixed turns
of phrase. Does not belong here: names that only their spelling or grammar tells (``linguistic``,
``fallback``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from ingestion_pipeline.graph.normal_form import normal_form
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.graph import Term, TermKind

_LONGEST_NAME = 8
"""Words; what is longer is a sentence, which no other document repeats."""
_QUOTED = r"[\"“„«]([^\"”“„»«\n]{2,60})[\"”“»]"
_DEFINED = re.compile(
    rf"{_QUOTED}\s+(?:means|mean|shall mean|has the meaning|refers? to|is defined|denotes|"
    r"bedeutet|bezeichnet|désigne|signifie|significa|betekent)\b"
    rf"|\((?:the|this|each|collectively|hereinafter)\b[^()\"“]{{0,40}}{_QUOTED}\)"
)
_BRACKET = re.compile(r"\(([^\W_](?:[\w&./-]{1,9}|[\w&./-]{0,6} \w{1,4}))\)")
_BORDER = re.compile(r"[.;:] |[()\n]")
"""What no long form reaches beyond."""
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"^\d{1,2}(?:\.\d+)*[.):]?\s+|^(?:[ivxlc]+|[IVXLC]+|[a-zA-Z])[.):]\s+")
"""Of a heading, as in "1.2 Scope", "iv) Scope", "A. Scope"."""


def terms(title: str | None, chunks: Sequence[Chunk]) -> tuple[Term, ...]:
    """Return the names that a document gives, each once, those of the whole document first."""
    headings = dict.fromkeys(each for chunk in chunks for each in chunk.heading_path)
    defined = (_defined(chunk.text) for chunk in chunks)
    found = chain(
        [Term(title, TermKind.TITLE)] if title else [],
        (Term(_NUMBER.sub("", heading), TermKind.HEADING) for heading in headings),
        (Term(each, TermKind.DEFINED) for each in chain.from_iterable(defined)),
    )
    names = {normal_form(term.text): term for term in reversed([*found]) if _is_name(term.text)}
    return tuple(reversed([term for key, term in names.items() if key]))


def abbreviations(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a text abbreviates, as in "magnetic resonance imaging (MRI)", short form first.

    After Schwartz & Hearst (2003): every letter of the short form, in its order, stands in the few
    words before it, the first of them at the beginning of a word.
    """
    for bracket in _BRACKET.finditer(text):
        short = bracket[1]
        if any(map(str.isupper, short)) and (long := _long_form(short, text[: bracket.start()])):
            yield short, long


def _is_name(text: str) -> bool:
    return len(_WORD.findall(text)) <= _LONGEST_NAME


def _defined(text: str) -> Iterator[str]:
    for found in _DEFINED.finditer(text):
        yield (found[1] or found[2]).strip(" ,.")


def _long_form(short: str, before: str) -> str:
    letters = [letter for letter in short.casefold() if letter.isalnum()]
    most = min(len(letters) + 5, 2 * len(letters))
    before = before[-40 * most :].rstrip()
    before = _BORDER.split(before)[-1]
    starts = [word.start() for word in _WORD.finditer(before)][-most:]
    position = len(before)
    lower = before.casefold()
    if not starts or len(lower) != position:
        return ""
    for letter in reversed(letters[1:]):
        position = lower.rfind(letter, starts[0], position)
        if position < 0:
            return ""
    fitting = [start for start in starts if start < position and lower[start] == letters[0]]
    long = before[fitting[-1] :] if fitting else ""
    return long if len(long) > len(short) else ""
