"""Chunks and vectors for the tests of trees and maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingestion_pipeline.model.chunks import Chunk, chunk_id


def chunk(document_id: str, ordinal: int, text: str, path: tuple[str, ...] = ()) -> Chunk:
    return Chunk(
        chunk_id(document_id, text, 0), document_id, ordinal, text, 8, 0, len(text), (), path
    )


def chunks_under(paths: Sequence[tuple[str, ...]], each: int = 1) -> list[Chunk]:
    """``each`` chunks of one document under each of some headings."""
    under = [path for path in paths for _ in range(each)]
    return [chunk("d", n, f"Passage {n}.", path) for n, path in enumerate(under)]


def subjects(count: int, length: int) -> NDArray[np.float32]:
    """Vectors of chunks that speak of ``count`` subjects, ``length`` chunks of each."""
    return np.repeat(np.eye(count, dtype=np.float32), length, axis=0)
