"""Graphs of knowledge: what each document says of which things, and all of it merged.

A ``DocumentGraph`` is what one document says, a function of that document alone. A
``KnowledgeGraph`` is what a collection says, a function of its documents' graphs. Communities and
reports are made from that.

Belongs here: what these are and how they are identified. Does not belong here: how they are made
(``graph``) or searched (``retrieval``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

from ingestion_pipeline.model.summaries import Citation, SummaryMethod


class EntityType(StrEnum):
    """What kind of thing an entity is."""

    PERSON = "person"
    ORGANIZATION = "organization"
    PLACE = "place"
    GROUP = "group"
    """A nationality, a religion, a party: those who belong to it."""
    EVENT = "event"
    WORK = "work"
    PRODUCT = "product"
    LAW = "law"
    CONCEPT = "concept"
    """What a text speaks of without it having a name of its own: a noun phrase."""
    DATE = "date"
    QUANTITY = "quantity"
    OTHER = "other"
    """A name of something whose kind nothing tells."""


class ExtractionMethod(StrEnum):
    """How the graph of a document came about."""

    LINGUISTIC = "linguistic"
    """By a parser of its language, or where there is none by how names are written."""
    LIGHT = "light"
    """By a language model, asked once for each chunk."""
    GENERAL = "general"
    """By a language model, asked again for what it missed."""


class RelationKind(StrEnum):
    """What says that two entities have to do with each other."""

    STATED = "stated"
    """A sentence says how, in the words of the predicate."""
    TOGETHER = "together"
    """They stand in the same sentences; such a relation has no direction and no predicate."""


class TermKind(StrEnum):
    """Where a document itself says that something is worth knowing by name."""

    TITLE = "title"
    HEADING = "heading"
    DEFINED = "defined"


@dataclass(frozen=True, slots=True)
class Term:
    """A name that a document gives to itself, to a part of itself or to what it explains."""

    text: str
    kind: TermKind


@dataclass(frozen=True, slots=True)
class Mention:
    """Where an entity is named: ``chunk.text[start:end]`` of the chunk of that sentence.

    ``sentence`` is a position in ``DocumentGraph.sentences``; the mention lies within it.
    """

    sentence: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DocumentEntity:
    """An entity as one document names it.

    ``key`` is the normal form of ``name``, the fullest of its names in the document; no two
    entities of a document share key and type. ``aliases`` are all the ways in which it is written
    there, ``name`` among them; that of a person the document is about may be in its title only.
    """

    key: str
    name: str
    type: EntityType
    aliases: tuple[str, ...]
    mentions: tuple[Mention, ...]


@dataclass(frozen=True, slots=True)
class DocumentRelation:
    """A relation as one document states it; ``source`` and ``target`` are positions of entities.

    ``negated`` says that the document denies it. ``sentences`` are positions of those that say so;
    each holds a mention of both entities. Which entities merely stand together follows from their
    mentions, so that is not said here.
    """

    source: int
    target: int
    predicate: str
    negated: bool
    sentences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DocumentGraph:
    """What one document says; it depends on no other document.

    ``sentences`` are all of it, in its order. ``terms`` are by what other documents may refer to
    this one. ``abbreviations`` are pairs of keys, short and long, that it explains. ``tokens``
    counts what a language model was paid for; where it failed in a way that may pass, ``complete``
    is False.
    """

    document_id: str
    method: ExtractionMethod
    sentences: tuple[Citation, ...] = ()
    entities: tuple[DocumentEntity, ...] = ()
    relations: tuple[DocumentRelation, ...] = ()
    terms: tuple[Term, ...] = ()
    abbreviations: tuple[tuple[str, str], ...] = ()
    tokens: int = 0
    warnings: tuple[str, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class SameEntity:
    """A person's word that two names are of one entity, wherever they stand."""

    one: str
    other: str


@dataclass(frozen=True, slots=True)
class DifferentEntities:
    """A person's word that two names are never of one entity."""

    one: str
    other: str


@dataclass(frozen=True, slots=True)
class Homonym:
    """A person's word that in some documents a name is of another entity, to be called ``called``.

    The documents are named by their ids; those that do not exist do no harm.
    """

    name: str
    document_ids: tuple[str, ...]
    called: str


Correction = SameEntity | DifferentEntities | Homonym
"""What a person says of names; it stays true whatever happens to documents."""


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity of a collection.

    ``name`` is how it is written most, among its fullest names; ``aliases`` are all the ways.
    ``mentions`` counts them; ``document_ids`` and ``chunk_ids`` say where, ascending. ``titles``
    are the documents that bear its name, and are about it. ``rank`` is its PageRank times the
    number of entities: 1 on average.
    """

    entity_id: str
    key: str
    name: str
    type: EntityType
    aliases: tuple[str, ...]
    mentions: int
    document_ids: tuple[str, ...]
    chunk_ids: tuple[str, ...]
    titles: tuple[str, ...] = ()
    rank: float = 0.0


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation between two entities of a collection, which are never the same.

    Where ``kind`` is TOGETHER, ``source`` < ``target`` and ``predicate`` is empty. ``weight`` > 0
    says how much more they have to do with each other than chance would have it. ``count`` is the
    number of sentences that say so; ``evidence`` are some of them, from different documents where
    there are several.
    """

    relation_id: str
    source: str
    target: str
    kind: RelationKind
    predicate: str
    negated: bool
    weight: float
    count: int
    document_ids: tuple[str, ...]
    evidence: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class KnowledgeGraph:
    """What the documents of a collection say.

    ``entities`` and ``relations`` are sorted by their ids. ``resolved`` says for each document, by
    its id, which entity each entity of its graph is, None where that is too rare to be one.
    """

    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    resolved: dict[str, tuple[str | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Community:
    """Entities that have more to do with each other than with the rest of the collection.

    ``level`` 0 is the coarsest; ``parent_id`` is the community of the level above it that holds
    it. ``entity_ids`` are all its entities, those of its children too, ascending.
    """

    community_id: str
    level: int
    parent_id: str | None
    entity_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to know of a community.

    ``entity_ids`` and ``relation_ids`` are the most important ones, best first; ``period`` is the
    earliest and the latest year it speaks of. ``rating`` is 0..10, of the community's weight in its
    collection. ``inputs`` is a hash of all that the report was made from.
    """

    community_id: str
    title: str
    text: str
    method: SummaryMethod
    citations: tuple[Citation, ...]
    entity_ids: tuple[str, ...]
    relation_ids: tuple[str, ...]
    document_ids: tuple[str, ...]
    period: tuple[int, int] | None
    rating: float
    inputs: str


def entity_id(collection: str, kind: EntityType, key: str) -> str:
    """Identify an entity by its collection, its type and the normal form of its name."""
    return _hash("entity", collection, kind, key)


def relation_id(source: str, target: str, predicate: str, *, negated: bool) -> str:
    """Identify a relation by its entities (and so by its collection) and by what it says."""
    return _hash("relation", source, target, predicate, "not" if negated else "")


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
