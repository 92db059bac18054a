"""The graph of a document: which things it names, by all their names in it, and what it states.

Belongs here: from readings to graphs; which names in one document are of one thing. Does not belong
here: reading (``linguistic``, ``fallback``), and anything that other documents say (``linking``,
``resolution``): the graph of a document is a function of that document.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType

from ingestion_pipeline.control import Control
from ingestion_pipeline.graph.asked import Asking
from ingestion_pipeline.graph.by_language import CHINESE, ENGLISH, readings
from ingestion_pipeline.graph.gazetteer import Gazetteer
from ingestion_pipeline.graph.normal_form import normal_form, without_remark
from ingestion_pipeline.graph.readers import Readers
from ingestion_pipeline.graph.reading import Passage, Reading, Span
from ingestion_pipeline.graph.terms import abbreviations, terms
from ingestion_pipeline.languages import language_of
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.graph import (
    DocumentEntity,
    DocumentGraph,
    DocumentRelation,
    EntityType,
    ExtractionMethod,
    Mention,
    TermKind,
)
from ingestion_pipeline.model.summaries import Citation

_AT_A_TIME = 64
"""Chunks of whole documents that are read in one go."""
_HAN = re.compile(r"[\u3400-\u9fff]")
GLEANINGS: Mapping[ExtractionMethod, int] = MappingProxyType(
    {ExtractionMethod.LIGHT: 0, ExtractionMethod.GENERAL: 1}
)
"""How many times more a language model is asked about each passage, for what it missed."""
_GENERATIONS = frozenset({"jr", "sr", "ii", "iii", "iv"})


@dataclass(frozen=True, slots=True)
class Material:
    """A document as it is read.

    ``language`` is an ISO 639-1 code; ``phrases`` are names or key phrases that somebody else found
    in it, which is of use where no model of the language is.
    """

    document_id: str
    chunks: Sequence[Chunk]
    title: str | None = None
    language: str | None = None
    phrases: Sequence[str] = ()


@dataclass(slots=True)
class _Named:
    """All that is known of one key."""

    types: Counter[EntityType] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    mentions: list[Mention] = field(default_factory=list)


def document_graphs(
    materials: Iterable[Material],
    control: Control,
    llm: ChatModel | None = None,
    method: ExtractionMethod = ExtractionMethod.LINGUISTIC,
    readers: Readers | None = None,
) -> Iterator[DocumentGraph]:
    """Yield the graph of each document, in their order.

    English and Chinese are read with models of them where these are installed, passage by passage,
    the rest by its spelling. Several documents are read in one go, which is faster; each graph
    depends on its own document only. With another ``method`` and a language model, each passage is
    read by that as well. ``readers`` are the processes to read in; without them it is done here.

    Raises:
        StopWorkError: as ``control.check`` does, which is asked about twice a second.
    """
    group: list[Material] = []
    for material in materials:
        group.append(material)
        if sum(len(each.chunks) for each in group) >= _AT_A_TIME:
            yield from _graphs(group, control, llm, method, readers)
            group = []
    yield from _graphs(group, control, llm, method, readers)


def _graphs(
    materials: Sequence[Material],
    control: Control,
    llm: ChatModel | None,
    method: ExtractionMethod,
    readers: Readers | None,
) -> Iterator[DocumentGraph]:
    pairs = [list(_abbreviations(material)) for material in materials]
    passages = [_passages(*each) for each in zip(materials, pairs, strict=True)]
    read = readers.read if readers else readings
    found = read(list(chain.from_iterable(passages)), control)
    of_documents = [[next(found) for _ in each] for each in passages]
    for place, material in enumerate(materials):
        if llm is None or method is ExtractionMethod.LINGUISTIC:
            yield _graph(material, of_documents[place], pairs[place])
            continue
        asking = Asking(llm, GLEANINGS[method], control)
        improved = asking.improved(passages[place], of_documents[place])
        yield replace(
            _graph(material, improved, pairs[place]),
            method=method,
            tokens=asking.tokens,
            warnings=asking.warnings,
            complete=asking.complete,
        )


def _language(material: Material, text: str) -> str | None:
    """Return the language of a chunk: that of its document, but for Chinese beside English."""
    spoken = material.language
    if (spoken in ENGLISH and _HAN.search(text)) or spoken == CHINESE:
        own = language_of(text)
        return own if own in {CHINESE, "en"} else spoken
    return spoken


def _abbreviations(material: Material) -> Iterator[tuple[str, str]]:
    """Yield what a document abbreviates, as it writes it, each short form once."""
    found = chain.from_iterable(abbreviations(chunk.text) for chunk in material.chunks)
    seen: set[str] = set()
    for short, long in found:
        if short not in seen:
            seen.add(short)
            yield short, long


def _passages(material: Material, pairs: Sequence[tuple[str, str]]) -> list[Passage]:
    """Return the chunks with the names in them that the document itself gives."""
    own = terms(material.title, material.chunks)
    names = Gazetteer()
    for name in chain(
        (term.text for term in own if term.kind is not TermKind.HEADING),
        chain.from_iterable(pairs),
    ):
        names.add(name)
    phrases = Gazetteer()
    for phrase in material.phrases:
        phrases.add(phrase)
    return [
        Passage(
            chunk.text,
            _language(material, chunk.text),
            tuple(
                chain(
                    _spans(names, chunk.text, EntityType.OTHER),
                    _spans(phrases, chunk.text, EntityType.CONCEPT),
                )
            ),
        )
        for chunk in material.chunks
    ]


def _spans(names: Gazetteer, text: str, kind: EntityType) -> Iterator[Span]:
    for match in names.matches(text):
        yield Span(match.start, match.end, kind, match.key)


def _graph(
    material: Material, readings: Sequence[Reading], pairs: Sequence[tuple[str, str]]
) -> DocumentGraph:
    sentences: list[Citation] = []
    named: dict[str, _Named] = defaultdict(_Named)
    stated: dict[tuple[str, str, str, bool], list[int]] = defaultdict(list)
    for chunk, reading in zip(material.chunks, readings, strict=True):
        first = len(sentences)
        sentences += (Citation(chunk.chunk_id, *bounds) for bounds in reading.sentences)
        _note(named, chunk.text, reading, first)
        for each in reading.statements:
            one, other = reading.spans[each.subject].key, reading.spans[each.object].key
            stated[one, each.predicate, other, each.negated].append(first + each.sentence)
    keys = [(normal_form(short), normal_form(long)) for short, long in pairs]
    keys += dict.fromkeys(chain.from_iterable(each.abbreviations for each in readings))
    own = terms(material.title, material.chunks)
    titled = own and own[0].kind is TermKind.TITLE
    title = normal_form(without_remark(own[0].text)) if titled else ""
    fullest = _fullest(named, keys, title)
    entities = _entities(named, fullest)
    if title and title not in fullest:
        entities = _entitled(entities, title, without_remark(own[0].text))
    places = {each.key: place for place, each in enumerate(entities)}
    return DocumentGraph(
        document_id=material.document_id,
        method=ExtractionMethod.LINGUISTIC,
        sentences=tuple(sentences),
        entities=entities,
        relations=tuple(_relations(stated, {key: places[fullest[key]] for key in named})),
        terms=own,
        abbreviations=tuple(pair for pair in keys if all(pair) and pair[0] != pair[1]),
    )


def _note(named: dict[str, _Named], text: str, reading: Reading, first: int) -> None:
    """Note the spans of a passage whose first sentence is the document's ``first``."""
    place = 0
    for span in reading.spans:
        while reading.sentences[place][1] < span.end:
            place += 1
        entry = named[span.key]
        entry.types[span.type] += 1
        entry.written[" ".join(text[span.start : span.end].split())] += 1
        entry.mentions.append(Mention(first + place, span.start, span.end))


def _fullest(
    named: Mapping[str, _Named], pairs: Iterable[tuple[str, str]], title: str
) -> dict[str, str]:
    """Return for each key the fullest of the keys that are of the same thing."""
    fullest = dict(zip(named, named, strict=True))
    fullest |= {short: long for short, long in pairs if short in named and long in named}
    people = [key for key, each in named.items() if _type(each) is EntityType.PERSON]
    for key, each in named.items():
        if fullest[key] == key and _type(each) is not EntityType.CONCEPT:
            fuller = [person for person in people if _is_part(key, person)]
            if title in fuller:
                fuller = [title]
            if len(fuller) == 1 and (" " not in key or _type(each) is EntityType.PERSON):
                fullest[key] = fuller[0]
    return {key: _last(key, fullest) for key in fullest}


def _last(key: str, fullest: Mapping[str, str]) -> str:
    seen = {key}
    while (following := fullest[key]) not in seen:
        seen.add(following)
        key = following
    return key


def _is_part(key: str, person: str) -> bool:
    """Whether a key may be short for a person's: the last name, the first, or some in order."""
    part, whole = key.split(), person.split()
    if len(part) >= len(whole) or _GENERATIONS.intersection(set(whole) ^ set(part)):
        return False
    rest = iter(whole)
    return (part[-1] == whole[-1] or part[0] == whole[0]) and all(each in rest for each in part)


def _type(named: _Named) -> EntityType:
    """Return the commonest type; that it is some name says least, and so counts last."""
    types = named.types
    return max(types, key=lambda each: (each is not EntityType.OTHER, types[each], each))


def _entities(
    named: Mapping[str, _Named], fullest: Mapping[str, str]
) -> tuple[DocumentEntity, ...]:
    """Return an entity for each fullest key, in the order of their first mentions."""
    groups: dict[str, list[_Named]] = defaultdict(list)
    for key, each in named.items():
        groups[fullest[key]].append(each)
    found = []
    for key, group in groups.items():
        written = named[key].written
        mentions = sorted(chain.from_iterable(each.mentions for each in group), key=_in_order)
        found.append(
            DocumentEntity(
                key=key,
                name=min(written, key=lambda each: (-written[each], each)),
                type=_type(named[key]),
                aliases=tuple(sorted(set(chain.from_iterable(each.written for each in group)))),
                mentions=tuple(mentions),
            )
        )
    return tuple(sorted(found, key=lambda each: _in_order(each.mentions[0])))


def _in_order(mention: Mention) -> tuple[int, int]:
    return mention.sentence, mention.start


def _entitled(
    entities: Sequence[DocumentEntity], title: str, written: str
) -> tuple[DocumentEntity, ...]:
    """Return the entities, the person a document is about under the name in its title as well.

    "Julia Gillard" may be nobody but "Julia Eileen Gillard" in a document of that title.
    """
    fuller = [
        place
        for place, each in enumerate(entities)
        if each.type is EntityType.PERSON and " " in title and _is_part(title, each.key)
    ]
    if len(fuller) != 1:
        return tuple(entities)
    [place] = fuller
    about = entities[place]
    about = replace(about, aliases=tuple(sorted({*about.aliases, written})))
    return (*entities[:place], about, *entities[place + 1 :])


def _relations(
    stated: Mapping[tuple[str, str, str, bool], Sequence[int]], places: Mapping[str, int]
) -> Iterator[DocumentRelation]:
    """Yield what is stated of entities, which several of their names may be said of."""
    merged: dict[tuple[int, str, int, bool], set[int]] = defaultdict(set)
    for (one, predicate, other, negated), sentences in stated.items():
        if places[one] != places[other]:
            merged[places[one], predicate, places[other], negated].update(sentences)
    for (source, predicate, target, negated), found in sorted(merged.items()):
        yield DocumentRelation(source, target, predicate, negated, tuple(sorted(found)))
