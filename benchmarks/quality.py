"""Measure what summaries and a graph add to search, and write the tables of docs/quality.md.

The folder ``--medical`` is GraphRAG-Bench's: ``medical.json`` with one long text, and
``medical_questions.json`` with questions of four levels and the pieces of evidence of each. It is
ingested as one text file through the whole pipeline. Every question is asked in four modes; a
piece of evidence is covered if one of the ten hits has at least four fifths of its distinct words
(stop words aside, endings cut). The pieces are paraphrases, so no hit has them literally.

The folders ``--documents`` hold ``docs.jsonl`` {id, title, text} and ``queries.jsonl`` {id,
question, gold[]}, gold being ids or titles. Of each the first documents are ingested, with
summaries also across them, and asked those questions whose gold is all among them.

    python benchmarks/quality.py --medical FOLDER --documents FOLDER [FOLDER] [--limit 1000]
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pages import inserted

from ingestion_pipeline import IngestionClient
from ingestion_pipeline.control import NoControl
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.indexing.maintenance import STOP_WORDS
from ingestion_pipeline.model.collections import (
    CollectionConfig,
    CollectionName,
    RaptorConfig,
    RaptorScope,
)
from ingestion_pipeline.model.search import Hit, HitKind, SearchMode
from ingestion_pipeline.retrieval import QueryEncoder, Question, evaluate, read_questions, search
from ingestion_pipeline.settings import Settings, project_dir
from ingestion_pipeline.stages import graphed, summarised

PAGE = project_dir() / "docs" / "quality.md"
MODES = (SearchMode.HYBRID, SearchMode.TREE, SearchMode.GRAPH, SearchMode.AUTO)
LEVELS = ("Fact Retrieval", "Complex Reasoning", "Contextual Summarize", "Creative Generation")
K = 10
ENOUGH = 0.8
"""Of a piece's words, in one hit."""
RESAMPLES = 2000
WORD = re.compile(r"[a-z0-9]+")
ENDINGS = ("ing", "ed", "es", "s")
SHORTEST_STEM = 3
STOPS = frozenset(STOP_WORDS.split())

Words = frozenset[str]
Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """A question with its evidence."""

    text: str
    level: str
    pieces: Sequence[Words]


@dataclass(frozen=True)
class Searched:
    """A collection that is indexed and has a tree and a graph."""

    index: CollectionIndex
    embedder: QueryEncoder
    chunks: int
    summaries: int
    entities: int
    reports: int
    seconds: float

    def ask(self, question: str, mode: SearchMode, k: int = K) -> list[Hit]:
        """Return what a search finds."""
        return search(self.index, self.embedder, question, mode, k)


def main() -> None:
    """Measure what folders were given for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--medical", type=Path)
    parser.add_argument("--documents", type=Path, nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=1000, help="at most so many documents")
    parser.add_argument("--every", type=int, default=1, help="ask every so manieth question")
    arguments = parser.parse_args()
    if arguments.medical:
        write("medical", medical(arguments.medical, arguments.every))
    if arguments.documents:
        rows = [row for each in arguments.documents for row in documents(each, arguments.limit)]
        heading = "| set | documents | chunks | summaries | questions | mode | nDCG@10 | recall@5 "
        table = [f"{heading}| recall@10 | s per question |", "|---|" + "---|" * 9, *rows]
        write("documents", "\n".join(table) + "\n")


def write(name: str, table: str) -> None:
    """Print a table, and put it in the page."""
    print(table)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(inserted(page, name, table), encoding="utf-8")


# Evidence


def medical(folder: Path, every: int) -> str:
    """Return the table of how much evidence is found."""
    text = json.loads((folder / "medical.json").read_text(encoding="utf-8"))["context"]
    questions = read_evidence(folder / "medical_questions.json")[::every]
    with tempfile.TemporaryDirectory(prefix="quality") as workplace:
        files = Path(workplace) / "files"
        files.mkdir()
        (files / "medical.txt").write_text(text, encoding="utf-8")
        searched = prepare(Path(workplace), files, RaptorConfig())
        covered = {mode: coverage(searched, questions, mode) for mode in MODES}
    levels = np.array([question.level for question in questions])
    size = (
        f"{searched.chunks:,} chunks, {searched.summaries:,} summaries, {searched.entities:,} "
        f"entities, {searched.reports:,} reports"
    )
    lines = [
        f"{size} (built in {searched.seconds:.0f} s), {len(questions):,} questions\n",
        f"| mode | all | {' | '.join(LEVELS)} | evidence in chunks | summaries shown | ms |",
        "|---|" + "---|" * (len(LEVELS) + 4),
    ]
    base = covered[SearchMode.HYBRID].in_hits
    for mode, result in covered.items():
        some = [np.ones(len(questions), bool), *(levels == level for level in LEVELS)]
        cells = [share(result.in_hits[each], base[each], mode) for each in some]
        lines.append(
            f"| {mode} | {' | '.join(cells)} | {result.in_chunks.mean():.1%} "
            f"| {result.summaries:.2f} | {result.seconds * 1000:.0f} |"
        )
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Coverage:
    """For each question the share of its evidence that ten hits have.

    ``in_chunks`` counts chunks only: those that are hits, and those that others bring.
    """

    in_hits: Figures
    in_chunks: Figures
    summaries: float
    seconds: float


def coverage(searched: Searched, questions: Sequence[Asked], mode: SearchMode) -> Coverage:
    """Ask all questions in one mode."""
    in_hits, in_chunks, summaries = [], [], 0
    started = time.perf_counter()
    for question in questions:
        hits = searched.ask(question.text, mode)
        assert len(hits) <= K
        shown = [hit for hit in hits if hit.kind is not HitKind.CHUNK]
        chunks = [hit for hit in hits if hit.kind is HitKind.CHUNK]
        chunks += [chunk for hit in shown for chunk in hit.chunks]
        summaries += len(shown)
        in_hits.append(found(question.pieces, hits))
        in_chunks.append(found(question.pieces, chunks))
    seconds = (time.perf_counter() - started) / len(questions)
    return Coverage(np.array(in_hits), np.array(in_chunks), summaries / len(questions), seconds)


def found(pieces: Sequence[Words], hits: Iterable[Hit]) -> float:
    """Return which share of the pieces one of the hits has."""
    texts = [words(hit.text) for hit in hits]
    most = [max((len(piece & text) / len(piece) for text in texts), default=0) for piece in pieces]
    return float(np.mean(np.array(most) >= ENOUGH))


def read_evidence(path: Path) -> list[Asked]:
    """Return the questions that have evidence."""
    records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    asked = [
        Asked(
            record["question"],
            record["question_type"],
            [found for piece in record["evidence"].split("; ") if (found := words(piece))],
        )
        for record in records
    ]
    return [question for question in asked if question.pieces]


def words(text: str) -> Words:
    """Return the distinct words of a text, without stop words and endings."""
    return frozenset(stem(word) for word in WORD.findall(text.lower()) if word not in STOPS)


def stem(word: str) -> str:
    """Cut the ending."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word.removesuffix(ending)
    return word


def share(figures: Figures, base: Figures, mode: SearchMode) -> str:
    """Return a mean, and the difference from the first mode: 95 % of what other questions give."""
    shown = f"{figures.mean():.1%}"
    if mode is SearchMode.HYBRID:
        return shown
    difference = figures - base
    drawn = np.random.default_rng(0).integers(len(difference), size=(RESAMPLES, len(difference)))
    low, high = np.percentile(difference[drawn].mean(axis=1), [2.5, 97.5]) * 100
    return f"{shown} ({low:+.1f} to {high:+.1f})"


# Documents


def documents(folder: Path, limit: int) -> list[str]:
    """Return a line for each mode: how well gold documents are found."""
    lines = (folder / "docs.jsonl").read_text(encoding="utf-8").split("\n")
    records = [json.loads(line) for line in lines if line][:limit]
    # Ids and titles may hold what no file name can.
    names = {
        record[key]: f"{number:06}"
        for number, record in enumerate(records)
        for key in ("title", "id")
    }
    questions = [
        question.model_copy(update={"gold": [names[gold] for gold in question.gold]})
        for question in read_questions(folder / "queries.jsonl")
        if names.keys() >= set(question.gold)
    ]
    with tempfile.TemporaryDirectory(prefix="quality") as workplace:
        files = Path(workplace) / "files"
        files.mkdir()
        for record in records:
            text = f"{record['title']}\n\n{record['text']}"
            (files / f"{names[record['id']]}.txt").write_text(text, encoding="utf-8")
        searched = prepare(Path(workplace), files, RaptorConfig(scope=RaptorScope.COLLECTION))
        return [judged(folder.name, searched, questions, mode) for mode in MODES]


def judged(name: str, searched: Searched, questions: list[Question], mode: SearchMode) -> str:
    """Return one line of the table."""
    names: Mapping[str, str] = searched.index.snapshot().document_names()
    result = evaluate(lambda text, depth: searched.ask(text, mode, depth), questions, names)
    return (
        f"| {name} | {len(names):,} | {searched.chunks:,} | {searched.summaries:,} "
        f"| {result.queries} | {mode} | {result.ndcg_at_10:.4f} | {result.recall_at_5:.4f} "
        f"| {result.recall_at_10:.4f} | {result.seconds_per_query:.3f} |"
    )


# Both


def prepare(workplace: Path, files: Path, raptor: RaptorConfig) -> Searched:
    """Take files through the pipeline in this process, and build the tree and the graph."""
    client = IngestionClient(Settings(state_dir=workplace / "state"))
    collection = client.services.registry.collections.create(
        CollectionName("default", "quality"), CollectionConfig()
    )
    batch = client.launch_tasks([files], collection="quality")
    client.await_tasks(batch.task_ids, in_process=True)
    collection = client.services.registry.collections.get("quality")
    index, embedder = client.services.index(collection), client.services.embedder(collection)
    inputs = replace(client.services.tree_inputs(collection), config=raptor)
    tree = summarised.build(inputs, NoControl(), lambda: None)
    graph = graphed.build(client.services.graph_inputs(collection), NoControl(), lambda: None)
    index.maintain(thorough=True)
    return Searched(
        index,
        embedder,
        tree.chunks,
        tree.summaries,
        graph.counts.entities,
        graph.counts.reports,
        tree.seconds + sum(graph.seconds.values()),
    )


if __name__ == "__main__":
    main()
