"""Show that nothing is lost on the way from files to vector search.

Takes the first documents of a folder (``docs.jsonl`` {id, title, text}, ``queries.jsonl`` {id,
question, gold[]}), ingests them as text files through the whole pipeline with title weight 0, and
compares vector search with exact cosine over the same chunk texts, encoded by sentence-transformers
in fp32. Questions are those whose gold documents are all among the documents. Prints JSON.

    python benchmarks/vector_exactness.py FOLDER [--documents 1000]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from ingestion_pipeline import IngestionClient
from ingestion_pipeline.embedding import model_folder
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.model.search import Hit, HitKind, SearchMode
from ingestion_pipeline.retrieval import Question, evaluate, read_questions, search
from ingestion_pipeline.settings import Settings

COLLECTION = "exactness"


def main() -> None:
    """Ingest, ask both ways, print both figures and their difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ingest") as workplace:
        files = Path(workplace) / "files"
        ids = write_files(arguments.folder / "docs.jsonl", files, arguments.documents)
        questions = [
            question
            for question in read_questions(arguments.folder / "queries.jsonl")
            if ids.issuperset(question.gold)
        ]
        client = IngestionClient(Settings(state_dir=Path(workplace) / "state"))
        ingest(client, files)
        print(json.dumps(compare(client, questions), indent=2))


def write_files(source: Path, target: Path, count: int) -> set[str]:
    """Write the documents as text files named by their ids, and return the ids."""
    target.mkdir()
    lines = source.read_text(encoding="utf-8").splitlines()[:count]
    documents = [json.loads(line) for line in lines]
    for document in documents:
        text = f"{document['title']}\n\n{document['text']}"
        (target / f"{document['id']}.txt").write_text(text, encoding="utf-8")
    return {str(document["id"]) for document in documents}


def ingest(client: IngestionClient, files: Path) -> None:
    """Take the files through the pipeline, in this process."""
    client.services.registry.collections.create(
        CollectionName("default", COLLECTION), CollectionConfig(title_weight=0)
    )
    batch = client.launch_tasks([files], collection=COLLECTION)
    client.await_tasks(batch.task_ids, in_process=True)


def compare(client: IngestionClient, questions: Sequence[Question]) -> dict[str, float]:
    """Return nDCG@10 of the pipeline's vector search and of exact cosine."""
    collection = client.services.registry.collections.get(COLLECTION)
    index, embedder = client.services.index(collection), client.services.embedder(collection)
    snapshot = index.snapshot()
    names = snapshot.document_names()
    chunks = [chunk for document_id in names for chunk in snapshot.chunks_of(document_id)]
    model = SentenceTransformer(str(model_folder(embedder.name)), local_files_only=True)
    vectors = model.encode([chunk.text for chunk in chunks], normalize_embeddings=True)

    def exact(question: str, depth: int) -> list[Hit]:
        scores = vectors @ model.encode([question], normalize_embeddings=True)[0]
        best = np.argsort(-scores)[:depth]
        return [hit(chunks[position], float(scores[position])) for position in best]

    ours = evaluate(
        lambda question, depth: search(index, embedder, question, SearchMode.VECTOR, depth),
        questions,
        names,
    )
    reference = evaluate(exact, questions, names)
    return {
        "documents": len(names),
        "chunks": len(chunks),
        "questions": len(questions),
        "ndcg@10 of the pipeline": round(ours.ndcg_at_10, 4),
        "ndcg@10 of exact cosine": round(reference.ndcg_at_10, 4),
        "difference": round(abs(ours.ndcg_at_10 - reference.ndcg_at_10), 4),
    }


def hit(chunk: Chunk, score: float) -> Hit:
    """Return a chunk as a search would."""
    return Hit(
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        name="",
        kind=HitKind.CHUNK,
        text=chunk.text,
        score=score,
        pages=[],
        heading_path=[],
        sources=[],
    )


if __name__ == "__main__":
    main()
