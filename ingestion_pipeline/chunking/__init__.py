"""Chunking: a parsed document becomes passages that fit the embedding model.

Belongs here: finding structure by kind of document, one module per family of strategies, and what
strategies share. Does not belong here: parsing, or the models themselves; a chunker is handed a
tokenizer and, for one strategy, what embeds sentences.
"""

from __future__ import annotations

from ingestion_pipeline.chunking.cutting import cut
from ingestion_pipeline.chunking.kinds import kind_of
from ingestion_pipeline.chunking.measure import Tokenizer
from ingestion_pipeline.chunking.plan import ChunkPlan, Embed

__all__ = ["ChunkPlan", "Embed", "Tokenizer", "cut", "kind_of"]
