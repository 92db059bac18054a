"""The graph of a collection, from the graphs of all its documents.

It is made anew each time, from nothing but these: so a document that is gone leaves nothing behind,
and which came first makes no difference.

Belongs here: what becomes an entity or a relation, with which sources and which weight. Does not
belong here: which names are of one entity (``resolution``).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby, zip_longest
from typing import TYPE_CHECKING

from ingestion_pipeline.control import SMALL, Control, watched
from ingestion_pipeline.graph.doubts import Judge
from ingestion_pipeline.graph.edges import edges_of
from ingestion_pipeline.graph.homonyms import homonyms
from ingestion_pipeline.graph.normal_form import normal_form, without_remark
from ingestion_pipeline.graph.page_rank import page_ranks
from ingestion_pipeline.graph.resolution import Name, renamed, resolved
from ingestion_pipeline.model.graph import (
    Correction,
    DocumentGraph,
    Entity,
    EntityType,
    KnowledgeGraph,
    Relation,
    RelationKind,
    Term,
    TermKind,
    entity_id,
    relation_id,
)
from ingestion_pipeline.model.summaries import Citation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

EVIDENCE = 8
"""Sentences that a relation cites, at most."""
_FEWEST_CHUNKS = 2
"""What has no name of its own is an entity from so many chunks on, or if a document explains it."""
_NO_NAMES = frozenset({EntityType.CONCEPT, EntityType.DATE, EntityType.QUANTITY})
_NO_COMPANY = frozenset({EntityType.DATE, EntityType.QUANTITY})
"""That these stand beside something says nothing; that something is stated of them does."""
_CROWD = 16
"""Entities of one sentence, of which each then goes with the next few only: it is a list."""
_NEIGHBOURS = 4
_LEAST_TIE = 0.05
"""Of two entities that meet no oftener than chance would have it."""
_DECIMALS = 6
"""Beyond them, weights depend on the machine."""

_Pair = tuple[str, str]
_Place = tuple[str, int]
"""A document's id and the position of one of its sentences."""


@dataclass(slots=True)
class _Sources:
    """What documents say of an entity."""

    name: Name
    type: EntityType
    names: Counter[str] = field(default_factory=Counter)
    aliases: set[str] = field(default_factory=set)
    mentions: int = 0
    documents: set[str] = field(default_factory=set)
    chunks: set[str] = field(default_factory=set)
    titles: set[str] = field(default_factory=set)
    explained: bool = False


def merged(
    collection: str,
    graphs: Iterable[DocumentGraph],
    control: Control,
    corrections: Sequence[Correction] = (),
    *,
    vectors: Mapping[str, Vector] | None = None,
    judge: Judge | None = None,
    resolution: bool = True,
    types: Collection[EntityType] = (),
) -> KnowledgeGraph:
    """Return the graph of a collection.

    Args:
        collection: Its name, which ids depend on.
        graphs: Of its documents, in any order, with their links (``linking.linked``).
        control: Asked several times a second.
        corrections: What persons said of names, in the order in which they did.
        vectors: Of chunks, by their ids, unit length: what tells homonyms apart.
        judge: Asked about names that no rule decides on.
        resolution: Whether rules, too, bring different names together and tell equal ones apart.
        types: The only types of entities to keep; none named means all.

    Raises:
        StopWorkError: as ``control.check`` does.
    """
    ordered = sorted(graphs, key=lambda each: each.document_id)
    by_id = renamed({graph.document_id: graph for graph in ordered}, corrections)
    control.check()
    apart = list(homonyms(by_id, vectors or {}, control)) if resolution else []
    by_id = renamed(by_id, apart)
    names = resolved(by_id, corrections, control, apart, judge, rules=resolution)
    ids = {
        name: entity_id(collection, kind, name.key)
        for name, kind in watched(sorted(names.types.items()), control, SMALL)
    }
    sources = {ids[name]: _Sources(name, kind) for name, kind in names.types.items()}
    found = {
        document_id: [ids[name] if name else None for name in each]
        for document_id, each in watched(names.names.items(), control)
    }
    for document_id, graph in watched(by_id.items(), control):
        _collect(graph, found[document_id], sources)
    _entitle(by_id, found, sources, control)
    kept = {
        key
        for key, each in sources.items()
        if _is_entity(each) and (not types or each.type in types)
    }
    entities_of = {
        document_id: tuple(each if each in kept else None for each in keys)
        for document_id, keys in found.items()
    }
    ties = _Ties()
    for document_id, graph in watched(by_id.items(), control):
        ties.add(graph, entities_of[document_id], sources)
    relations = sorted(ties.relations(by_id, control), key=lambda each: each.relation_id)
    ranks = _ranks(sorted(kept), relations, control)
    entities = [
        _entity(key, sources[key], rank) for key, rank in watched(ranks.items(), control, SMALL)
    ]
    return KnowledgeGraph(tuple(entities), tuple(relations), entities_of)


def _collect(
    graph: DocumentGraph, keys: Sequence[str | None], sources: Mapping[str, _Sources]
) -> None:
    for key, entity in zip(keys, graph.entities, strict=True):
        if key is None:
            continue
        each = sources[key]
        each.names[entity.name] += len(entity.mentions) if entity.key == each.name.key else 0
        each.aliases.update(entity.aliases)
        each.aliases.add(entity.name)
        each.mentions += len(entity.mentions)
        each.documents.add(graph.document_id)
        each.chunks.update(graph.sentences[one.sentence].chunk_id for one in entity.mentions)


def _entitle(
    graphs: Mapping[str, DocumentGraph],
    found: Mapping[str, Sequence[str | None]],
    sources: Mapping[str, _Sources],
    control: Control,
) -> None:
    """Note which documents bear the name of an entity, and which entities are explained."""
    by_key: dict[str, set[str]] = defaultdict(set)
    for document_id, graph in watched(graphs.items(), control):
        for key, entity in zip(found[document_id], graph.entities, strict=True):
            if key is not None:
                by_key[entity.key].add(key)
                by_key[sources[key].name.key].add(key)
    for document_id, graph in watched(graphs.items(), control):
        own = _own_names(graph, found[document_id])
        for term in graph.terms:
            surest, *others = _keys_of(term)
            # What a document itself calls so is what it means.
            named = {own[surest]} if surest in own else set(by_key.get(surest, ()))
            named.update(own[each] for each in others if each in own)
            for key in named:
                sources[key].explained = True
                if term.kind is TermKind.TITLE:
                    sources[key].titles.add(document_id)


def _own_names(graph: DocumentGraph, keys: Sequence[str | None]) -> dict[str, str]:
    """Return by their normal forms what the names in a document mean there."""
    known = [
        (key, entity) for key, entity in zip(keys, graph.entities, strict=True) if key is not None
    ]
    names = {
        normal_form(alias, entity.type): key for key, entity in known for alias in entity.aliases
    }
    return names | {entity.key: key for key, entity in known}


def _keys_of(term: Term) -> Iterator[str]:
    """Yield the keys of a term, the surest first: "Orleans, Ontario" may be just "Orleans"."""
    if term.kind is not TermKind.TITLE:
        yield normal_form(term.text)
        return
    name = without_remark(term.text)
    yield normal_form(name)
    yield normal_form(name.partition(",")[0])


def _is_entity(sources: _Sources) -> bool:
    return (
        sources.type not in _NO_NAMES or sources.explained or len(sources.chunks) >= _FEWEST_CHUNKS
    )


def _entity(key: str, sources: _Sources, rank: float) -> Entity:
    names = sources.names
    return Entity(
        entity_id=key,
        key=sources.name.key,
        name=min(names, key=lambda each: (-names[each], each)),
        type=sources.type,
        aliases=tuple(sorted(sources.aliases)),
        mentions=sources.mentions,
        document_ids=tuple(sorted(sources.documents)),
        chunk_ids=tuple(sorted(sources.chunks)),
        titles=tuple(sorted(sources.titles)),
        rank=rank,
    )


class _Ties:
    """Which entities stand in the same sentences, and what is stated of them."""

    def __init__(self) -> None:
        self._sentences = 0
        self._alone: Counter[str] = Counter()
        self._together: dict[_Pair, list[_Place]] = defaultdict(list)
        self._stated: dict[tuple[str, str, str, bool], list[_Place]] = defaultdict(list)

    def add(
        self, graph: DocumentGraph, keys: Sequence[str | None], sources: Mapping[str, _Sources]
    ) -> None:
        """Add a document's sentences."""
        mentions = sorted(
            (mention.sentence, mention.start, key)
            for key, entity in zip(keys, graph.entities, strict=True)
            if key is not None
            for mention in entity.mentions
        )
        for sentence, group in groupby(mentions, key=lambda each: each[0]):
            self._sentences += 1
            present = list(dict.fromkeys(key for _, _, key in group))
            self._alone.update(present)
            company = [key for key in present if sources[key].type not in _NO_COMPANY]
            for pair in _pairs(company):
                self._together[pair].append((graph.document_id, sentence))
        for relation in graph.relations:
            one, other = keys[relation.source], keys[relation.target]
            if one is not None and other is not None and one != other:
                places = self._stated[one, other, relation.predicate, relation.negated]
                places += ((graph.document_id, sentence) for sentence in relation.sentences)

    def relations(
        self, graphs: Mapping[str, DocumentGraph], control: Control
    ) -> Iterator[Relation]:
        """Yield the relations that the sentences added so far make."""
        for (one, other), places in watched(self._together.items(), control, SMALL):
            yield self._relation(graphs, RelationKind.TOGETHER, (one, other, "", False), places)
        for stated, places in watched(self._stated.items(), control, SMALL):
            yield self._relation(graphs, RelationKind.STATED, stated, sorted(set(places)))

    def _relation(
        self,
        graphs: Mapping[str, DocumentGraph],
        kind: RelationKind,
        stated: tuple[str, str, str, bool],
        places: Sequence[_Place],
    ) -> Relation:
        one, other, predicate, negated = stated
        by_document: dict[str, list[Citation]] = {}
        for document_id, sentence in places:
            cited = graphs[document_id].sentences[sentence]
            by_document.setdefault(document_id, []).append(cited)
        said = list(by_document.values())
        return Relation(
            relation_id=relation_id(one, other, predicate, negated=negated),
            source=one,
            target=other,
            kind=kind,
            predicate=predicate,
            negated=negated,
            weight=self._weight(one, other, len(places)),
            count=len(places),
            document_ids=tuple(by_document),
            evidence=tuple(said[0][:EVIDENCE] if len(said) == 1 else _some(said)),
        )

    def _weight(self, one: str, other: str, count: int) -> float:
        """Return how much two entities have to do with each other, by normalised PMI.

        Bouma (2009): 1 where each stands only beside the other, 0 where they meet as chance has it;
        so what is everywhere has weak ties to everything. Times the logarithm of how often, since
        one sentence proves little.
        """
        together = len(self._together.get((min(one, other), max(one, other)), ())) or count
        share = together / self._sentences
        if share == 1:
            tie = 1.0
        else:
            chance = self._alone[one] * self._alone[other] / self._sentences**2
            tie = math.log(share / chance) / -math.log(share)
        return round(math.log1p(count) * min(max(tie, _LEAST_TIE), 1.0), _DECIMALS)


def _pairs(present: Sequence[str]) -> Iterator[_Pair]:
    """Yield the pairs of what stands in one sentence, each in order of ids."""
    if len(present) <= _CROWD:
        near: Iterable[_Pair] = combinations(present, 2)
    else:
        near = (
            (one, other)
            for place, one in enumerate(present)
            for other in present[place + 1 : place + 1 + _NEIGHBOURS]
        )
    for one, other in near:
        yield (one, other) if one < other else (other, one)


def _some(by_document: Sequence[Sequence[Citation]]) -> list[Citation]:
    """Return some sentences: the first of each document, then the second of each, and so on."""
    few = [sentences[:EVIDENCE] for sentences in by_document[:EVIDENCE]]
    return [each for turn in zip_longest(*few) for each in turn if each is not None][:EVIDENCE]


def _ranks(ids: Sequence[str], relations: Sequence[Relation], control: Control) -> dict[str, float]:
    """Return the ranks of entities, in their order."""
    if not ids:
        return {}
    places = {each: place for place, each in enumerate(ids)}
    edges, weights = edges_of(watched(relations, control, SMALL), places)
    control.check()
    ranks = page_ranks(edges, weights, len(ids)) * len(ids)
    return {each: round(rank, _DECIMALS) for each, rank in zip(ids, ranks.tolist(), strict=True)}
