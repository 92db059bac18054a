"""How well search finds all documents that a question needs, with a graph and without.

Each folder holds ``docs.jsonl`` {id, title, text} and ``queries.jsonl`` {id, question, gold[]},
gold being ids or titles. Its documents go through the whole pipeline as text files called by their
titles; then the graph is built, and summaries also across documents. No language model, no network.
Of the questions those are asked whose gold documents are all there. Writes the tables of
``docs/quality.md``, one for each folder: recall at 2, 5 and 8, how often all gold documents are
among the first 8, nDCG@10, with 95 % intervals of a bootstrap over questions, and the time of a
question.

    python benchmarks/graph_ranking.py FOLDER... [--limit DOCUMENTS] [--questions QUESTIONS]
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pages import inserted

from ingestion_pipeline import IngestionClient
from ingestion_pipeline.control import NoControl
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.model.collections import (
    CollectionConfig,
    CollectionName,
    RaptorConfig,
    RaptorScope,
)
from ingestion_pipeline.model.search import SearchMode
from ingestion_pipeline.retrieval import QueryEncoder, Question, read_questions, search
from ingestion_pipeline.retrieval.evaluation import ranked_documents
from ingestion_pipeline.settings import Settings, project_dir
from ingestion_pipeline.stages import graphed, summarised

PAGE = project_dir() / "docs" / "quality.md"
NAME = CollectionName("default", "quality")
MODES = [mode for mode in SearchMode if mode is not SearchMode.AUTO] + [SearchMode.AUTO]
DEPTH = 10
SAMPLES = 10_000
LONGEST_NAME = 100
HEAD = """\
| mode | R@2 | R@5 | R@8 | all@8 | nDCG@10 | ms |
|---|---|---|---|---|---|---|"""

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Searched:
    """A collection with a graph and summaries; ``names`` are the documents' names, by their ids."""

    index: CollectionIndex
    embedder: QueryEncoder
    names: dict[str, str]
    built: str


def main() -> None:
    """Ingest each folder, ask every question in every mode, write a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, help="at most so many documents")
    parser.add_argument("--questions", type=int, help="at most so many questions")
    options = parser.parse_args()
    for folder in options.folders:
        with tempfile.TemporaryDirectory(prefix="quality") as workplace:
            labels = write_files(folder / "docs.jsonl", Path(workplace) / "files", options.limit)
            searched = prepare(Path(workplace))
            questions = named(read_questions(folder / "queries.jsonl"), labels)
            table = report(searched, questions[: options.questions])
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(inserted(page, f"graph, {folder.name}", table), encoding="utf-8")


def write_files(path: Path, files: Path, limit: int | None) -> dict[str, str]:
    """Write documents to files of their own; return the files' names by the ids and titles."""
    files.mkdir()
    labels: dict[str, str] = {}
    lines = (line for line in path.read_text(encoding="utf-8").split("\n") if line)
    for record in [json.loads(line) for line in lines][:limit]:
        title = record["title"].replace("/", " ").lstrip(" .")[:LONGEST_NAME].strip()
        label = f"{title or record['id']}.txt"
        text = f"{record['title']}\n\n{record['text']}"
        (files / label).write_text(text, encoding="utf-8")
        labels |= {record["id"]: label, record["title"]: label}
    return labels


def named(questions: Sequence[Question], labels: dict[str, str]) -> list[Question]:
    """Return the questions whose gold is all among some documents, gold being their names."""
    return [
        question.model_copy(update={"gold": sorted({labels[gold] for gold in question.gold})})
        for question in questions
        if labels.keys() >= set(question.gold)
    ]


def prepare(workplace: Path) -> Searched:
    """Take files through the pipeline in this process, and build the graph and the summaries."""
    client = IngestionClient(Settings(state_dir=workplace / "state"))
    client.services.registry.collections.create(NAME, CollectionConfig())
    batch = client.launch_tasks([workplace / "files"], collection=NAME.name)
    client.await_tasks(batch.task_ids, in_process=True)
    collection = client.services.registry.collections.get(NAME.key)
    index, embedder = client.services.index(collection), client.services.embedder(collection)
    index.maintain(thorough=True)
    raptor = RaptorConfig(scope=RaptorScope.COLLECTION)
    tree = replace(client.services.tree_inputs(collection), config=raptor)
    made = graphed.build(client.services.graph_inputs(collection), NoControl(), lambda: None)
    summaries = summarised.build(tree, NoControl(), lambda: None)
    index.maintain(thorough=True)
    built = (
        f"{made.documents:,} documents, {made.chunks:,} chunks; {made.counts.entities:,} entities "
        f"and {made.counts.reports:,} reports (built in {sum(made.seconds.values()):.0f} s), "
        f"{summaries.summaries:,} summaries"
    )
    return Searched(index, embedder, index.snapshot().document_names(), built)


def report(searched: Searched, questions: Sequence[Question]) -> str:
    """Ask and judge; print and return the table."""
    lines = [f"{searched.built}; {len(questions):,} questions\n", HEAD]
    print("\n".join(lines), flush=True)
    judged = {}
    for mode in MODES:
        judge(searched, questions[0], mode)  # what is loaded once is loaded before the clock runs
        started = time.perf_counter()
        judged[mode] = np.array([judge(searched, each, mode) for each in questions])
        milliseconds = (time.perf_counter() - started) / len(questions) * 1000
        lines.append(f"| {mode} | {' | '.join(cells(judged[mode]))} | {milliseconds:.0f} |")
        print(lines[-1], flush=True)
    gain = cells(judged[SearchMode.AUTO] - judged[SearchMode.HYBRID])
    lines.append(f"| auto - hybrid | {' | '.join(gain)} | |")
    print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def judge(searched: Searched, question: Question, mode: SearchMode) -> list[float]:
    """Return the figures of one question."""
    ranking = ranked_documents(
        lambda words, k: search(searched.index, searched.embedder, words, mode, k),
        question.question,
        DEPTH,
    )
    gold = set(question.gold)
    hits = [searched.names[each] in gold for each in ranking]
    recalls = [sum(hits[:k]) / len(gold) for k in (2, 5, 8)]
    gain = sum(hit / math.log2(rank + 1) for rank, hit in enumerate(hits[:10], 1))
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(gold), 10) + 1))
    return [*recalls, float(recalls[-1] >= 1), gain / ideal]


def cells(figures: Scores) -> Iterator[str]:
    """Yield means with their intervals; (questions, figures)."""
    chance = np.random.default_rng(0)
    samples = chance.integers(len(figures), size=(SAMPLES, len(figures)))
    for column in figures.T:
        low, high = np.percentile(column[samples].mean(axis=1), [2.5, 97.5])
        yield f"{column.mean():.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
