"""What Chinese sentences state of the things they name, by the order of their words.

Name, verb, name: also with a preposition ("与…结婚", "在…创立"), in the passive ("由", "被"), with
the object before the verb ("将", "把"), with several names side by side; and a person behind an
office ("总理李强"). A part of a sentence without a subject has that of the part before it. What is
denied is kept apart from what is said.

Belongs here: from words to statements. Does not belong here: the words (``chinese``).
"""

# ruff: noqa: RUF001 - punctuation as it is printed

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ingestion_pipeline.graph.reading import Span, Statement
from ingestion_pipeline.model.graph import EntityType

_DENIALS = """
没有 没 不 未 非 并非 并未 并不 并没有 从未 从不 尚未 未曾 不曾 未能 不能 不会 不再
无法 没能 绝不 拒绝 否认
"""
_CONJUNCTIONS = "、 和 与 及 以及 或 跟 同"
_COMPLEMENTS = "于 到 在 向 给 自 至 为 往 与"
_DENYING = frozenset(_DENIALS.split())
_DENYING_VERBS = {"不是": "是", "非": "是", "并非": "是", "没有": "有"}
"""Denials that are the verb themselves, and what they deny."""
_AGENTS = frozenset({"由", "被", "遭", "受"})
_BEFORE_VERB = frozenset({"将", "把"})
_BREAKS = frozenset("，；：:,;。！？!?")
_OPEN, _CLOSED = frozenset("（("), frozenset("）)")
_AND = frozenset(_CONJUNCTIONS.split())
_PASSED = frozenset({"u", "m", "q", "a", "d", "f", "r", "xc"})
"""Kinds of words between a verb and its object, and the marks of a work's name."""
_MARKS = frozenset('《》“”「」"')
_AFTER_VERB = frozenset(_COMPLEMENTS.split())
_NOUNS = frozenset({"n", "vn", "an"})
_NO_ENDS = frozenset({EntityType.CONCEPT, EntityType.DATE, EntityType.QUANTITY})
_MOST_NOUNS = 2
_SHORTEST_OFFICE = 2
"""Characters."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word that stands at ``text[start:end]``, and what LAC says that it is."""

    start: int
    end: int
    text: str
    tag: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A word, or the words of one name; ``span`` is the position of that name, or -1."""

    text: str
    tag: str
    span: int = -1


def statements(sentence: int, words: Sequence[Word], spans: Sequence[Span]) -> Iterator[Statement]:
    """Yield the statements of a sentence; ``spans`` are those of the whole text."""
    subjects: list[int] = []
    for clause in _clauses(_parts(words, spans)):
        for office, person, body in _offices(clause, spans):
            yield Statement(sentence, person, office, body, negated=False)
        subjects = _subjects(clause) or subjects
        for one, predicate, other, negated in _Clause(clause, subjects).stated():
            if one != other:
                yield Statement(sentence, one, predicate, other, negated)


def _parts(words: Sequence[Word], spans: Sequence[Span]) -> Iterator[_Part]:
    """Yield names and the words between them."""
    place = 0
    owners = []
    for word in words:
        while place < len(spans) and spans[place].end <= word.start:
            place += 1
        inside = place < len(spans) and spans[place].start < word.end
        named = inside and spans[place].type not in _NO_ENDS
        owners.append(place if named else -1)
    for (owner, _), group in groupby(
        zip(owners, range(len(words)), strict=True),
        key=lambda each: (each[0], -1 if each[0] >= 0 else each[1]),
    ):
        places = [position for _, position in group]
        if owner >= 0:
            yield _Part("", "name", owner)
        else:
            yield from (_Part(words[each].text, words[each].tag) for each in places)


def _clauses(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Yield what stands between commas, without what stands in brackets."""
    clause: list[_Part] = []
    depth = 0
    for part in parts:
        depth += part.text in _OPEN
        if part.text in _BREAKS and not depth:
            yield clause
            clause = []
        elif not depth:
            clause.append(part)
        depth -= part.text in _CLOSED and depth > 0
    yield clause


def _side_by_side(clause: Sequence[_Part], place: int) -> tuple[list[int], int]:
    """Return the names that begin at a place, with "and" between them, and where they end."""
    found = [clause[place].span]
    place += 1
    while (
        place + 1 < len(clause)
        and clause[place].text in _AND
        and clause[place].tag != "p"
        and clause[place + 1].span >= 0
    ):
        found.append(clause[place + 1].span)
        place += 2
    return found, place


def _subjects(clause: Sequence[_Part]) -> list[int]:
    """Return the names before the first verb that no preposition goes with."""
    for place, part in enumerate(clause):
        if part.tag == "v":
            break
        if part.span >= 0 and not (place and clause[place - 1].tag == "p"):
            return _side_by_side(clause, place)[0]
    return []


def _offices(clause: Sequence[_Part], spans: Sequence[Span]) -> Iterator[tuple[str, int, int]]:
    """Yield office, person and where the person holds it."""
    for place, part in enumerate(clause):
        if part.span >= 0:
            noun, end = _noun(clause, place + 1)
            held = len(noun) >= _SHORTEST_OFFICE and end < len(clause)
            behind = clause[end].span if held else -1
            if behind >= 0 and spans[behind].type is EntityType.PERSON:
                yield noun, behind, part.span


def _noun(clause: Sequence[_Part], place: int) -> tuple[str, int]:
    """Return the noun that begins at a place, and where it ends; "的" may come before it."""
    if place < len(clause) and clause[place].text == "的":
        place += 1
    first = place
    while place < len(clause) and clause[place].tag in _NOUNS and place - first < _MOST_NOUNS:
        place += 1
    return "".join(part.text for part in clause[first:place]), place


class _Clause:
    """A part of a sentence, read from its beginning to its end."""

    def __init__(self, clause: Sequence[_Part], subjects: Sequence[int]) -> None:
        self._clause = clause
        self._subjects = subjects
        self._beside: list[tuple[str, list[int]]] = []
        """Names with their prepositions, which the next verb is said of."""
        self._denied = False

    def stated(self) -> Iterator[tuple[int, str, int, bool]]:
        """Yield subject, predicate, object, and whether it is denied."""
        place = 0
        while place < len(self._clause):
            part = self._clause[place]
            following = self._clause[place + 1] if place + 1 < len(self._clause) else None
            if part.span < 0 and part.text in _DENYING and not self._is_verb(part, following):
                self._denied = True
            elif part.tag == "p" and following is not None and following.span >= 0:
                names, place = _side_by_side(self._clause, place + 1)
                self._beside.append((part.text, names))
                continue
            elif part.tag == "v" or part.text in _DENYING_VERBS:
                yield from self._of_verb(place)
            place += 1

    def _is_verb(self, part: _Part, following: _Part | None) -> bool:
        """Whether a denial is the verb itself, as in "没有收购" it is not."""
        return part.text in _DENYING_VERBS and (following is None or following.tag not in "vdp")

    def _of_verb(self, place: int) -> Iterator[tuple[int, str, int, bool]]:
        verb, denied = _plain(self._clause[place].text, denied=self._denied)
        objects, predicate = self._objects(place, verb)
        for way, names in self._beside:
            if way in _AGENTS:
                yield from self._each(names, verb, self._subjects, denied=denied)
                yield from self._each(names, predicate, objects, denied=denied)
            elif way in _BEFORE_VERB:
                yield from self._each(self._subjects, verb, names, denied=denied)
            else:
                yield from self._each(self._subjects, f"{verb} {way}", names, denied=denied)
        if not any(way in _AGENTS for way, _ in self._beside):
            yield from self._each(self._subjects, predicate, objects, denied=denied)
        self._beside, self._denied = [], False

    def _objects(self, place: int, verb: str) -> tuple[list[int], str]:
        """Return the names that a verb leads to, and the verb with what belongs to it."""
        place += 1
        if place < len(self._clause) and self._clause[place].text in _AFTER_VERB:
            verb += self._clause[place].text
            place += 1
        while place < len(self._clause) and self._clause[place].span < 0:
            part = self._clause[place]
            if part.tag not in _PASSED and part.text not in _MARKS:
                return [], verb
            place += 1
        if place == len(self._clause):
            return [], verb
        names, end = _side_by_side(self._clause, place)
        noun, _ = _noun(self._clause, end)
        return names, f"{verb} {noun}" if noun else verb

    @staticmethod
    def _each(
        ones: Sequence[int], predicate: str, others: Sequence[int], *, denied: bool
    ) -> Iterator[tuple[int, str, int, bool]]:
        for one in ones:
            yield from ((one, predicate, other, denied) for other in others)


def _plain(verb: str, *, denied: bool) -> tuple[str, bool]:
    """Return a verb without the denial that is part of it, and whether it is denied."""
    if verb in _DENYING_VERBS:
        return _DENYING_VERBS[verb], True
    if len(verb) > 1 and verb[0] in "不未没":
        return verb[1:], True
    return verb, denied
