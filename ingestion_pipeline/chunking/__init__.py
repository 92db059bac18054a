"""Chunking: a parsed document becomes passages that fit the embedding model.

Belongs here: one module per strategy and what strategies share. Does not belong here: parsing,
or the tokenizer itself; a chunker is handed one.
"""

from __future__ import annotations

from ingestion_pipeline.chunking.general import chunk
from ingestion_pipeline.chunking.measure import Tokenizer

__all__ = ["Tokenizer", "chunk"]
