"""Questions for an overview, and the reports that answer them.

Belongs here: how such questions are told, and which reports are shown together. Does not belong
here: in whose place they are shown (``tree``), and where reports are found (``indexing``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache
from heapq import nsmallest

from ingestion_pipeline.enrichment.words import stop_words
from ingestion_pipeline.indexing import FoundReport
from ingestion_pipeline.model.graph import Community, Report

KEPT = 50
"""Reports that may be shown to a question for everything."""
_NEAR = 0.8
"""Of the nearest report's cosine; others of a lower one are about something else."""
_TELLS = (
    r"over-?view|outline|nutshell|gist|synopsis|recap|tl;?dr|summar(?:y|ies|i[sz]e[ds]?|i[sz]ing)"
    r"|themes|topics|take-?aways"
)
_KINDS = "ideas|points|subjects|issues|findings|trends|patterns|messages|conclusions|theme|topic"
_ASKED = re.compile(
    rf"""\b(?: {_TELLS} | big\ picture | sum\s+up
    | (?:main|key|major|central|common|general|overall|recurring|principal|important)\s+
      (?:\w+\s+)?(?:{_KINDS})
    | what\s+(?:is|are)\s+(?:this|these|it|they|the)\b[^?]*\babout
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""English only, as the stop words are: in other languages summaries come by their nearness."""
_ASKING = re.compile(f"{_TELLS}|{_KINDS}", re.IGNORECASE)
_WORD = re.compile(r"[\w;]+")
_ANYTHING = """
all article articles book books brief briefly broad central collection collections common content
contents corpus cover covered covers data dataset describe described describes discuss discussed
discusses document documents emerge emerging entire explain file files general idea ideas
important information issue issues key knowledge main major material materials mention mentioned
note overall overarching page pages paper papers passage passages picture point points present
principal provide recurring report reports short stories story sum talk talks text texts whole
"""
"""What a question calls documents and their contents without saying which."""


class Scope(StrEnum):
    """How much a question is about."""

    SOMETHING = "something"
    TOPIC = "topic"
    """It asks for an overview of what it names."""
    ALL = "all"
    """It asks for an overview and names nothing: of whatever there is."""


class Overview:
    """What must be known of a graph's communities to show reports of different ones."""

    def __init__(self, communities: Iterable[Community], reports: Iterable[Report]) -> None:
        """Keep the reports of the coarsest level that have the highest ratings."""
        self._above = {each.community_id: (each.level, each.parent_id) for each in communities}
        coarse = (each for each in reports if self._level(each) == 0 and each.citations)
        self._foremost = nsmallest(KEPT, coarse, key=lambda each: (-each.rating, each.community_id))

    def of_all(self) -> list[FoundReport]:
        """Return the reports that together say most of a collection, the best first."""
        return [FoundReport(each, each.rating) for each in self._foremost]

    def of_topic(self, nearest: Sequence[FoundReport]) -> list[FoundReport]:
        """Return of the reports nearest to a question the coarse ones first, none within others."""
        best = max((each.score for each in nearest), default=0.0)
        near = [each for each in nearest if each.score >= _NEAR * best]
        chosen: dict[str, FoundReport] = {}
        for each in sorted(near, key=lambda found: (self._level(found.report), -found.score)):
            if chosen.keys().isdisjoint(self._around(each.report.community_id)):
                chosen[each.report.community_id] = each
        return list(chosen.values())

    def _level(self, report: Report) -> int:
        level, _ = self._above.get(report.community_id, (0, None))
        return level

    def _around(self, community_id: str | None) -> Iterator[str]:
        """Yield a community and those that it is a part of."""
        while community_id is not None:
            yield community_id
            _, community_id = self._above.get(community_id, (0, None))


def scope(question: str) -> Scope:
    """Return how much a question is about, by its form."""
    if not _ASKED.search(question):
        return Scope.SOMETHING
    words = {word.lower() for word in _WORD.findall(question)} - stop_words("en") - _anything()
    return Scope.ALL if all(map(_ASKING.fullmatch, words)) else Scope.TOPIC


@cache
def _anything() -> frozenset[str]:
    return frozenset(_ANYTHING.split())
