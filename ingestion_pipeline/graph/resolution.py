"""Which names of a collection are of one entity.

Names are compared within blocks of those that have something rare in common, so that a collection
twice as large takes twice as long. What each rule proposes may be refused: by a person's word, by
what kind of thing each is, by a document that uses both names. All rules look at the whole
collection and at nothing else, so that the order in which documents came makes no difference; which
name each document used is kept, so that everything can be resolved anew.

Belongs here: the rules, and the groups that follow from them. Does not belong here: names within a
document (``document_graph``), what is then said of an entity (``merge``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain, combinations, islice, product
from types import MappingProxyType
from typing import NamedTuple

from ingestion_pipeline.control import SMALL, Control, watched
from ingestion_pipeline.graph.doubts import MOST_PAIRS, Doubt, Judge, alike
from ingestion_pipeline.graph.normal_form import digits, folded, normal_form, singular
from ingestion_pipeline.model.graph import (
    Correction,
    DifferentEntities,
    DocumentGraph,
    EntityType,
    Homonym,
    SameEntity,
)

_LEAST_SHARE = 0.8
"""Of the documents that say what a short form is short for: so many have to agree."""
_LEAST_SIDE = 1 / 3
"""Of the documents that use a name: so many, and at least two, make it the name of another kind."""
_FEWEST_DOCUMENTS = 2
_SHORTEST_MISSPELLED = 5
"""Letters of a word; shorter ones differ in a letter by being different words."""
_BESIDE = 5
"""Names that tell somebody who is asked what a name stands for."""
_LARGEST_BLOCK = 16
"""Names that differ in one letter of the same word; more is a pattern, not a mistake."""


class Side(StrEnum):
    """Kinds of things that are hardly ever mistaken for each other."""

    PERSON = "person"
    CONCEPT = "concept"
    NAME = "name"


_SIDES: Mapping[EntityType, Side | None] = MappingProxyType(
    {
        **dict.fromkeys(EntityType, Side.NAME),
        EntityType.PERSON: Side.PERSON,
        EntityType.CONCEPT: Side.CONCEPT,
        EntityType.OTHER: None,
    }
)
"""OTHER is on the side that the same name is on elsewhere."""


_ALONE = MappingProxyType(
    {side: MappingProxyType(dict[Side | None, Side]({side: side, None: side})) for side in Side}
)
"""Which side mentions are on where there is but one."""


class Name(NamedTuple):
    """A normal form, as the name of one kind of thing."""

    key: str
    side: Side


@dataclass(slots=True)
class _Use:
    """How a name is used."""

    documents: set[str] = field(default_factory=set)
    types: Counter[EntityType] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What names mean; ``names`` has for each document the name that stands for each entity.

    That is one name of the group it is in, the same for all of them, or None for an entity that is
    not mentioned. ``types`` says what kind of thing each such name is of.
    """

    names: Mapping[str, Sequence[Name | None]]
    types: Mapping[Name, EntityType]


def resolved(
    graphs: Mapping[str, DocumentGraph],
    corrections: Sequence[Correction],
    control: Control,
    homonyms: Sequence[Homonym] = (),
    judge: Judge | None = None,
    *,
    rules: bool = True,
) -> Resolved:
    """Find out which names are of one entity.

    Args:
        graphs: By the ids of their documents.
        corrections: A person's word, which goes before every rule.
        control: Asked now and then.
        homonyms: Names that were told apart by rules; ``graphs`` have them already.
        judge: Asked about names that no rule decides on.
        rules: Whether anything but equal names and a person's word counts.

    Raises:
        StopWorkError: as ``control.check`` does.
    """
    sides = _sides(graphs, control)
    own = {
        document_id: [
            Name(entity.key, sides[entity.key][_SIDES[entity.type]]) if entity.mentions else None
            for entity in graph.entities
        ]
        for document_id, graph in watched(sorted(graphs.items()), control)
    }
    uses: dict[Name, _Use] = defaultdict(_Use)
    for document_id, names in watched(own.items(), control):
        for entity, name in zip(graphs[document_id].entities, names, strict=True):
            if name:
                uses[name].documents.add(document_id)
                uses[name].types[entity.type] += 1
    groups = _Groups(dict(sorted(uses.items())), corrections, homonyms)
    if rules:
        for one, other in chain(
            _short_forms(graphs, groups, control), _retyped(groups.uses, control)
        ):
            groups.join(one, other)
        for one, other in _misspelled(groups.uses, control):
            groups.join(one, other)
    if judge is not None:
        _judge(judge, graphs, groups, own, control)
    chosen = groups.chosen(control)
    return Resolved(
        {
            document_id: [chosen[name] if name else None for name in names]
            for document_id, names in watched(own.items(), control)
        },
        {name: _type(uses[name].types) for name in watched(set(chosen.values()), control, SMALL)},
    )


def _judge(
    judge: Judge,
    graphs: Mapping[str, DocumentGraph],
    groups: _Groups,
    own: Mapping[str, Sequence[Name | None]],
    control: Control,
) -> None:
    """Join the names that somebody who is asked about them says to be of one entity."""
    pairs = list(islice(groups.doubtful(), MOST_PAIRS))
    control.check()
    described = {
        name: _described(name, groups.uses[name], graphs, own) for name in sorted({*chain(*pairs)})
    }
    doubts = [Doubt(described[one], described[other]) for one, other in pairs]
    for (one, other), same in zip(pairs, judge.same(doubts), strict=True):
        if same:
            groups.join(one, other)


def _described(
    name: Name,
    use: _Use,
    graphs: Mapping[str, DocumentGraph],
    own: Mapping[str, Sequence[Name | None]],
) -> str:
    """Return how a name is written, its type, and what stands beside it in its first document."""
    document_id = min(use.documents)
    graph = graphs[document_id]
    [about, *_] = [
        entity
        for entity, each in zip(graph.entities, own[document_id], strict=True)
        if each == name
    ]
    sentences = {mention.sentence for mention in about.mentions}
    beside = [
        entity.name
        for entity in graph.entities
        if entity is not about and any(each.sentence in sentences for each in entity.mentions)
    ]
    return f"{about.name} ({_type(use.types)}; beside {', '.join(beside[:_BESIDE]) or 'nothing'})"


def renamed(
    graphs: Mapping[str, DocumentGraph], corrections: Iterable[Correction]
) -> dict[str, DocumentGraph]:
    """Return graphs whose entities bear the other names that they are said to have in them."""
    called: dict[str, dict[str, str]] = defaultdict(dict)
    for correction in corrections:
        if isinstance(correction, Homonym):
            for document_id in correction.document_ids:
                called[document_id] |= dict.fromkeys(_keys(correction.name), correction.called)
    return {
        document_id: _renamed(graph, called[document_id]) if document_id in called else graph
        for document_id, graph in graphs.items()
    }


def _renamed(graph: DocumentGraph, called: Mapping[str, str]) -> DocumentGraph:
    return replace(
        graph,
        entities=tuple(
            replace(entity, key=normal_form(called[entity.key]), name=called[entity.key])
            if entity.key in called
            else entity
            for entity in graph.entities
        ),
    )


def _keys(name: str) -> set[str]:
    """Return all keys that a name as somebody writes it may have."""
    found = {normal_form(name, kind) for kind in EntityType}
    return found | {singular(normal_form(name, EntityType.CONCEPT))}


def _sides(
    graphs: Mapping[str, DocumentGraph], control: Control
) -> dict[str, Mapping[Side | None, Side]]:
    """Return for each key which side a mention of each side, or of none, is on."""
    counts = Counter(
        (entity.key, _SIDES[entity.type])
        for graph in watched(graphs.values(), control)
        for entity in graph.entities
        if entity.mentions
    )
    by_key: dict[str, dict[Side | None, int]] = defaultdict(dict)
    for (key, side), count in watched(counts.items(), control, SMALL):
        by_key[key][side] = count
    return {key: _settled(each) for key, each in by_key.items()}


def _settled(counts: Mapping[Side | None, int]) -> Mapping[Side | None, Side]:
    known = {side: count for side, count in counts.items() if side is not None}
    if len(known) <= 1:
        return _ALONE[next(iter(known), Side.NAME)]
    most = max(known, key=lambda side: (known[side], side))
    least = max(_FEWEST_DOCUMENTS, _LEAST_SIDE * sum(known.values()))
    return {
        None: most,
        **{side: side if count >= least else most for side, count in known.items()},
    }


def _type(types: Counter[EntityType]) -> EntityType:
    return max(types, key=lambda kind: (kind is not EntityType.OTHER, types[kind], kind))


class _Groups:
    """Names that are of one entity, joined pair by pair where nothing is against it."""

    def __init__(
        self,
        uses: Mapping[Name, _Use],
        corrections: Sequence[Correction],
        homonyms: Sequence[Homonym],
    ) -> None:
        self.uses = uses
        self.short: set[Name] = set()
        """Those that are short for another name of their group."""
        self._group: dict[Name, list[Name]] = {name: [name] for name in uses}
        self.by_key: dict[str, list[Name]] = defaultdict(list)
        for name in uses:
            self.by_key[name.key].append(name)
        self._apart: dict[Name, set[Name]] = defaultdict(set)
        self._keep_apart(corrections)
        for correction in corrections:
            if isinstance(correction, SameEntity):
                both = (correction.one, correction.other)
                names = sorted(set().union(*(_named(each, self.by_key) for each in both)))
                for other in names[1:]:
                    self.join(names[0], other)
        # After what persons say: that two homonyms are one all the same.
        self._keep_apart(homonyms)

    def _keep_apart(self, corrections: Sequence[Correction]) -> None:
        for correction in corrections:
            for one, other in _pairs(correction, self.by_key):
                self._apart[one].add(other)
                self._apart[other].add(one)

    def apart(self, one: Name, other: Name) -> bool:
        """Whether two names are known to be of different things."""
        return other in self._apart.get(one, ())

    def join(self, one: Name, other: Name) -> None:
        """Make two groups one, unless some of their names are known to be of different things."""
        larger, smaller = self._group[one], self._group[other]
        if larger is smaller:
            return
        if len(larger) < len(smaller):
            larger, smaller = smaller, larger
        if any(not self._apart[name].isdisjoint(larger) for name in smaller if name in self._apart):
            return
        larger += smaller
        for name in smaller:
            self._group[name] = larger

    def doubtful(self) -> Iterator[tuple[Name, Name]]:
        """Yield pairs of names that may be of one entity and are not joined, nor known apart."""
        for side in (Side.PERSON, Side.NAME):
            keys = {
                name.key: len(use.documents) for name, use in self.uses.items() if name.side is side
            }
            for pair in alike(keys):
                one, other = (Name(key, side) for key in pair)
                if self._group[one] is not self._group[other] and not self.apart(one, other):
                    yield one, other

    def chosen(self, control: Control) -> dict[Name, Name]:
        """Return for each name the one that stands for its group: that of most documents."""
        best: dict[int, Name] = {}
        for group in watched(self._group.values(), control, SMALL):
            if id(group) not in best:
                best[id(group)] = min(group, key=self._rank)
        return {name: best[id(group)] for name, group in self._group.items()}

    def _rank(self, name: Name) -> tuple[bool, int, int, Name]:
        return name in self.short, -len(self.uses[name].documents), -len(name.key), name


def _pairs(
    correction: Correction, by_key: Mapping[str, Sequence[Name]]
) -> Iterator[tuple[Name, Name]]:
    """Yield the pairs of names that a person says are of different things."""
    if isinstance(correction, DifferentEntities):
        one, other = correction.one, correction.other
    elif isinstance(correction, Homonym):
        one, other = correction.name, correction.called
    else:
        return
    for first in _named(one, by_key):
        yield from ((first, second) for second in _named(other, by_key) - {first})


def _named(name: str, by_key: Mapping[str, Sequence[Name]]) -> set[Name]:
    return {each for key in _keys(name) for each in by_key.get(key, ())}


def _short_forms(
    graphs: Mapping[str, DocumentGraph], groups: _Groups, control: Control
) -> Iterator[tuple[Name, Name]]:
    """Yield names with what documents say they are short for, where these agree."""
    long_forms: dict[str, Counter[str]] = defaultdict(Counter)
    for graph in watched(graphs.values(), control):
        for short, long in {*graph.abbreviations, *_short_names(graph)}:
            long_forms[short][long] += 1
    for short, longs in sorted(long_forms.items()):
        together: Counter[str] = Counter()
        for long, count in longs.items():
            together[_loosely(long)] += count
        best = max(together, key=lambda each: (together[each], each))
        if together[best] < _LEAST_SHARE * together.total():
            continue
        fuller = [name for long in longs if _loosely(long) == best for name in groups.by_key[long]]
        shorter = groups.by_key[short]
        if any(groups.apart(*pair) for pair in product(shorter, fuller)):
            continue
        groups.short.update(shorter)
        for one, other in product(shorter, sorted(fuller)):
            if len(shorter) == 1 or one.side is other.side:
                yield one, other


def _loosely(key: str) -> str:
    return folded(singular(key))


def _short_names(graph: DocumentGraph) -> Iterator[tuple[str, str]]:
    """Yield the other names of several words that people have in a document."""
    for entity in graph.entities:
        if entity.type is EntityType.PERSON:
            keys = {normal_form(alias, EntityType.PERSON) for alias in entity.aliases}
            yield from ((key, entity.key) for key in keys - {entity.key} if " " in key)


def _retyped(uses: Mapping[Name, _Use], control: Control) -> Iterator[tuple[Name, Name]]:
    """Yield names that differ in accents, blanks or their number only.

    Names of one thing keep their number: "The Times" are not a time.
    """
    blocks: dict[tuple[str, Side], list[Name]] = defaultdict(list)
    for name in watched(uses, control, SMALL):
        blocks[folded(name.key), name.side].append(name)
        if name.side is Side.CONCEPT or set(uses[name].types) == {EntityType.OTHER}:
            blocks[_loosely(name.key), Side.CONCEPT].append(name)
    for block in watched(blocks.values(), control, SMALL):
        names = sorted(set(block))
        yield from ((names[0], other) for other in names[1:])


def _misspelled(uses: Mapping[Name, _Use], control: Control) -> Iterator[tuple[Name, Name]]:
    """Yield names of several words that differ in one letter of one word.

    That word must be of no other name, and no document may use both. Found by leaving out each
    letter in turn (Garbe 2012, SymSpell), so no name is compared with all others.
    """
    names = [name for name in uses if name.side is not Side.CONCEPT and " " in name.key]
    common = Counter(word for name in names for word in set(name.key.split()))
    firsts: dict[tuple[str, str, str], Name] = {}
    blocks: dict[tuple[str, str, str], set[Name]] = defaultdict(set)
    for name in watched(names, control, SMALL):
        for before, word, after in _words(name.key):
            if len(word) >= _SHORTEST_MISSPELLED and not digits(word):
                parts = [word, *(word[:place] + word[place + 1 :] for place in range(len(word)))]
                for part in parts:
                    first = firsts.setdefault((before, part, after), name)
                    if first is not name:
                        blocks[before, part, after] |= {first, name}
    pairs = {
        pair
        for block in watched(blocks.values(), control, SMALL)
        if len(block) <= _LARGEST_BLOCK
        for pair in combinations(sorted(block), 2)
    }
    for one, other in sorted(pairs):
        differing = set(one.key.split()) ^ set(other.key.split())
        if (
            one.side is other.side
            and min((common[word] for word in differing), default=0) == 1
            and uses[one].documents.isdisjoint(uses[other].documents)
        ):
            yield one, other


def _words(key: str) -> Iterator[tuple[str, str, str]]:
    """Yield each word of a key, with what is before and behind it."""
    words = key.split()
    for place, word in enumerate(words):
        yield " ".join(words[:place]), word, " ".join(words[place + 1 :])
