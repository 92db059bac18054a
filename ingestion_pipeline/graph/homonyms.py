"""Names that documents use for different things.

A name means one thing in a collection until documents speak so differently of it that they have
nothing in common: no other name, hardly a word, and passages that are not alike. That proves
something of people, whom a document tells much of, and of other things where both documents say
what they are: London has a museum here and a railway there, and is one place. Titles say it
themselves: "Mercury (planet)", "Mercury (element)". Whoever says too little of a name goes with
those that his passage is most like.

Belongs here: which documents mean something else by a name, and how that is called. Does not belong
here: different names of one thing (``resolution``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control, watched
from ingestion_pipeline.graph.normal_form import normal_form, remark, without_remark
from ingestion_pipeline.model.graph import (
    DocumentEntity,
    DocumentGraph,
    EntityType,
    Homonym,
    TermKind,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

_ALIKE = 0.3
_ALIKE_THOUGH_DESCRIBED_OTHERWISE = 0.55
"""Cosine of the passages of two documents from which on they may speak of the same thing; the name
that they share makes them alike already."""
_COMMON_WORDS = 2
"""Words of noun phrases that two documents share, for the same."""
_FEWEST_MENTIONS = 2
_FEWEST_BESIDE = 4
"""A document that says less about a name does not tell what it means by it."""
_MOST_DOCUMENTS = 32
"""What more documents tell much of is something that everybody knows."""
_SHORTEST_WORD = 4
_IS = "be"
_NO_NAMES = frozenset({EntityType.CONCEPT, EntityType.DATE, EntityType.QUANTITY})


@dataclass(frozen=True, slots=True)
class _Use:
    """What a document says of a name."""

    document_id: str
    written: str
    remark: str
    """By what its title tells the name from others."""
    said_to_be: frozenset[str]
    """Words of what the document says that it is."""
    names: Mapping[str, str]
    """Other names beside it, by their keys, as they are written."""
    words: frozenset[str]
    """Those of the noun phrases beside it."""
    vector: Vector | None

    @property
    def clear(self) -> bool:
        """Whether it tells what is meant."""
        enough = len(self.names) + len(self.words) >= _FEWEST_BESIDE
        return bool(self.remark) or (bool(self.names) and enough)


def homonyms(
    graphs: Mapping[str, DocumentGraph], vectors: Mapping[str, Vector], control: Control
) -> Iterator[Homonym]:
    """Yield the names that some documents use for something else than most do.

    Args:
        graphs: By the ids of their documents.
        vectors: Of their chunks, (dimension,), unit length, by the ids of these. Without them, only
            titles tell names apart.
        control: Asked now and then.

    Raises:
        StopWorkError: as ``control.check`` does.
    """
    telling: dict[str, list[str]] = defaultdict(list)
    documents: dict[str, list[str]] = defaultdict(list)
    read = {
        document_id: _Document(graph, vectors)
        for document_id, graph in watched(graphs.items(), control)
    }
    for document_id, document in watched(read.items(), control):
        for key, entity in document.entities.items():
            documents[key].append(document_id)
            if document.may_tell(entity):
                telling[key].append(document_id)
    for key, ids in watched(sorted(telling.items()), control):
        if 1 < len(ids) <= _MOST_DOCUMENTS:
            clear = [use for each in ids if (use := read[each].use(key)).clear]
            groups = _groups(clear)
            if len(groups) > 1:
                for document_id in documents[key]:
                    if all(use.document_id != document_id for use in clear):
                        _nearest(groups, read[document_id].use(key))
                yield from _homonyms(groups)


class _Document:
    """A document as it uses names."""

    def __init__(self, graph: DocumentGraph, vectors: Mapping[str, Vector]) -> None:
        self._graph = graph
        self._vectors = vectors
        self.entities = {
            entity.key: entity
            for entity in graph.entities
            if entity.mentions and entity.type not in _NO_NAMES
        }
        titles = [term.text for term in graph.terms if term.kind is TermKind.TITLE]
        self._remarks = {
            normal_form(without_remark(title)): found
            for title in titles
            if (found := remark(title))
        }
        self._said_to_be: dict[str, set[str]] = defaultdict(set)
        for relation in graph.relations:
            target = graph.entities[relation.target]
            if (
                relation.predicate == _IS
                and not relation.negated
                and target.type is EntityType.CONCEPT
            ):
                key = graph.entities[relation.source].key
                self._said_to_be[key].update(target.key.split())
        self._by_chunk: dict[str, list[DocumentEntity]] | None = None

    def may_tell(self, entity: DocumentEntity) -> bool:
        """Whether the document may tell what it means by a name."""
        if entity.key in self._remarks:
            return True
        described = entity.type is EntityType.PERSON or entity.key in self._said_to_be
        return described and len(entity.mentions) >= _FEWEST_MENTIONS

    def use(self, key: str) -> _Use:
        """Return what the document says of a name."""
        about, own = self.entities[key], set(key.split())
        chunk_ids = sorted(self._chunk_ids(about))
        beside = [each for chunk_id in chunk_ids for each in self._beside(chunk_id)]
        words = (each.key.split() for each in beside if each.type is EntityType.CONCEPT)
        return _Use(
            self._graph.document_id,
            about.name,
            self._remarks.get(key, ""),
            frozenset(self._said_to_be.get(key, ())),
            {
                each.key: each.name
                for each in beside
                if each.type not in _NO_NAMES and own.isdisjoint(each.key.split())
            },
            frozenset(word for some in words for word in some if len(word) >= _SHORTEST_WORD) - own,
            _mean([self._vectors[each] for each in chunk_ids if each in self._vectors]),
        )

    def _beside(self, chunk_id: str) -> Sequence[DocumentEntity]:
        if self._by_chunk is None:
            self._by_chunk = defaultdict(list)
            for entity in self._graph.entities:
                for each in self._chunk_ids(entity):
                    self._by_chunk[each].append(entity)
        return self._by_chunk[chunk_id]

    def _chunk_ids(self, entity: DocumentEntity) -> set[str]:
        return {self._graph.sentences[each.sentence].chunk_id for each in entity.mentions}


def _mean(vectors: Sequence[Vector]) -> Vector | None:
    import numpy as np

    if not vectors:
        return None
    mean: Vector = np.array(vectors, dtype=np.float32).sum(axis=0)
    length = float(np.linalg.norm(mean))
    return mean / np.float32(length or 1.0)


def _groups(uses: Sequence[_Use]) -> list[list[_Use]]:
    """Return those that may speak of the same thing together, the largest group first.

    Titles that tell a name apart keep those apart that others would bring together.
    """
    group = {use.document_id: [use] for use in uses}
    pairs = [(-_cosine(*pair), *pair) for pair in combinations(uses, 2)]
    for _, one, other in sorted(pairs, key=lambda each: each[0]):
        larger, smaller = group[one.document_id], group[other.document_id]
        if larger is not smaller and _may_be_one(one, other):
            if len({use.remark for use in (*larger, *smaller) if use.remark}) > 1:
                continue
            larger += smaller
            for use in smaller:
                group[use.document_id] = larger
    found = {id(each): each for each in group.values()}.values()
    return sorted(found, key=lambda each: (-len(each), min(use.document_id for use in each)))


def _may_be_one(one: _Use, other: _Use) -> bool:
    if one.remark and other.remark:
        return one.remark == other.remark
    if not one.names.keys().isdisjoint(other.names):
        return True
    if len(one.words & other.words) >= _COMMON_WORDS:
        return True
    described = one.said_to_be and other.said_to_be and one.said_to_be.isdisjoint(other.said_to_be)
    return _cosine(one, other) >= (_ALIKE_THOUGH_DESCRIBED_OTHERWISE if described else _ALIKE)


def _cosine(one: _Use, other: _Use) -> float:
    if one.vector is None or other.vector is None:
        return 1.0
    return float(one.vector @ other.vector)


def _nearest(groups: Sequence[list[_Use]], use: _Use) -> None:
    """Add a document to the group of the one that it is most like, in doubt to the largest."""

    def alike(group: Sequence[_Use]) -> tuple[int, float]:
        common = max(len(use.names.keys() & each.names.keys()) for each in group)
        return common, max(_cosine(use, each) for each in group)

    max(groups, key=alike).append(use)


def _homonyms(groups: Sequence[Sequence[_Use]]) -> Iterator[Homonym]:
    """Yield what all groups but the largest call by a name, which gets a remark."""
    seen = Counter(key for group in groups for key in {key for use in group for key in use.names})
    for group in groups[1:]:
        written = min(use.written for use in group)
        called = f"{without_remark(written)} ({_remark(group, seen)})"
        yield Homonym(written, tuple(sorted(use.document_id for use in group)), called)


def _remark(group: Sequence[_Use], seen: Mapping[str, int]) -> str:
    """Return what tells a group from others: the remark of a title, or a name beside it."""
    remarks = {use.remark for use in group if use.remark}
    if remarks:
        return min(remarks)
    counts = Counter(key for use in group for key in use.names)
    written = {key: name for use in reversed(group) for key, name in use.names.items()}
    return written[min(counts, key=lambda key: (seen[key] > 1, -counts[key], key))]
