"""Embedding: texts become vectors.

Belongs here: finding a model, its tokenizer, running it, weighting titles in. Does not belong
here: cutting texts to fit the model (``chunking``), storing vectors (``indexing``).
"""

from __future__ import annotations

from ingestion_pipeline.embedding.conversion import sweep as sweep_converted
from ingestion_pipeline.embedding.embedder import Embedder, Running, load_embedder
from ingestion_pipeline.embedding.models import model_folder
from ingestion_pipeline.embedding.texts import Texts
from ingestion_pipeline.embedding.tokenizer import Tokenizer
from ingestion_pipeline.embedding.weighting import title_weighted

__all__ = [
    "Embedder",
    "Running",
    "Texts",
    "Tokenizer",
    "load_embedder",
    "model_folder",
    "sweep_converted",
    "title_weighted",
]
