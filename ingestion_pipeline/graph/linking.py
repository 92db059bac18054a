"""What a document names that another document is about, or explains.

A title that stands in another text is the surest link there is between two documents, and a parser
often misses it, as it does not know that "Kiss and Tell" is one thing. The graph of a document does
not depend on others; so links are made anew whenever graphs are merged, which a search for known
names is fast enough for.

Belongs here: which names of one document are looked for in all, and what finding them changes.
Does not belong here: how they are found (``gazetteer``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ingestion_pipeline.graph.gazetteer import Gazetteer, Match
from ingestion_pipeline.graph.normal_form import normal_form
from ingestion_pipeline.model.graph import (
    DocumentEntity,
    DocumentGraph,
    DocumentRelation,
    EntityType,
    Mention,
    TermKind,
)

_MOST_DOCUMENTS = 3
"""A heading or a defined term of more documents than these is a custom, like "Introduction"."""
_FEWEST_WORDS = 2
"""Of a heading; one word says too little of where it comes from."""


def known_names(graphs: Iterable[DocumentGraph]) -> Gazetteer:
    """Return the names by which documents are referred to: titles, some headings, defined terms."""
    documents: Counter[tuple[str, TermKind]] = Counter()
    written: dict[str, str] = {}
    for graph in graphs:
        for term in graph.terms:
            key = normal_form(term.text)
            documents[key, term.kind] += 1
            written[key] = min(term.text, written.get(key, term.text))
    names = Gazetteer()
    for (key, kind), count in sorted(documents.items()):
        rare = count <= _MOST_DOCUMENTS
        long = len(key.split()) >= _FEWEST_WORDS
        if kind is TermKind.TITLE or (rare and (kind is TermKind.DEFINED or long)):
            names.add(written[key])
    return names


def linked(graph: DocumentGraph, texts: Mapping[str, str], names: Gazetteer) -> DocumentGraph:
    """Return the graph with the known names that its texts hold.

    A known name takes the place of shorter names within it or across its ends, and of a noun phrase
    around it. All entities keep their positions, new ones follow them; one whose every mention was
    taken has none.

    Args:
        graph: Of one document.
        texts: Of its chunks, by their ids.
        names: What to look for.
    """
    links = _Links(graph)
    for chunk_id, sentences in _by_chunk(graph).items():
        for match in names.matches(texts[chunk_id]):
            for sentence in sentences:
                bounds = graph.sentences[sentence]
                if bounds.start <= match.start and match.end <= bounds.end:
                    links.add(sentence, match, texts[chunk_id][match.start : match.end])
                    break
    return links.applied()


def _by_chunk(graph: DocumentGraph) -> dict[str, list[int]]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, sentence in enumerate(graph.sentences):
        places[sentence.chunk_id].append(place)
    return places


@dataclass(slots=True)
class _Changed:
    """An entity that changes; ``entity`` is as it was."""

    entity: DocumentEntity
    mentions: list[Mention]
    aliases: set[str]


class _Links:
    """The changes that known names make to one graph."""

    def __init__(self, graph: DocumentGraph) -> None:
        self._graph = graph
        self._changed = [
            _Changed(entity, list(entity.mentions), set(entity.aliases))
            for entity in graph.entities
        ]
        self._places = {entity.key: place for place, entity in enumerate(graph.entities)}
        self._mentions: dict[int, list[tuple[int, Mention]]] = defaultdict(list)
        for place, entity in enumerate(graph.entities):
            for mention in entity.mentions:
                self._mentions[mention.sentence].append((place, mention))
        self._taken: dict[tuple[int, int], int] = {}
        self._found = False

    def add(self, sentence: int, match: Match, written: str) -> None:
        """Have a name mentioned, unless what is mentioned there is more than that name."""
        overlapping = [
            (place, mention)
            for place, mention in self._mentions[sentence]
            if mention.start < match.end and match.start < mention.end
        ]
        if any(self._stays(*each, match) for each in overlapping):
            return
        self._found = True
        new = self._place(match.key, written)
        for place, mention in overlapping:
            self._mentions[sentence].remove((place, mention))
            self._changed[place].mentions.remove(mention)
            self._taken[place, sentence] = new
        mention = Mention(sentence, match.start, match.end)
        self._mentions[sentence].append((new, mention))
        self._changed[new].mentions.append(mention)
        self._changed[new].aliases.add(" ".join(written.split()))

    def applied(self) -> DocumentGraph:
        """Return the graph with all changes."""
        if not self._found:
            return self._graph
        entities = tuple(
            replace(
                each.entity,
                aliases=tuple(sorted(each.aliases)),
                mentions=tuple(sorted(each.mentions, key=lambda one: (one.sentence, one.start))),
            )
            for each in self._changed
        )
        return replace(self._graph, entities=entities, relations=tuple(self._relations()))

    def _stays(self, place: int, mention: Mention, match: Match) -> bool:
        entity = self._graph.entities[place] if place < len(self._graph.entities) else None
        if mention.start > match.start or mention.end < match.end:
            return False
        same = mention.start == match.start and mention.end == match.end
        return same or entity is None or entity.type is not EntityType.CONCEPT

    def _place(self, key: str, written: str) -> int:
        if key not in self._places:
            self._places[key] = len(self._changed)
            entity = DocumentEntity(key, " ".join(written.split()), EntityType.OTHER, (), ())
            self._changed.append(_Changed(entity, [], set()))
        return self._places[key]

    def _relations(self) -> Iterator[DocumentRelation]:
        """Yield what is stated; what was said of a name that was taken is said of the new one."""
        stated: dict[tuple[int, int, str, bool], set[int]] = defaultdict(set)
        left = [{mention.sentence for mention in each.mentions} for each in self._changed]
        for relation in self._graph.relations:
            for sentence in relation.sentences:
                ends = [
                    place if sentence in left[place] else self._taken[place, sentence]
                    for place in (relation.source, relation.target)
                ]
                if ends[0] != ends[1]:
                    key = (ends[0], ends[1], relation.predicate, relation.negated)
                    stated[key].add(sentence)
        for (one, other, predicate, negated), sentences in sorted(stated.items()):
            yield DocumentRelation(one, other, predicate, negated, tuple(sorted(sentences)))
