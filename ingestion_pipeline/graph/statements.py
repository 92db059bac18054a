"""What English sentences state of the things they name, by patterns of their grammar.

Subject, verb and object, also in the passive, in relative clauses and through "to do" (Fader et al.
2011 call them relation phrases: the verb with its preposition); "A is B"; apposition; possession;
noun, preposition, noun. What is denied is kept apart from what is said.

Belongs here: from a parse to statements. Does not belong here: the parse (``linguistic``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from ingestion_pipeline.graph.reading import Span, Statement

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

_SUBJECTS = frozenset({"nsubj", "nsubjpass"})
_OBJECTS = frozenset({"dobj", "attr", "oprd", "dative"})
_RELATIVE = frozenset({"WDT", "WP", "WP$"})
_DENYING_VERBS = frozenset({"fail", "lack", "refuse", "deny", "cease"})
_DENYING_WORDS = frozenset({"no", "not", "never", "neither", "nor", "n't", "without", "none"})
_BORDER = "|"
"""Between the cells of a table, which no grammar connects."""
_HAVE = "have"
_BE = "be"

_Found = tuple["Token", str, "Token", bool]
"""Subject, predicate, object, and whether it is denied."""


def statements(
    doc: Doc, sentences: Sequence[tuple[int, int]], spans: Sequence[Span]
) -> Iterator[Statement]:
    """Yield the statements of a parsed text, each once a sentence."""
    owners = _owners(doc, spans)
    sentence_of = _sentences_of(sentences, spans)
    cell_of = list(accumulate(token.text == _BORDER for token in doc))
    seen: set[Statement] = set()
    for token in doc:
        for subject, predicate, object_, negated in _found(token, owners):
            one, other = owners[subject.i], owners[object_.i]
            sentence = sentence_of[one]
            if one == other or sentence != sentence_of[other]:
                continue
            if cell_of[subject.i] != cell_of[object_.i]:
                continue
            statement = Statement(sentence, one, predicate, other, negated)
            if statement not in seen:
                seen.add(statement)
                yield statement


def _owners(doc: Doc, spans: Sequence[Span]) -> dict[int, int]:
    """Return for each token that is in a span the position of that span."""
    owners = {}
    place = 0
    for token in doc:
        while place < len(spans) and spans[place].end <= token.idx:
            place += 1
        if place < len(spans) and spans[place].start <= token.idx:
            owners[token.i] = place
    return owners


def _sentences_of(sentences: Sequence[tuple[int, int]], spans: Sequence[Span]) -> list[int]:
    found = []
    place = 0
    for span in spans:
        while sentences[place][1] < span.end:
            place += 1
        found.append(place)
    return found


def _found(token: Token, owners: dict[int, int]) -> Iterator[_Found]:
    if token.pos_ in {"VERB", "AUX"}:
        yield from _of_verb(token, owners)
    elif token.i in owners:
        yield from _of_noun(token, owners)
    elif token.dep_ == "appos" and token.head.i in owners:
        for predicate, each in _through(token, f"{_BE} {token.lower_}", owners):
            yield token.head, predicate, each, False


def _of_verb(verb: Token, owners: dict[int, int]) -> Iterator[_Found]:
    subjects, passive = _subjects(verb)
    subjects = [each for each in subjects if each.i in owners]
    if not subjects:
        return
    negated = _denied(verb)
    name = " ".join(
        [verb.lemma_.lower(), *(each.lower_ for each in verb.children if each.dep_ == "prt")]
    )
    for way, each in _objects(verb):
        object_denied = negated or _denied(each)
        if way == "agent":
            if each.i in owners:
                yield from ((each, name, subject, object_denied) for subject in subjects)
            continue
        predicate = f"{_BE} {verb.lower_}" if passive else name
        predicate = f"{predicate} {way}" if way else predicate
        for subject in subjects:
            for said, reached in _through(each, predicate, owners):
                yield subject, said, reached, object_denied


def _subjects(verb: Token) -> tuple[list[Token], bool]:
    """Return what does it, or in the passive what it is done to."""
    for child in verb.children:
        if child.dep_ in _SUBJECTS:
            passive = child.dep_ == "nsubjpass"
            if child.tag_ in _RELATIVE and verb.dep_ == "relcl":
                return _and_others(verb.head), passive
            return _and_others(child), passive
    if verb.dep_ == "acl":
        return [verb.head], verb.tag_ == "VBN"
    if verb.dep_ in {"conj", "xcomp"} and verb.head.pos_ in {"VERB", "AUX"}:
        subjects, passive = _subjects(verb.head)
        return subjects, passive and verb.tag_ == "VBN"
    return [], False


def _objects(verb: Token) -> Iterator[tuple[str, Token]]:
    """Yield what stands with a verb, each with its preposition if it has one."""
    for child in verb.children:
        if child.dep_ in _OBJECTS and child.pos_ != "ADP":
            yield from (("", each) for each in _and_others(child))
        elif child.dep_ in {"prep", "agent", "dative"}:
            way = "agent" if child.dep_ == "agent" else child.lower_
            yield from ((way, each) for each in _objects_of(child))


def _objects_of(preposition: Token) -> Iterator[Token]:
    for child in preposition.children:
        if child.dep_ == "pobj":
            yield from _and_others(child)


def _through(noun: Token, predicate: str, owners: dict[int, int]) -> Iterator[tuple[str, Token]]:
    """Yield a noun that is named; through one that is not, what its prepositions lead to."""
    if noun.i in owners:
        yield predicate, noun
        return
    said = predicate if predicate.endswith(noun.lower_) else f"{predicate} {noun.lower_}"
    for child in noun.children:
        if child.dep_ == "prep":
            for each in _objects_of(child):
                if each.i in owners:
                    yield f"{said} {child.lower_}", each


def _of_noun(noun: Token, owners: dict[int, int]) -> Iterator[_Found]:
    """Yield what a noun that is named says by its place beside another one."""
    if noun.dep_ == "appos" and noun.head.i in owners:
        yield noun.head, _BE, noun, False
    elif noun.dep_ == "poss" and noun.head.i in owners:
        yield noun, _HAVE, noun.head, False
    for child in noun.children:
        if child.dep_ == "prep":
            for each in _objects_of(child):
                if each.i in owners:
                    yield noun, child.lower_, each, child.lower_ in _DENYING_WORDS


def _and_others(token: Token) -> list[Token]:
    """Return a token and those that "and" or "or" put beside it."""
    found = [token]
    for each in found:
        found += (child for child in each.children if child.dep_ == "conj")
    return found


def _denied(token: Token) -> bool:
    if any(
        child.dep_ == "neg" or (child.dep_ in {"det", "preconj"} and child.lower_ in _DENYING_WORDS)
        for child in token.children
    ):
        return True
    if token.pos_ != "VERB":
        return False
    return token.lemma_ in _DENYING_VERBS or (token.dep_ == "xcomp" and _denied(token.head))
