"""How well searches find all passages that a question needs, with a graph and without.

Each folder holds ``docs.jsonl`` {id, title, text} and ``queries.jsonl`` {id, question, gold[]},
gold being ids or titles. Its documents go through the index, the linguistic extraction and the
merge; no language model, no network. Prints a Markdown table for each folder: recall at 2, 5 and 8,
how often all gold documents are among the first 8, nDCG@10, with 95 % intervals of a bootstrap over
questions, and what the graph adds to the time of a query.

    python benchmarks/graph_ranking.py FOLDER... [--titles-only] [--limit QUESTIONS]
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from fusion import documents
from numpy.typing import NDArray

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.embedding import Embedder, load_embedder
from ingestion_pipeline.graph.document_graph import Material, document_graphs
from ingestion_pipeline.graph.linking import known_names, linked
from ingestion_pipeline.graph.merge import merged
from ingestion_pipeline.graph.ranking import KnownNames, passage_graph, rank
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.graph import Entity
from ingestion_pipeline.model.search import Hit, SearchMode
from ingestion_pipeline.retrieval import Question, read_questions, search
from ingestion_pipeline.settings import PACKAGED_MODEL

DEPTH = 100
SAMPLES = 10_000
HEAD = """\
| search | R@2 | R@5 | R@8 | all@8 | nDCG@10 |
|---|---|---|---|---|---|"""

Scores = NDArray[np.float64]
Documents = dict[str, tuple[str, list[Chunk]]]
"""Titles and chunks by document id."""


def main() -> None:
    """Build index and graph of each folder, ask every question in every mode, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--titles-only", action="store_true", help="leave out all other entities")
    parser.add_argument("--limit", type=int, help="at most so many questions")
    options = parser.parse_args()
    embedder = load_embedder(PACKAGED_MODEL, 16)
    for folder in options.folders:
        questions = read_questions(folder / "queries.jsonl")[: options.limit]
        with tempfile.TemporaryDirectory() as state:
            index = CollectionIndex(state, "benchmark", embedder.fingerprint)
            found = publish(folder, index, embedder)
            started = time.perf_counter()
            entities = extracted(found)
            seconds = time.perf_counter() - started
            if options.titles_only:
                entities = [entity for entity in entities if entity.titles]
            chunks = sum(len(each) for _, each in found.values())
            print(f"\n{folder.name}: {len(found)} documents, {chunks} chunks, ", end="")
            print(f"{len(questions)} questions, {len(entities)} entities in {seconds:.0f} s\n")
            report(index, embedder, found, entities, questions)


def publish(folder: Path, index: CollectionIndex, embedder: Embedder) -> Documents:
    """Index the documents of a folder; return them."""
    found = {}
    for batch in documents(folder / "docs.jsonl", embedder):
        index.publish(batch)
        found |= {each.document_id: (each.name, list(each.chunks)) for each in batch}
    index.maintain(thorough=True)
    return found


def extracted(found: Documents) -> Sequence[Entity]:
    """Return the entities of the collection's graph."""
    control = NoControl()
    materials = (
        Material(document_id, chunks, title, "en") for document_id, (title, chunks) in found.items()
    )
    graphs = list(document_graphs(materials, control))
    names = known_names(graphs)
    texts = {chunk.chunk_id: chunk.text for _, chunks in found.values() for chunk in chunks}
    return merged("benchmark", (linked(each, texts, names) for each in graphs), control).entities


def report(
    index: CollectionIndex,
    embedder: Embedder,
    found: Documents,
    entities: Sequence[Entity],
    questions: Sequence[Question],
) -> None:
    """Ask and judge; print the table."""
    titles = {document_id: title for document_id, (title, _) in found.items()}
    document_of = {chunk.chunk_id: each for each, (_, own) in found.items() for chunk in own}
    graph, names = passage_graph(entities, document_of), KnownNames(entities)
    took: list[float] = []

    def hybrid(question: str) -> list[str]:
        return chunk_ids(search(index, embedder, question, SearchMode.HYBRID, DEPTH))

    def walked(question: str, *, gated: bool) -> list[str]:
        hits = search(index, embedder, question, SearchMode.HYBRID, DEPTH)
        started = time.perf_counter()
        ranking = [(hit.chunk_id, hit.score) for hit in hits]
        named = names.entities(question)
        if not gated or graph.leads_on(named, ranking):
            ranking = rank(graph, named, ranking, DEPTH)
        took.append(time.perf_counter() - started)
        return [chunk_id for chunk_id, _ in ranking]

    ways: dict[str, Callable[[str], list[str]]] = {
        "text": lambda text: chunk_ids(search(index, embedder, text, SearchMode.TEXT, DEPTH)),
        "vector": lambda text: chunk_ids(search(index, embedder, text, SearchMode.VECTOR, DEPTH)),
        "hybrid": hybrid,
        "graph": lambda text: walked(text, gated=False),
        "auto": lambda text: walked(text, gated=True),
    }
    print(HEAD)
    judged = {}
    for name, way in ways.items():
        judged[name] = np.array([judge(way, document_of, titles, each) for each in questions])
        print(f"| {name} | {' | '.join(cells(judged[name]))} |", flush=True)
    gain = judged["auto"] - judged["hybrid"]
    print(f"| auto - hybrid | {' | '.join(cells(gain))} |")
    milliseconds = np.percentile(np.array(took) * 1000, [50, 95])
    print("\nthe graph's part of a query: {:.1f} ms, 95 % below {:.1f} ms".format(*milliseconds))


def chunk_ids(hits: Sequence[Hit]) -> list[str]:
    """Return the ids of chunks."""
    return [hit.chunk_id for hit in hits]


def judge(
    way: Callable[[str], list[str]],
    document_of: dict[str, str],
    titles: dict[str, str],
    question: Question,
) -> list[float]:
    """Return the figures of one question."""
    ranking = list(dict.fromkeys(document_of[each] for each in way(question.question)))
    gold = set(question.gold)
    hits = [bool({each, titles[each]} & gold) for each in ranking]
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
