"""Reading English with spaCy: sentences, names and noun phrases.

The model is spaCy's ``en_core_web_sm`` from an installed package; nothing is fetched. Batches of
any size gave the same parses of all passages tried, to the last label, so that what is read does
not depend on what is read beside it.

Belongs here: what is named in English. Does not belong here: what is said of it (``statements``),
which names are of one thing (``document_graph``), other languages (``fallback``).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control
from ingestion_pipeline.graph.english import EMPTY_NOUNS, VAGUE_ADJECTIVES
from ingestion_pipeline.graph.normal_form import bare, normal_form, singular
from ingestion_pipeline.graph.reading import Passage, Reading, Span, disjoint, preferred, within
from ingestion_pipeline.graph.statements import statements
from ingestion_pipeline.graph.word_classes import WordClasses
from ingestion_pipeline.installed import ENGLISH_MODEL
from ingestion_pipeline.model.graph import EntityType

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token
    from spacy.tokens import Span as Tokens

"""The package that holds spaCy's ``en_core_web_sm`` 3.8.0, which spaCy itself only downloads."""

_BATCH = 32
_BATCH_CHARACTERS = 16_000
"""Between two looks at the control: at most half a second's work, for one core."""
_LABELS = MappingProxyType(
    {
        "PERSON": EntityType.PERSON,
        "NORP": EntityType.GROUP,
        "FAC": EntityType.PLACE,
        "ORG": EntityType.ORGANIZATION,
        "GPE": EntityType.PLACE,
        "LOC": EntityType.PLACE,
        "PRODUCT": EntityType.PRODUCT,
        "EVENT": EntityType.EVENT,
        "WORK_OF_ART": EntityType.WORK,
        "LAW": EntityType.LAW,
        "LANGUAGE": EntityType.OTHER,
        "DATE": EntityType.DATE,
        "MONEY": EntityType.QUANTITY,
        "PERCENT": EntityType.QUANTITY,
        "QUANTITY": EntityType.QUANTITY,
    }
)
"""Counts, ordinals and times of the day are of no use without what they belong to."""
_CALENDAR = re.compile(r"\b1\d\d\d\b|\b20\d\d\b|\b\d{3,4}s?\b.*\b(?:BC|AD|BCE|CE)\b")
"""What makes a date one of the calendar, not one like "two years later"."""
_CELLS = " | "
_NOUNS = frozenset({"NOUN", "PROPN"})
_NEVER_FIRST = frozenset({"DET", "PRON", "NUM", "PUNCT", "CCONJ", "ADP", "SYM", "SPACE", "PART"})
_FEWEST_LETTERS = 4
_LONGEST_PHRASE = 6


def read_english(passages: Iterable[Passage], control: Control) -> Iterator[Reading]:
    """Yield the reading of each passage; from any thread, one batch of one thread at a time."""
    for batch in _batches(passages):
        control.check()
        yield from _read(batch)


def _batches(passages: Iterable[Passage]) -> Iterator[list[Passage]]:
    batch: list[Passage] = []
    characters = 0
    for passage in passages:
        characters += len(passage.text)
        if batch and (len(batch) == _BATCH or characters > _BATCH_CHARACTERS):
            yield batch
            batch, characters = [], len(passage.text)
        batch.append(passage)
    if batch:
        yield batch


def _read(batch: Sequence[Passage]) -> list[Reading]:
    model, classes = _model()
    # Without the zone, the vocabulary would grow for ever.
    with _LOCK, model.memory_zone():
        docs = [_paragraphs(model.make_doc(passage.text), passage.text) for passage in batch]
        parsed = list(model.pipe(docs, batch_size=_BATCH))
        for doc in parsed:
            classes.mark(doc)
        return [_reading(*each) for each in zip(parsed, batch, strict=True)]


_LOCK = threading.Lock()


@cache
def _model() -> tuple[Language, WordClasses]:
    model: Language = import_module(ENGLISH_MODEL).load()
    model.max_length = 2**31
    return model, WordClasses(model)


def _paragraphs(doc: Doc, text: str) -> Doc:
    """Have a sentence begin after each blank line, and with each row of a table."""
    rows = _CELLS in text
    for token in doc[:-1]:
        if token.is_space and "\n" in token.text and (rows or token.text.count("\n") > 1):
            token.nbor().is_sent_start = True
    return doc


def _reading(doc: Doc, passage: Passage) -> Reading:
    sentences = [bounds for sentence in doc.sents if (bounds := _bounds(sentence))]
    text = passage.text  # which spaCy would put together anew each time
    named = [span for entity in doc.ents if (span := _named(entity, text))]
    phrases = [span for phrase in doc.noun_chunks if (span := _phrase(phrase, text, named))]
    named = preferred(named, passage.names)
    spans = tuple(within(sentences, disjoint([*named, *phrases])))
    return Reading(tuple(sentences), spans, tuple(statements(doc, sentences, spans)))


def _bounds(tokens: Tokens) -> tuple[int, int] | None:
    text = tokens.text
    start = tokens.start_char + len(text) - len(text.lstrip())
    end = tokens.start_char + len(text.rstrip())
    return (start, end) if start < end else None


def _named(entity: Tokens, text: str) -> Span | None:
    kind = _LABELS.get(entity.label_)
    if kind is None:
        return None
    tokens = list(entity)
    while tokens and (tokens[0].pos_ in {"DET", "PUNCT", "SPACE"} or tokens[0].tag_ == "PRP$"):
        tokens.pop(0)
    bracket = next((place for place, each in enumerate(tokens) if each.text == "("), len(tokens))
    del tokens[bracket:]
    while tokens and (tokens[-1].tag_ == "POS" or tokens[-1].pos_ in {"PUNCT", "SPACE"}):
        tokens.pop()
    return _span(tokens, text, kind) if tokens and _plausible(tokens, text, kind) else None


def _plausible(tokens: Sequence[Token], text: str, kind: EntityType) -> bool:
    written = text[tokens[0].idx : tokens[-1].idx + len(tokens[-1])]
    if "\n" in written:
        return False
    if kind is EntityType.DATE:
        return _CALENDAR.search(written) is not None
    return kind is EntityType.QUANTITY or any(map(str.isupper, written))


def _phrase(phrase: Tokens, text: str, named: Sequence[Span]) -> Span | None:
    """Return what a noun phrase names, which is a name if it is written as one."""
    if phrase[-1].pos_ not in _NOUNS or any(
        span.start < phrase.end_char and phrase.start_char < span.end for span in named
    ):
        return None
    tokens = list(phrase)
    while tokens and (tokens[0].pos_ in _NEVER_FIRST or tokens[0].lower_ in VAGUE_ADJECTIVES):
        tokens.pop(0)
    while tokens and tokens[-1].pos_ not in _NOUNS:
        tokens.pop()
    if not tokens or len(tokens) > _LONGEST_PHRASE or any("\n" in each.text for each in tokens):
        return None
    if all(each.pos_ == "PROPN" and each.text[:1].isupper() for each in tokens):
        return _span(tokens, text, EntityType.OTHER)
    if len(tokens) == 1 and _empty(tokens[0]):
        return None
    return _span(tokens, text, EntityType.CONCEPT)


def _empty(token: Token) -> bool:
    return len(token) < _FEWEST_LETTERS or singular(token.lower_) in EMPTY_NOUNS


def _span(tokens: Sequence[Token], text: str, kind: EntityType) -> Span | None:
    start, end = bare(text, tokens[0].idx, tokens[-1].idx + len(tokens[-1]))
    key = normal_form(text[start:end], kind)
    if kind is EntityType.CONCEPT and tokens[-1].tag_ in {"NNS", "NNPS"}:
        key = singular(key)
    return Span(start, end, kind, key) if key else None
