"""Reports of communities: what the documents say of some entities that belong together.

A report quotes a few sentences; each cites its chunk. They are chosen one after the other, each
time the one for which most speaks: entities that matter in the community and that no sentence
before named as often, likeness to all that is said of it, unlikeness to what was chosen, and
brevity. What a report is made from is a matter of its community alone: of counts, not of weights
and ranks, which change a little in the whole collection with each document. So only what is
concerned is rewritten.

Belongs here: what a report is made from, and which sentences it quotes. Does not belong here: who
is in a community (``communities``), and asking a language model (``summarising.abstractive``).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from ingestion_pipeline.control import SMALL, Control, watched
from ingestion_pipeline.model.graph import (
    Community,
    DocumentGraph,
    Entity,
    EntityType,
    KnowledgeGraph,
    Relation,
    RelationKind,
    Report,
)
from ingestion_pipeline.model.summaries import Citation, SummaryMethod
from ingestion_pipeline.summarising.text import TextTools, Written, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PROMPT = (
    "The text names things that belong together, says how, and quotes what documents say of them. "
    "Write a short report, in the language of the quotations: first what they are together, then "
    "the most important facts. Be careful with names and numbers, and make nothing up.\n"
    "{cluster_content}\nThat is what to report on."
)
"""For ``summarising.abstractive.write``, with a material's ``texts`` and ``citations``."""

TOP = 10
"""Entities and relations that a report names, of each at most."""
FEWEST, MOST = 3, 7
"""Sentences that it quotes, if there are as many."""
_LEAST_GAIN = 0.15
"""Of the first sentence's; less is not worth a line beyond ``FEWEST``."""
_AGAIN = 0.4
"""What naming an entity once more counts, of what it counted before."""
_CANDIDATES = 300
"""Sentences that are compared with each other."""
_LONGEST = 400
"""Characters of a sentence; of a longer one its beginning is quoted."""
_SHORT, _LONG = 6, 30
"""Words of a sentence that tells enough, and from which on it takes long to read."""
_COMMON = frozenset({EntityType.CONCEPT, EntityType.DATE, EntityType.QUANTITY})
_COMMON_PART = 4
"""What has no name of its own matters a fourth as much: words are everywhere."""
_PAIR = 2
"""So few entities are their own title."""
_YEAR = re.compile(r"(?<![\d.,/-])(1\d{3}|20\d{2})(?![\d/]|[.,-]\d)")
_SELDOM = 200
"""Once in so many years named is a number that looks like a year."""
_BEST_RATING = 10
_DECIMALS = 9


@dataclass(frozen=True)
class Sentence:
    """What a document says, with the entities that it names there."""

    document_id: str
    citation: Citation
    text: str
    entity_ids: frozenset[str]

    @cached_property
    def place(self) -> tuple[str, str, int, int]:
        """Where it stands, which sentences are ordered by."""
        where = self.citation
        return self.document_id, where.chunk_id, where.start, where.end

    @cached_property
    def written(self) -> bytes:
        """All that a report's hash takes of it but whom it names."""
        return "\0".join((*map(str, self.place), self.text)).encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is written from.

    ``entities`` and ``relations`` are the most important ones, ``importance`` is that of all
    entities. ``sentences`` are those that name some of them, the ones that name most first.
    """

    entities: tuple[Entity, ...]
    relations: tuple[Relation, ...]
    importance: Mapping[str, float]
    sentences: tuple[Sentence, ...]
    names: Mapping[str, str]

    @property
    def texts(self) -> list[str]:
        """What a language model is to read."""
        lines = [
            f"{self.names[each.source]}{' not' if each.negated else ''} "
            f"{each.predicate or 'with'} {self.names[each.target]}"
            for each in self.relations
        ]
        things = ", ".join(f"{each.name} ({each.type})" for each in self.entities)
        return [things, "\n".join(lines), *(each.text for each in self.quotable)]

    @property
    def citations(self) -> tuple[Citation, ...]:
        """What that stands for."""
        return tuple(each.citation for each in self.quotable)

    @property
    def quotable(self) -> Sequence[Sentence]:
        """Return the first sentences; a language model needs no more."""
        return self.sentences[: 4 * MOST]


Write = Callable[[Iterable[Material]], Iterable[Written]]
"""Writes one report of each; may do so side by side, but answers in their order."""
Titles = Callable[[Sequence[Sequence[str]]], Sequence[str]]
"""Finds a title for each of some siblings, given texts of each."""

_Text = tuple[str, str]
"""What was written of a community, behind the hash of what it was made from."""


def sentences(
    graphs: Iterable[DocumentGraph],
    resolved: Mapping[str, Sequence[str | None]],
    texts: Mapping[str, str],
) -> Iterator[Sentence]:
    """Yield the sentences that name something.

    Args:
        graphs: Of documents, as they were merged.
        resolved: Which entity each of theirs is (``KnowledgeGraph.resolved``).
        texts: Of their chunks, by id.
    """
    for graph in graphs:
        named: dict[int, set[str]] = defaultdict(set)
        for key, entity in zip(resolved[graph.document_id], graph.entities, strict=True):
            if key is not None:
                for mention in entity.mentions:
                    named[mention.sentence].add(key)
        for place, keys in sorted(named.items()):
            citation = _beginning(graph.sentences[place], texts)
            text = shown(texts[citation.chunk_id], citation.start, citation.end)
            yield Sentence(graph.document_id, citation, text, frozenset(keys))


def reports(
    graph: KnowledgeGraph,
    communities: Sequence[Community],
    said: Iterable[Sentence],
    write: Write,
    titles: Titles,
    recipe: str,
    control: Control,
    previous: Sequence[Report] = (),
    before: Iterable[Community] = (),
) -> list[Report]:
    """Return a report of each community, in their order; equal input has equal output.

    Args:
        graph: The collection's.
        communities: Its communities.
        said: All sentences that name an entity, in any order.
        write: Writes what is new.
        titles: Finds titles, which depend on siblings: anew where one of them has changed.
        recipe: Names how reports are written; with another one all are written again.
        control: Asked several times a second.
        previous: The reports of the build before; what was written of equal material is not
            written again.
        before: The communities that these are of, in their order.
    """
    gathered = _Gathered(graph, said, control)
    materials = [gathered.material(each) for each in watched(communities, control)]
    inputs = [_hash(recipe, each) for each in watched(materials, control)]
    known: dict[str, Report | Written] = {each.inputs: each for each in previous}
    new = {key: each for key, each in zip(inputs, materials, strict=True) if key not in known}
    known |= zip(new, write(new.values()), strict=True)
    written = [known[key] for key in inputs]
    texts = [(key, text.text) for key, text in zip(inputs, written, strict=True)]
    named = _titles(communities, materials, texts, titles, _known_titles(before, previous))
    control.check()
    masses = [sum(gathered.entities[one].rank for one in each.entity_ids) for each in communities]
    most = max(masses, default=0.0) or 1.0
    return [
        Report(
            community_id=community.community_id,
            title=title,
            text=text.text,
            method=text.method,
            citations=text.citations,
            entity_ids=tuple(each.entity_id for each in material.entities),
            relation_ids=tuple(each.relation_id for each in material.relations),
            document_ids=_documents(material),
            period=_period(material),
            rating=round(_BEST_RATING * math.sqrt(mass / most), 1),
            inputs=key,
        )
        for community, material, text, title, mass, key in zip(
            communities, materials, written, named, masses, inputs, strict=True
        )
    ]


def quoted(material: Material, tools: TextTools) -> Written:
    """Return a report that quotes sentences, one a line, the most telling first.

    Line ``n`` is citation ``n``, its blanks aside.
    """
    candidates = [each for each in material.sentences[:_CANDIDATES] if each.text]
    chosen = [candidates[place] for place in _chosen(candidates, material.importance, tools)]
    text = "\n".join(each.text for each in chosen)
    citations = tuple(each.citation for each in chosen)
    return Written(text, tools.token_counts([text])[0], citations, SummaryMethod.EXTRACTIVE)


class _Gathered:
    """What is known of the entities of a graph."""

    def __init__(self, graph: KnowledgeGraph, said: Iterable[Sentence], control: Control) -> None:
        self.entities = {each.entity_id: each for each in graph.entities}
        self._names = {each.entity_id: each.name for each in graph.entities}
        self._relations: dict[str, list[Relation]] = defaultdict(list)
        for relation in watched(graph.relations, control, SMALL):
            self._relations[relation.source].append(relation)
        self._sentences: dict[str, list[Sentence]] = defaultdict(list)
        for sentence in watched(sorted(said, key=attrgetter("place")), control, SMALL):
            for each in sentence.entity_ids:
                self._sentences[each].append(sentence)

    def material(self, community: Community) -> Material:
        members = frozenset(community.entity_ids)
        relations = [
            relation
            for member in community.entity_ids
            for relation in self._relations[member]
            if relation.target in members
        ]
        strength = Counter(dict.fromkeys(members, 0))
        for relation in relations:
            strength[relation.source] += relation.count
            strength[relation.target] += relation.count
        for member in members:
            if self.entities[member].type in _COMMON:
                strength[member] //= _COMMON_PART
        entities = sorted(
            (self.entities[member] for member in members),
            key=lambda each: (-strength[each.entity_id], -each.mentions, each.entity_id),
        )
        relations.sort(
            key=lambda each: (
                -each.count,
                each.kind is RelationKind.TOGETHER,
                each.relation_id,
            )
        )
        importance = {member: 1 + math.log2(1 + count) for member, count in strength.items()}
        found = {
            sentence.place: sentence for member in members for sentence in self._sentences[member]
        }

        def order(sentence: Sentence) -> tuple[float, tuple[str, str, int, int]]:
            worth = math.fsum(importance[each] for each in sentence.entity_ids & members)
            return -round(worth, _DECIMALS), sentence.place

        return Material(
            entities=tuple(entities[:TOP]),
            relations=tuple(relations[:TOP]),
            importance=importance,
            sentences=tuple(sorted(found.values(), key=order)),
            names=self._names,
        )


def _beginning(citation: Citation, texts: Mapping[str, str]) -> Citation:
    if citation.end - citation.start <= _LONGEST:
        return citation
    end = citation.start + _LONGEST
    blank = texts[citation.chunk_id].rfind(" ", citation.start + _LONGEST // 2, end)
    return Citation(citation.chunk_id, citation.start, blank if blank > 0 else end)


def _hash(recipe: str, material: Material) -> str:
    """Return a hash of all that a report's text, entities and relations come from."""
    digest = hashlib.sha256(recipe.encode())
    parts = chain(
        ((each.entity_id, each.name, each.type) for each in material.entities),
        (
            (each.relation_id, each.predicate, str(each.negated), str(each.count))
            for each in material.relations
        ),
        ((key, f"{value:.4f}") for key, value in sorted(material.importance.items())),
    )
    for part in parts:
        digest.update("\0".join((*part, "\n")).encode("utf-8", "surrogatepass"))
    members = material.importance.keys()
    for each in material.sentences:
        digest.update(each.written)
        digest.update("\0".join(("", *sorted(each.entity_ids & members), "\n")).encode())
    return digest.hexdigest()[:32]


def _titles(
    communities: Sequence[Community],
    materials: Sequence[Material],
    texts: Sequence[_Text],
    titles: Titles,
    known: Mapping[tuple[_Text, ...], Sequence[str]],
) -> list[str]:
    """Return the titles: names of the few, what tells the many from their siblings."""
    found = [" and ".join(each.name for each in material.entities) for material in materials]
    for places in _siblings(communities):
        own = known.get(tuple(texts[place] for place in places)) or titles(
            [
                [*(each.name for each in materials[place].entities), texts[place][1]]
                for place in places
            ]
        )
        for place, title in zip(places, own, strict=True):
            found[place] = title or found[place]
    return found


def _known_titles(
    communities: Iterable[Community], reports: Iterable[Report]
) -> dict[tuple[_Text, ...], Sequence[str]]:
    """Return titles that siblings had, by what was written of these."""
    own = {each.community_id: each for each in reports}
    all_of_them = list(communities)
    found: dict[tuple[_Text, ...], Sequence[str]] = {}
    for places in _siblings(all_of_them):
        ids = [all_of_them[place].community_id for place in places]
        if own.keys() >= set(ids):
            texts = tuple((own[each].inputs, own[each].text) for each in ids)
            found[texts] = [own[each].title for each in ids]
    return found


def _siblings(communities: Sequence[Community]) -> Iterable[Sequence[int]]:
    """Return the positions of those of more than a few entities, those of one parent together."""
    siblings: dict[str | None, list[int]] = defaultdict(list)
    for place, community in enumerate(communities):
        if len(community.entity_ids) > _PAIR:
            siblings[community.parent_id].append(place)
    return siblings.values()


def _documents(material: Material) -> tuple[str, ...]:
    return tuple(sorted({each.document_id for each in material.sentences}))


def _period(material: Material) -> tuple[int, int] | None:
    """Return the first and the last year; where there are many, without those hardly ever named."""
    counts = Counter(chain.from_iterable(_years(each.text) for each in material.sentences))
    fewest = 1 + counts.total() // _SELDOM
    found = [year for year, count in counts.items() if count >= fewest]
    return (min(found), max(found)) if found else None


@lru_cache(maxsize=2**14)
def _years(text: str) -> tuple[int, ...]:
    """Return the years in a sentence, which several communities have."""
    return tuple(map(int, _YEAR.findall(text)))


def _chosen(
    candidates: Sequence[Sentence], importance: Mapping[str, float], tools: TextTools
) -> list[int]:
    """Return the positions of the sentences to quote, the best first."""
    import numpy as np

    if not candidates:
        return []
    units = _Units([tools.features(each.text) for each in candidates])
    words = np.array([max(len(each.text.split()), 1) for each in candidates])
    brevity = np.minimum(words / _SHORT, 1) * np.sqrt(np.minimum(_LONG / words, 1))
    favour = np.round(units.likeness(units.mean()) * brevity, _DECIMALS)
    worth = dict(importance)
    named = [each.entity_ids & worth.keys() for each in candidates]
    novelty = np.ones(len(candidates))
    chosen: list[int] = []
    first = 0.0
    while len(chosen) < MOST:
        covered = [math.fsum(map(worth.__getitem__, each)) for each in named]
        gains = np.round(np.array(covered) * favour * novelty, _DECIMALS)
        best = int(np.argmax(gains))
        first = first or float(gains[best])
        enough = len(chosen) >= FEWEST and gains[best] < _LEAST_GAIN * first
        if gains[best] <= 0 or enough:
            break
        chosen.append(best)
        similar = np.round(units.likeness(units.of(best)), _DECIMALS)
        novelty = np.minimum(novelty, np.maximum(1 - similar, 0))
        novelty[best] = 0
        for one in named[best]:
            worth[one] *= _AGAIN
    return chosen


class _Units:
    """Sentences by TF-IDF of their words, of length 1 or 0; only what is not 0 is held."""

    def __init__(self, features: Sequence[Collection[str]]) -> None:
        import numpy as np

        counts = Counter(chain.from_iterable(features))
        words = sorted(counts)
        columns = {word: column for column, word in enumerate(words)}
        rarity = np.array([math.log(1 + len(features) / counts[word]) for word in words])
        self._shape = len(features), len(words)
        self._rows = np.repeat(np.arange(len(features)), list(map(len, features)))
        # Sums depend on the order, which in a set is by chance.
        ordered = chain.from_iterable(sorted(columns[word] for word in each) for each in features)
        self._columns = np.fromiter(ordered, np.int64, len(self._rows))
        weights = rarity[self._columns]
        lengths = np.sqrt(np.bincount(self._rows, weights**2, len(features)))
        self._weights = weights / lengths[self._rows]

    def likeness(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the products of all sentences with a vector, (sentences,)."""
        import numpy as np

        shares = self._weights * vector[self._columns]
        return np.bincount(self._rows, shares, self._shape[0]).astype(np.float64)

    def mean(self) -> NDArray[np.float64]:
        """Return the mean of all sentences, (words,)."""
        import numpy as np

        return np.bincount(self._columns, self._weights, self._shape[1]) / self._shape[0]

    def of(self, place: int) -> NDArray[np.float64]:
        """Return one sentence, (words,)."""
        import numpy as np

        vector = np.zeros(self._shape[1])
        own = self._rows == place
        vector[self._columns[own]] = self._weights[own]
        return vector
