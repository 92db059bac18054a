"""What a question costs on a large collection, and how much the index of vectors finds.

Fills a table with chunks of random words whose vectors lie in clusters, publishing as ingestion
does, brings its indexes up to date, and asks: each question is a stored vector with some noise and
four words of that chunk. Recall is the share of the ten nearest, by comparing all vectors, that the
search finds. Prints a Markdown table.

    python benchmarks/index.py [--chunks 100000 1000000] [--questions 100]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingestion_pipeline.control import Control, NoControl
from ingestion_pipeline.embedding import load_embedder
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.indexing.schema import IndexedDocument
from ingestion_pipeline.model.chunks import Chunk, chunk_id
from ingestion_pipeline.model.search import SearchMode
from ingestion_pipeline.retrieval import search
from ingestion_pipeline.settings import PACKAGED_MODEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIMENSION = 384
CLUSTERS = 2_000
SPREAD = 0.7
"""Length of the noise around a cluster's middle, which has length 1."""
NOISE = 0.3
"""Length of the noise that makes a question of a stored vector."""
VOCABULARY = 30_000
WORDS_IN_A_CHUNK = 90
CHUNKS_IN_A_DOCUMENT = 5_000
K = 10
WARM_UP = 10


@dataclass(frozen=True)
class Question:
    """A question, and the ids of what is nearest to it by comparison with everything."""

    words: str
    vector: NDArray[np.float32]
    nearest: frozenset[str]


@dataclass(frozen=True)
class Told:
    """In place of a model: the question's vector is known."""

    vector: NDArray[np.float32]

    def encode(self, texts: Sequence[str], _: Control) -> NDArray[np.float32]:
        """Return it for each text."""
        return np.repeat(self.vector[None], len(texts), axis=0)


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chunks", type=int, nargs="+", default=[100_000])
    parser.add_argument("--questions", type=int, default=100)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    middles = unit(generator.standard_normal((CLUSTERS, DIMENSION), dtype=np.float32))
    rows = []
    with tempfile.TemporaryDirectory(prefix="index-") as folder:
        index = CollectionIndex(str(Path(folder) / "lancedb"), "default.index", "index")
        ids: list[str] = []
        texts: list[str] = []
        vectors = np.empty((max(options.chunks), DIMENSION), dtype=np.float32)
        for size in sorted(options.chunks):
            began = time.perf_counter()
            while len(ids) < size:
                document = made(generator, middles, min(CHUNKS_IN_A_DOCUMENT, size - len(ids)))
                index.publish([document])
                vectors[len(ids) : len(ids) + len(document.chunks)] = document.vectors
                ids += [chunk.chunk_id for chunk in document.chunks]
                texts += [chunk.text for chunk in document.chunks]
            filled = time.perf_counter() - began
            index.maintain(thorough=True)
            brought_up = time.perf_counter() - began - filled
            print(f"{size:,}: {filled:.0f} s, index {brought_up:.0f} s", file=sys.stderr)
            asked = questions(generator, vectors[:size], ids, texts, options.questions)
            rows.append(row(index, asked, size, filled, brought_up))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        "| chunks | filled, s | indexes, s | vector, ms | text, ms | hybrid, ms | auto, ms | "
        f"recall@{K} |\n|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(rows))
    print(
        f"\nMedians and 95th percentiles of {options.questions} questions, without the question's "
        f"own vector: {embedding_ms():.0f} ms. Peak memory, the benchmark's own copy of all texts "
        f"and vectors included: {peak:.1f} GiB."
    )


def made(
    generator: np.random.Generator, middles: NDArray[np.float32], count: int
) -> IndexedDocument:
    """Make a document of random words, its vectors around the middles."""
    document_id = uuid.uuid4().hex
    around = middles[generator.integers(0, len(middles), count)]
    noise = unit(generator.standard_normal((count, DIMENSION), dtype=np.float32))
    words = generator.zipf(1.3, (count, WORDS_IN_A_CHUNK)) % VOCABULARY
    chunks = [
        Chunk(chunk_id(document_id, text, number), document_id, number, text, 128, 0, len(text))
        for number, text in enumerate(" ".join(f"w{word}" for word in line) for line in words)
    ]
    return IndexedDocument(
        document_id=document_id,
        version="0" * 64,
        fence=1,
        name=f"{document_id}.txt",
        uri=f"object:{document_id}",
        media_type="text/plain",
        chunks=chunks,
        vectors=unit(around + SPREAD * noise),
    )


def questions(
    generator: np.random.Generator,
    vectors: NDArray[np.float32],
    ids: Sequence[str],
    texts: Sequence[str],
    count: int,
) -> list[Question]:
    """Make questions about stored chunks."""
    about = generator.integers(0, len(vectors), count + WARM_UP)
    noise = unit(generator.standard_normal((len(about), DIMENSION), dtype=np.float32))
    asked = []
    for position, vector in zip(about, unit(vectors[about] + NOISE * noise), strict=True):
        best = np.argpartition(-(vectors @ vector), K)[:K]
        words = generator.choice(texts[position].split(), 4)
        asked.append(Question(" ".join(words), vector, frozenset(ids[each] for each in best)))
    return asked


def row(
    index: CollectionIndex,
    asked: Sequence[Question],
    size: int,
    filled: float,
    brought_up: float,
) -> str:
    """Render what questions cost, and what is found of the nearest."""
    modes = (SearchMode.VECTOR, SearchMode.TEXT, SearchMode.HYBRID, SearchMode.AUTO)
    costs = " | ".join(cost(index, asked, mode) for mode in modes)
    found = [
        len(question.nearest & {hit.chunk_id for hit in ask(index, question, SearchMode.VECTOR)})
        / K
        for question in asked[WARM_UP:]
    ]
    return (
        f"| {size:,} | {filled:.0f} | {brought_up:.0f} | {costs} | {statistics.mean(found):.3f} |"
    )


def cost(index: CollectionIndex, asked: Sequence[Question], mode: SearchMode) -> str:
    """Return median and 95th percentile of a mode, in milliseconds."""
    times = [timed(lambda q=question: ask(index, q, mode)) for question in asked]
    ordered = sorted(times[WARM_UP:])
    return f"{statistics.median(ordered):.1f} ({ordered[int(len(ordered) * 0.95)]:.1f})"


def ask(index: CollectionIndex, question: Question, mode: SearchMode) -> list:
    """Search as a client does."""
    return search(index, Told(question.vector), question.words, mode, K)


def embedding_ms() -> float:
    """Return the median time that the packaged model needs for a question."""
    embedder = load_embedder(PACKAGED_MODEL)
    question = "How are chunks of a document found again after it was changed?"
    return statistics.median(
        [timed(lambda: embedder.encode([question], NoControl())) for _ in range(30)][10:]
    )


def timed(function: Callable[[], object]) -> float:
    """Return how long a call takes, in milliseconds."""
    began = time.perf_counter()
    function()
    return (time.perf_counter() - began) * 1000


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
