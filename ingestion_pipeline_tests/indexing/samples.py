"""Documents for the tests of indexing and retrieval, with vectors that follow their words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingestion_pipeline.control import Control, NoControl
from ingestion_pipeline.indexing import IndexedDocument
from ingestion_pipeline.model.chunks import Chunk, chunk_id

DIMENSION = 64


class WordEncoder:
    """An embedding model that hashes words into a vector: texts that share words are near."""

    def encode(self, texts: Sequence[str], control: Control) -> NDArray[np.float32]:
        vectors = np.full((len(texts), DIMENSION), 1e-3, dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, hashlib.sha256(word.encode()).digest()[0] % DIMENSION] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def document(
    document_id: str,
    *texts: str,
    version: str = "v1",
    name: str | None = None,
    headings: tuple[str, ...] = (),
    media_type: str = "text/plain",
) -> IndexedDocument:
    """Return a document with one chunk per text, each on a page of its own."""
    chunks = [
        Chunk(
            chunk_id=chunk_id(document_id, text, ordinal),
            document_id=document_id,
            ordinal=ordinal,
            text=text,
            tokens=len(text.split()) + 2,
            start=0,
            end=len(text),
            pages=(ordinal + 1,),
            heading_path=headings,
        )
        for ordinal, text in enumerate(texts)
    ]
    return IndexedDocument(
        document_id=document_id,
        version=version,
        fence=1,
        name=name or f"{document_id}.txt",
        uri=f"file:///{document_id}",
        media_type=media_type,
        chunks=chunks,
        vectors=WordEncoder().encode(texts, NoControl()),
    )
