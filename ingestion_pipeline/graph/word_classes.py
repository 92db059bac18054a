"""Parts of speech, and the base forms of verbs, in a parse of spaCy's.

What spaCy's own attribute ruler and lemmatizer say, in a tenth of their time, which is a fifth of
all that reading takes: the ruler tries 179 rules at each word, and nearly all depend on nothing but
the word's tag and its place in the sentence, of which there are few; so what it said once is known.
Only verbs are asked for their base forms.

Belongs here: that. Does not belong here: what follows from them (``linguistic``, ``statements``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

_Attributes = dict[int, int]
"""Values of spaCy's, by the numbers of its attributes."""
_VERBS = frozenset({"VERB", "AUX"})
_Kind = tuple[int, int, int, int]
"""What a rule for one word looks at: the word, if there is a rule for it, tag, relation, blank."""


class WordClasses:
    """Stands for two parts of a pipeline, which it turns off."""

    def __init__(self, model: Language) -> None:
        from spacy.matcher import Matcher

        self._ruler = cast("Any", model.get_pipe("attribute_ruler"))
        self._lemmatizer = cast("Any", model.get_pipe("lemmatizer"))
        model.select_pipes(disable=["attribute_ruler", "lemmatizer"])
        self._known: dict[_Kind, tuple[int, ...]] = {}
        self._merged: dict[tuple[int, ...], _Attributes] = {}
        self._words: set[int] = set()
        self._rules: dict[int, int] = {}
        self._of_several_words = Matcher(model.vocab)
        for rule, each in enumerate(self._ruler.patterns):
            self._rules[model.vocab.strings.add(str(rule))] = rule
            for pattern in each["patterns"]:
                if len(pattern) > 1:
                    self._of_several_words.add(str(rule), [pattern])
                else:
                    word = pattern[0].get("LOWER", {})
                    words = [word] if isinstance(word, str) else word.get("IN", [])
                    self._words.update(map(model.vocab.strings.add, words))

    def mark(self, doc: Doc) -> None:
        """Set the part of speech of each word, and the base form of each verb."""
        from spacy.tokens._retokenize import set_token_attrs

        kinds = self._kinds(doc)
        if not self._known.keys() >= set(kinds):
            self._learn(doc, kinds)
        more: dict[int, list[int]] = defaultdict(list)
        for name, start, _ in self._of_several_words(doc, allow_missing=True):
            rule = self._rules[name]
            more[start + self._ruler.indices[rule]].append(rule)
        for token, kind in zip(doc, kinds, strict=True):
            rules = self._known[kind]
            if token.i in more:
                rules = tuple(sorted({*rules, *more[token.i]}))
            set_token_attrs(token, self._attributes(rules))
            if token.pos_ in _VERBS and not token.lemma:
                token.lemma_ = self._lemmatizer.lemmatize(token)[0]

    def _kinds(self, doc: Doc) -> list[_Kind]:
        rows = doc.to_array(["LOWER", "TAG", "DEP", "IS_SPACE"]).tolist()
        return [
            (word if word in self._words else 0, tag, relation, blank)
            for word, tag, relation, blank in rows
        ]

    def _learn(self, doc: Doc, kinds: Sequence[_Kind]) -> None:
        """Find out which rules hold for words of these kinds."""
        found: dict[int, set[int]] = defaultdict(set)
        for rule, _, start, end in self._ruler.match(doc):
            if end == start + 1:
                found[start].add(rule)
        for place, kind in enumerate(kinds):
            self._known[kind] = tuple(sorted(found[place]))

    def _attributes(self, rules: tuple[int, ...]) -> _Attributes:
        """Return what rules say, of which the later count."""
        if rules not in self._merged:
            merged: dict[int, int] = {}
            for rule in rules:
                merged |= self._ruler.attrs[rule]
            self._merged[rules] = merged
        return self._merged[rules]
