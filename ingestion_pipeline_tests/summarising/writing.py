"""Tools and chunks for the tests of what summaries say."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingestion_pipeline.chunking.sentences import sentence_starts
from ingestion_pipeline.enrichment.keywords import keywords
from ingestion_pipeline.enrichment.words import features
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.summarising.text import TextTools

SPECIAL = 2
TOKEN = re.compile(r"[\u3400-\u9fff]|\w{1,8}|[^\w\s]")


def token_counts(texts: Sequence[str]) -> list[int]:
    return [SPECIAL + len(TOKEN.findall(text)) for text in texts]


def key_phrases(texts: Sequence[str], limit: int) -> list[tuple[str, ...]]:
    return keywords(chunks(*texts), limit, "en")


TOOLS = TextTools(
    sentence_starts=sentence_starts,
    token_counts=token_counts,
    features=lambda text: features(text, "en"),
    key_phrases=key_phrases,
)


def chunk(text: str, number: int, start: int = 0, document_id: str = "d") -> Chunk:
    return Chunk(f"c{number}", document_id, number, text, 1, start, start + len(text))


def chunks(*texts: str) -> list[Chunk]:
    """Return chunks of a document that consists of these texts."""
    made: list[Chunk] = []
    for number, text in enumerate(texts):
        made.append(chunk(text, number, made[-1].end + 2 if made else 0))
    return made


def vectors(count: int) -> NDArray[np.float32]:
    return np.ones((count, 4), dtype=np.float32)
