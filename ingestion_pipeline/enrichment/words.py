"""Which words and phrases texts consist of, in any of the known languages, without a model.

Belongs here: words, stop words, and where phrases end. Does not belong here: which of them matter
(``keywords``, ``tags``).

Chinese is cut with a vocabulary learned from the texts themselves: character sequences that come
back, that hold together (pointwise mutual information), and that no longer sequence explains.
Japanese is cut where the script changes. Korean words lose their commonest particles. Thai, Lao,
Khmer and Burmese, also written without blanks, are cut at punctuation only.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import chain

_WORD_CHARACTER = (
    r"[\w\u0300-\u036f\u05b0-\u05c7\u064b-\u0652\u0900-\u0963\u0966-\u0dff"
    r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u200c\u200d]"
)
"""Letters, digits, and the marks that vowels are in some scripts."""
_TOKEN = re.compile(rf"{_WORD_CHARACTER}+(?:[-.]{_WORD_CHARACTER}+)*|\n(?![a-zß-öø-ÿа-я])|\S")
"""A line that goes on with a small letter is the same phrase, any other line is not."""
_ADDRESS = re.compile(r"(?<!\S)\S*(?:://|@|www\.)\S*")
_EAST_ASIAN = re.compile(r"[\u3005\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_KANA = re.compile(r"[\u3040-\u30ff]")
_JAPANESE_WORD = re.compile(r"[\u3005\u3400-\u9fff]{2,10}|[\u30a1-\u30fa\u30fc]{2,20}")
_HANGUL = re.compile(r"[\uac00-\ud7a3]+")
_PARTICLE = re.compile(
    r"(?<=[\uac00-\ud7a3]{2})(?:에서는|으로는|에게서|입니다|합니다|했다|한다|에서|에게|으로|부터|까지|"
    r"처럼|보다|이다|하는|되는|하고|하여|들은|들의|들이|은|는|이|가|을|를|의|에|로|과|와|도|만)$"
)
_CHINESE_BREAK = re.compile(
    "因此|因为|所以|但是|如果|虽然|以及|或者|并且|而且|不仅|例如|通过|由于|对于|关于|根据|按照|为了|"
    "我们|你们|他们|自己|这个|那个|这些|那些|一个|一些|一种|许多|没有|不是|可以|能够|可能|应当|应该|需要|"
    "必须|已经|正在|进行|得到|其中|其他|之间|之后|之前|同时|以上|以下|什么|如何|怎么|"
    "[的了是在和與与及或也都而就被把这這那其们們吗嗎呢吧着著很]"
)
"""Words and characters that say nothing, and so end words that do."""
_LONGEST_WORD = 40
_LONGEST_CHINESE = 6
_LONGEST_UNKNOWN = 4
_LEAST_COHESION = 1.5
"""Natural logarithm: how much oftener a sequence comes than its parts would meet by chance."""
_EXPLAINED = 0.7
"""Share of its occurrences in one longer sequence, from which on a sequence is a part of it."""

BREAK = ""
"""Stands between words that are not of one phrase."""


_ENGLISH = """
a about above across actually after again against all almost along already also although always am
among an and another any anyone anything are aren around as at away back be became because become
becomes been before began behind being below best better between both but by called came can
cannot come comes could couldn did didn different do does doesn doing don done down due during
each either else enough especially etc even ever every everything few fewer find first five for
found four from full further gave get gets getting give given gives go goes going gone good got
great had hadn has hasn have haven having he hence her here hers herself him himself his how
however i if in including indeed instead into is isn it its itself just keep keeps kept knew know
known last later least less let like likely little ll long longer look looked made mainly make
makes making many may maybe me might mine more moreover most mostly much must my myself near
nearly need needs neither never nevertheless new next no nobody none nor not nothing now of off
often old on once one only onto or other others otherwise our ours ourselves out over own
particular particularly per perhaps put quite rather re really recent recently regarding
respectively said same saw say says second see seem seemed seems seen several shall she should
shouldn show showed shown shows since six so some someone something sometimes somewhat soon still
such take taken takes tell ten than that the their theirs them themselves then there thereby
therefore these they thing things think third this those though three through throughout thus till
to together told too took toward towards two under unless until unlike up upon us use used uses
using usually various ve very via want was wasn way ways we well went were weren what whatever
when where whereas whether which while who whole whom whose why will with within without won would
wouldn yes yet you your yours yourself
"""
"""Words without a meaning of their own, which end phrases; the usual lists hold nouns as well."""


@cache
def stop_words(language: str | None) -> frozenset[str]:
    """Return the words of a language that say nothing, with English ones, as names mix both in."""
    if language == "en":
        return frozenset(_ENGLISH.split())
    english, others = stop_words("en"), _listed(language)
    # The same object where nothing is added: a cache compares two that are equal word by word.
    return english | others if others else english


@cache
def weak_words() -> frozenset[str]:
    """Return English words that say nothing alone, but may in a phrase: "operating system"."""
    return _listed("en") - stop_words("en")


def _listed(language: str | None) -> frozenset[str]:
    from stopwordsiso import has_lang, stopwords

    return frozenset(stopwords(language)) if language and has_lang(language) else frozenset()


def words(text: str, stops: frozenset[str]) -> tuple[list[str], list[str]]:
    """Return the words of a text as they are written, and in lower case.

    In the second list every word that says nothing, every number and every mark is ``BREAK``.
    East Asian words are not among them; see ``east_asian_words``.
    """
    if "://" in text or "@" in text or "www." in text:
        text = _ADDRESS.sub(" . ", text)
    written = _TOKEN.findall(_EAST_ASIAN.sub(" . ", text))
    keys = list(map(str.lower, written))
    meant = {key: _meant(key, stops) for key in set(keys)}
    return written, [meant[key] for key in keys]


@lru_cache(maxsize=1 << 16)
def _meant(key: str, stops: frozenset[str]) -> str:
    """Return the word if it says something, else ``BREAK``."""
    if _HANGUL.fullmatch(key):
        key = _PARTICLE.sub("", key)
    says_something = 1 < len(key) <= _LONGEST_WORD and key not in stops and _is_mostly_letters(key)
    return key if says_something else BREAK


def _is_mostly_letters(key: str) -> bool:
    return key.isalpha() or 2 * sum(map(str.isalpha, key)) >= len(key)


def features(text: str, language: str | None) -> set[str]:
    """Return what two texts can have in common: words, and pairs of East Asian characters."""
    _, keys = words(text, stop_words(language))
    pairs = {run[i : i + 2] for run in _runs(text) for i in range(len(run) - 1)}
    return (set(keys) | pairs) - {BREAK}


def east_asian_words(texts: Sequence[str]) -> list[list[str]]:
    """Return the Chinese or Japanese words of each text; the Chinese ones are learned from all."""
    runs = [_runs(text) for text in texts]
    if any(map(_KANA.search, chain.from_iterable(runs))):
        return [_JAPANESE_WORD.findall(text) for text in texts]
    vocabulary = _learned(list(chain.from_iterable(runs)))
    return [[word for run in each for word in _cut(run, vocabulary)] for each in runs]


def _runs(text: str) -> list[str]:
    """Return the sequences of characters between marks, blanks and function words."""
    runs = _EAST_ASIAN.findall(text)
    if any(map(_KANA.search, runs)):
        return runs
    return [part for run in runs for part in _CHINESE_BREAK.split(run) if len(part) > 1]


def _cut(run: str, vocabulary: frozenset[str]) -> list[str]:
    """Cut a run at the longest known words; what is left between them may be a word too."""
    found = []
    start = rest = 0
    while start < len(run):
        length = _known(run, start, vocabulary)
        if length:
            found += [run[rest:start], run[start : start + length]]
            rest = start + length
        start += length or 1
    found.append(run[rest:])
    return [word for word in found if word in vocabulary or 1 < len(word) <= _LONGEST_UNKNOWN]


def _known(run: str, start: int, vocabulary: frozenset[str]) -> int:
    """Return the length of the longest known word at an offset, 0 if there is none."""
    for length in range(min(_LONGEST_CHINESE, len(run) - start), 1, -1):
        if run[start : start + length] in vocabulary:
            return length
    return 0


def _learned(runs: Sequence[str]) -> frozenset[str]:
    counts = Counter(chain.from_iterable(runs))
    characters = counts.total()
    for length in range(2, _LONGEST_CHINESE + 2):
        counts.update(run[i : i + length] for run in runs for i in range(len(run) - length + 1))
    repeated = {gram: count for gram, count in counts.items() if count > 1 and len(gram) > 1}
    explained: Counter[str] = Counter()
    for gram, count in repeated.items():
        for part in (gram[1:], gram[:-1]):
            explained[part] = max(explained[part], count)
    return frozenset(
        gram
        for gram, count in repeated.items()
        if len(gram) <= _LONGEST_CHINESE
        and explained[gram] < _EXPLAINED * count
        and _cohesion(gram, counts, characters) >= _LEAST_COHESION
    )


def _cohesion(gram: str, counts: Counter[str], characters: int) -> float:
    by_chance = max(counts[gram[:i]] * counts[gram[i:]] for i in range(1, len(gram)))
    return math.log(counts[gram] * characters / by_chance)
