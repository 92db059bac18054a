"""Compare ways to fuse full-text and vector rankings on a folder with known answers.

The folder holds ``docs.jsonl`` {id, title, text} and ``queries.jsonl`` {id, question, gold[]}, gold
being ids or titles. Prints a Markdown table. Passages are packed sentences, not the project's
chunks, so that the figures do not move with the chunker.

    python benchmarks/fusion.py FOLDER [--limit QUESTIONS]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.embedding import Embedder, load_embedder, title_weighted
from ingestion_pipeline.indexing import CollectionIndex, IndexedDocument
from ingestion_pipeline.model.chunks import Chunk, chunk_id
from ingestion_pipeline.model.search import Hit
from ingestion_pipeline.retrieval import Question, evaluate, read_questions
from ingestion_pipeline.retrieval.fusion import fused, shares_of_best, spread_out
from ingestion_pipeline.settings import PACKAGED_MODEL

DEPTH = 100
TITLE_WEIGHT = 0.1
PASSAGE_CHARACTERS = 900
BATCH = 512

Scores = dict[str, float]
Fusion = Callable[[Sequence[Hit], Sequence[Hit]], list[Hit]]


def main() -> None:
    """Index the folder, ask every question once in each ranking, then fuse and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, help="at most so many questions")
    arguments = parser.parse_args()
    questions = read_questions(arguments.folder / "queries.jsonl")[: arguments.limit]
    embedder = load_embedder(PACKAGED_MODEL)
    with tempfile.TemporaryDirectory() as state:
        index = CollectionIndex(state, "benchmark", embedder.fingerprint)
        for batch in documents(arguments.folder / "docs.jsonl", embedder):
            index.publish(batch)
        index.maintain(thorough=True)
        rankings = ask(index, embedder, questions)
        report(rankings, questions, index.snapshot().document_names())


def documents(path: Path, embedder: Embedder) -> Iterator[list[IndexedDocument]]:
    """Yield batches of documents with their vectors."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    for first in range(0, len(records), BATCH):
        batch = records[first : first + BATCH]
        texts = [passages(f"{record['title']}\n\n{record['text']}") for record in batch]
        vectors = embedder.encode([text for each in texts for text in each], NoControl())
        titles = embedder.encode([record["title"] for record in batch], NoControl())
        ends = np.cumsum([len(each) for each in texts])
        yield [
            document(record, each, title_weighted(part, title, TITLE_WEIGHT))
            for record, each, part, title in zip(
                batch, texts, np.split(vectors, ends[:-1]), titles, strict=True
            )
        ]


def document(record: dict[str, str], texts: list[str], vectors: np.ndarray) -> IndexedDocument:
    """Return a document as the pipeline would publish it."""
    chunks = [
        Chunk(chunk_id(record["id"], text, place), record["id"], place, text, 0, 0, len(text))
        for place, text in enumerate(texts)
    ]
    return IndexedDocument(
        document_id=record["id"],
        version="",
        fence=0,
        name=record["title"],
        uri=f"benchmark:{record['id']}",
        media_type="text/plain",
        chunks=chunks,
        vectors=vectors,
    )


def passages(text: str) -> list[str]:
    """Pack sentences into passages."""
    packed = [""]
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        if packed[-1] and len(packed[-1]) + len(sentence) > PASSAGE_CHARACTERS:
            packed.append("")
        packed[-1] = f"{packed[-1]} {sentence}".strip()
    return packed


def ask(
    index: CollectionIndex, embedder: Embedder, questions: list[Question]
) -> dict[str, tuple[list[Hit], list[Hit]]]:
    """Return both rankings of every question."""
    snapshot = index.snapshot()
    texts = [question.question for question in questions]
    vectors = embedder.encode(texts, NoControl())
    return {
        text: (snapshot.matching(text, DEPTH), snapshot.nearest(vector, DEPTH))
        for text, vector in zip(texts, vectors, strict=True)
    }


def report(
    rankings: dict[str, tuple[list[Hit], list[Hit]]],
    questions: list[Question],
    names: dict[str, str],
) -> None:
    """Print one line per fusion."""
    print(f"{len(names)} documents, {len(questions)} questions, {DEPTH} candidates each\n")
    print("| ranking | nDCG@10 | recall@5 | recall@10 |\n|---|---|---|---|")
    for name, fuse in fusions().items():
        result = evaluate(lambda text, depth: fuse(*rankings[text])[:depth], questions, names)  # noqa: B023
        print(
            f"| {name} | {result.ndcg_at_10:.4f} | {result.recall_at_5:.4f} "
            f"| {result.recall_at_10:.4f} |"
        )


def fusions() -> dict[str, Fusion]:
    """Return every way that is compared, by its name."""
    ways: dict[str, Fusion] = {
        "text (BM25)": lambda text, _: list(text),
        "vector": lambda _, vector: list(vector),
    }
    for share in (0.3, 0.4, 0.5, 0.6, 0.7):
        ways[f"RRF, vector {share}"] = summed(reciprocal, reciprocal, share)
        ways[f"z-score, vector {share}"] = summed(standardised, standardised, share)
        ways[f"min-max, vector {share}"] = summed(spread_out, spread_out, share)
        ways[f"share of best, vector {share}"] = summed(shares_of_best, shares_of_best, share)
        ways[f"ours, vector {share}"] = lambda text, vector, share=share: fused(text, vector, share)
    return dict(sorted(ways.items()))


def summed(
    text_scores: Callable[[Sequence[Hit]], Scores],
    vector_scores: Callable[[Sequence[Hit]], Scores],
    share: float,
) -> Fusion:
    """Return the weighted sum; what a ranking lacks gets its lowest score."""

    def fuse(text: Sequence[Hit], vector: Sequence[Hit]) -> list[Hit]:
        by_text, by_vector = text_scores(text), vector_scores(vector)
        floors = min(by_text.values(), default=0.0), min(by_vector.values(), default=0.0)
        hits = {hit.chunk_id: hit for hit in (*text, *vector)}
        return sorted(
            hits.values(),
            key=lambda hit: (
                -(1 - share) * by_text.get(hit.chunk_id, floors[0])
                - share * by_vector.get(hit.chunk_id, floors[1]),
                hit.chunk_id,
            ),
        )

    return fuse


def reciprocal(hits: Sequence[Hit]) -> Scores:
    """Score by rank (Cormack, Clarke and Buettcher, 2009)."""
    return {hit.chunk_id: 1 / (60 + rank) for rank, hit in enumerate(hits, 1)}


def standardised(hits: Sequence[Hit]) -> Scores:
    """Score by standard deviations from the mean."""
    scores = [hit.score for hit in hits] or [0.0]
    mean, spread = statistics.fmean(scores), statistics.pstdev(scores) or 1.0
    return {hit.chunk_id: (hit.score - mean) / spread for hit in hits}


if __name__ == "__main__":
    main()
