"""Evaluation: how well a search finds the documents that are known to answer.

Belongs here: the questions file, ranking of documents, metrics. Does not belong here: searching.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.search import Hit

DEPTH = 10
"""How many documents the metrics look at."""

CHUNKS_PER_DOCUMENT = 5
MOST_CHUNKS = 1000

SearchFunction = Callable[[str, int], Sequence[Hit]]
"""A question and how many chunks are wanted; the best chunk first."""


class Question(BaseModel):
    """One line of a questions file; ``gold`` are document names (extension or not) or ids."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[str, StringConstraints(min_length=1)]
    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    gold: Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True)
class RankedNames:
    """The distinct names of the documents found for one question, best first."""

    id: str
    names: list[str]


@dataclass(frozen=True)
class Evaluation:
    """Means over all questions; ``unknown_gold`` names no document of the collection.

    An unknown gold document counts as one that was not found: a document that failed to be indexed
    must not improve the figures.
    """

    queries: int
    recall_at_5: float
    recall_at_10: float
    ndcg_at_10: float
    mrr_at_10: float
    seconds_per_query: float
    unknown_gold: list[str]
    hits: list[RankedNames]

    def figures(self) -> dict[str, float | int]:
        """Return the figures under their public names."""
        return {
            "queries": self.queries,
            "recall@5": self.recall_at_5,
            "recall@10": self.recall_at_10,
            "ndcg@10": self.ndcg_at_10,
            "mrr@10": self.mrr_at_10,
            "seconds_per_query": self.seconds_per_query,
        }


def read_questions(path: Path) -> list[Question]:
    """Read a file of JSON lines ``{id, question, gold[]}``; empty lines are skipped.

    Raises:
        PermanentError: ``not_found``, or ``broken`` with the number of the first malformed line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise PermanentError(ErrorKind.NOT_FOUND, f"there is no file {path}") from error
    except UnicodeDecodeError as error:
        raise PermanentError(ErrorKind.BROKEN, f"{path} is not UTF-8: {error}") from error
    questions = [
        _question(path, number, line) for number, line in enumerate(lines, 1) if line.strip()
    ]
    if not questions:
        raise PermanentError(ErrorKind.EMPTY, f"{path} holds no questions")
    return questions


def _question(path: Path, number: int, line: str) -> Question:
    try:
        data = json.loads(line)
        if isinstance(data, dict) and isinstance(data.get("id"), int):
            data["id"] = str(data["id"])
        return Question.model_validate(data)
    except json.JSONDecodeError as error:
        problem = f"not JSON: {error.msg}"
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"
    raise PermanentError(
        ErrorKind.BROKEN,
        f"{path}, line {number}: {problem}; a line is {{id, question, gold: [names or ids]}}",
    )


def evaluate(
    search: SearchFunction,
    questions: Sequence[Question],
    names: Mapping[str, str],
    k: int = DEPTH,
) -> Evaluation:
    """Ask every question and compare the documents found with the gold ones.

    Args:
        search: finds chunks; a document ranks where its best chunk does.
        questions: at least one.
        names: the name of every document of the collection, by its id.
        k: how many distinct documents are reported per question.
    """
    documents = _Documents(names)
    recall_5 = recall_10 = ndcg = mrr = seconds = 0.0
    unknown: dict[str, None] = {}
    hits = []
    for question in questions:
        started = time.perf_counter()
        ranking = ranked_documents(search, question.question, max(k, DEPTH))
        seconds += time.perf_counter() - started
        relevant = {gold: documents.named(gold) for gold in dict.fromkeys(question.gold)}
        unknown |= dict.fromkeys(gold for gold, found in relevant.items() if not found)
        gains = _gains(ranking, relevant)
        recall_5 += recall(gains, len(relevant), 5)
        recall_10 += recall(gains, len(relevant), 10)
        ndcg += normalised_gain(gains, len(relevant), 10)
        mrr += reciprocal_rank(gains, 10)
        found_names = dict.fromkeys(names.get(document, document) for document in ranking)
        hits.append(RankedNames(question.id, list(found_names)[:k]))
    count = len(questions)
    return Evaluation(
        queries=count,
        recall_at_5=recall_5 / count,
        recall_at_10=recall_10 / count,
        ndcg_at_10=ndcg / count,
        mrr_at_10=mrr / count,
        seconds_per_query=seconds / count,
        unknown_gold=list(unknown),
        hits=hits,
    )


def ranked_documents(search: SearchFunction, question: str, count: int) -> list[str]:
    """Return the ids of the ``count`` best distinct documents, fewer if no more are found.

    Several chunks may be of one document, so the search goes deeper until they suffice. What spans
    documents is none of them.
    """
    depth = min(MOST_CHUNKS, CHUNKS_PER_DOCUMENT * count)
    while True:
        chunks = search(question, depth)
        documents = list(dict.fromkeys(hit.document_id for hit in chunks if hit.document_id))
        if len(documents) >= count or len(chunks) < depth or depth >= MOST_CHUNKS:
            return documents[:count]
        depth = min(MOST_CHUNKS, depth * CHUNKS_PER_DOCUMENT)


class _Documents:
    """Finds documents by what a questions file calls them."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._by_label: dict[str, set[str]] = {}
        for document_id, name in names.items():
            for label in {document_id, name, PurePosixPath(name).name, PurePosixPath(name).stem}:
                self._by_label.setdefault(normalize("NFC", label), set()).add(document_id)

    def named(self, gold: str) -> set[str]:
        """Return the ids of the documents that ``gold`` may mean; each of them answers."""
        return self._by_label.get(normalize("NFC", gold), set())


def _gains(ranking: Iterable[str], relevant: Mapping[str, set[str]]) -> list[bool]:
    """Return for each rank whether it brings a gold document that no better rank brought."""
    open_gold = dict(relevant)
    gains = []
    for document in ranking:
        gold = next((gold for gold, ids in open_gold.items() if document in ids), None)
        gains.append(gold is not None)
        if gold is not None:
            del open_gold[gold]
    return gains


def recall(gains: Sequence[bool], relevant: int, k: int) -> float:
    """Return the share of the ``relevant`` documents that are among the first ``k``."""
    return sum(gains[:k]) / relevant


def normalised_gain(gains: Sequence[bool], relevant: int, k: int) -> float:
    """Return nDCG@k for binary relevance (Järvelin and Kekäläinen, 2002)."""
    gain = sum(1 / math.log2(rank + 1) for rank, gained in enumerate(gains[:k], 1) if gained)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(relevant, k) + 1))
    return gain / ideal


def reciprocal_rank(gains: Sequence[bool], k: int) -> float:
    """Return one over the rank of the first relevant document, 0 if it is not in the first k."""
    return next((1 / rank for rank, gained in enumerate(gains[:k], 1) if gained), 0.0)
