"""Tags for chunks, learned from the chunks of a tagged collection.

Belongs here: the statistics, and the question to a language model where they say nothing. Does
not belong here: where the tagged chunks come from.

Three steps, each for what the one before left untagged. First the seed's statistic: how much more
frequent a tag is among the examples that share keywords with the chunk than among all. Its
smoothing of 1,000 lets only large collections with rare tags pass, so next the nearest examples
vote, each with the weight of what it shares. Then the model is asked, with the two nearest
examples.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment.asking import Asked, quoted
from ingestion_pipeline.enrichment.words import features
from ingestion_pipeline.languages import language_of
from ingestion_pipeline.llm import ChatModel, read_json
from ingestion_pipeline.model.enrichment import Tag

KEYWORDS = 30
"""By how many keywords a chunk is compared with the examples."""
_BEST = 3
"""Tags that a chunk gets."""
_SMOOTHING = 1000
_LEAST_SHARE = 0.1
"""Of a chunk's keywords: what an example must share to count."""
_MOST_HOLDERS = 5000
"""Examples; a word that more have tells little, and would take long to count."""
_VOTERS = 5
_LEAST_VOTES = 0.5
"""Share of the votes that a tag needs."""
_HIGHEST = 10
_EXAMPLES_SHOWN = 2
_TAGS_SHOWN = 200
_CHARACTERS_SHOWN = 600


@dataclass(frozen=True)
class Example:
    """A tagged text; of a long one, its beginning."""

    text: str
    tags: tuple[str, ...]


class TagModel:
    """What tagged examples teach; the same examples in the same order teach the same."""

    def __init__(self, examples: Sequence[Example], texts_features: Sequence[set[str]]) -> None:
        self._examples = examples
        self._holders: dict[str, list[int]] = defaultdict(list)
        for number, found in enumerate(texts_features):
            for feature in found:
                self._holders[feature].append(number)
        self._totals = Counter(tag for example in examples for tag in example.tags)

    @classmethod
    def learn(cls, examples: Iterable[tuple[str, Sequence[str]]]) -> TagModel:
        """Learn from texts and their tags; a text without tags teaches nothing."""
        kept, texts_features = [], []
        for text, tags in examples:
            if distinct := tuple(dict.fromkeys(filter(None, map(str.strip, tags)))):
                kept.append(Example(text[:_CHARACTERS_SHOWN], distinct))
                texts_features.append(features(text, language_of(text)))
        return cls(kept, texts_features)

    @property
    def tags(self) -> list[str]:
        """All tags, the most frequent first."""
        return sorted(self._totals, key=lambda tag: (-self._totals[tag], tag))

    def tags_for(self, keywords: Sequence[str], language: str | None = None) -> tuple[Tag, ...]:
        """Return the best tags of a chunk with these keywords; none where nothing is alike."""
        near = self._near(keywords, language)
        return _best(self._lifts(near)) or _best(self._votes(near))

    def nearest(self, keywords: Sequence[str], language: str | None = None) -> list[Example]:
        """Return the two examples that share most with these keywords, the best first.

        Where nothing is shared, they are the first examples of the most frequent tags.
        """
        near = self._near(keywords, language) or self._typical()
        return [self._examples[number] for number in _heaviest(near, _EXAMPLES_SHOWN)]

    def _near(self, keywords: Sequence[str], language: str | None) -> dict[int, float]:
        """Return the weight of what each example shares with the keywords, if that is enough."""
        known = features("\n".join(keywords), language)
        wanted = sorted(f for f in known if len(self._holders.get(f, ())) <= _MOST_HOLDERS)
        shared: Counter[int] = Counter()
        weights: defaultdict[int, float] = defaultdict(float)
        for feature in wanted:
            holders = self._holders.get(feature, [])
            weight = math.log(1 + len(self._examples) / (1 + len(holders)))
            shared.update(holders)
            for number in holders:
                weights[number] += weight
        least = max(min(2, len(wanted)), _LEAST_SHARE * len(wanted))
        return {number: weights[number] for number, count in shared.items() if count >= least}

    def _typical(self) -> dict[int, float]:
        firsts: dict[str, int] = {}
        for number, example in enumerate(self._examples):
            for tag in example.tags:
                firsts.setdefault(tag, number)
        return {firsts[tag]: float(self._totals[tag]) for tag in self.tags[:_EXAMPLES_SHOWN]}

    def _lifts(self, near: Mapping[int, float]) -> dict[str, float]:
        """Return how much more frequent tags are near than anywhere, as the seed scores it."""
        counts = Counter(tag for number in near for tag in self._examples[number].tags)
        among, total = counts.total() + _SMOOTHING, self._totals.total() + _SMOOTHING
        return {
            tag: 0.1 * (count + 1) / among / max(1e-6, (self._totals[tag] + 1) / total)
            for tag, count in counts.items()
        }

    def _votes(self, near: Mapping[int, float]) -> dict[str, float]:
        """Return the share of the nearest examples' votes that tags have, 10 for all."""
        voters = _heaviest(near, _VOTERS)
        all_votes = sum(near[number] for number in voters)
        votes: defaultdict[str, float] = defaultdict(float)
        for number in voters:
            for tag in self._examples[number].tags:
                votes[tag] += near[number] / all_votes
        return {tag: _HIGHEST * vote for tag, vote in votes.items() if vote >= _LEAST_VOTES}


def asked_tags(
    text: str, keywords: Sequence[str], model: TagModel, llm: ChatModel, control: Control
) -> Asked[Tag]:
    """Return the tags that a language model chooses for a text, after two examples."""
    known = model.tags[:_TAGS_SHOWN]
    examples = "\n\n".join(
        f"Example:\n{example.text}\nTags: {json.dumps(dict.fromkeys(example.tags, _HIGHEST))}"
        for example in model.nearest(keywords)
    )
    answer = llm.chat(
        f"You tag texts. Choose the {_BEST} tags that fit best, only from this list: "
        f"{json.dumps(known, ensure_ascii=False)}. Answer with one JSON object: a tag as the key, "
        f"how well it fits as the value, from 1 to {_HIGHEST}. Answer {{}} if none fits.\n\n"
        f"{examples}",
        quoted(text),
        max_tokens=200,
        temperature=0.0,
        json_schema={"type": "object", "additionalProperties": {"type": "integer"}},
        control=control,
    )
    return Asked(_best(_scores(read_json(answer.text), known)), answer.tokens)


def _scores(value: object, known: Sequence[str]) -> dict[str, float]:
    """Return the scores of known tags in an answer, whichever their case there."""
    by_case = {tag.casefold(): tag for tag in known}
    scores: dict[str, float] = {}
    for key, score in value.items() if isinstance(value, dict) else ():
        tag = by_case.get(str(key).strip().casefold())
        try:
            number = float(score)
        except (TypeError, ValueError, OverflowError):
            continue
        if tag and math.isfinite(number):
            scores[tag] = number
    return scores


def _best(scores: Mapping[str, float]) -> tuple[Tag, ...]:
    rounded = ((tag, min(_HIGHEST, round(score))) for tag, score in scores.items())
    fitting = [(tag, score) for tag, score in rounded if score > 0]
    return tuple(sorted(fitting, key=lambda each: (-each[1], each[0]))[:_BEST])


def _heaviest(weights: Mapping[int, float], count: int) -> list[int]:
    return sorted(weights, key=lambda number: (-weights[number], number))[:count]
