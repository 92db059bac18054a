"""A component of somebody's own."""

from __future__ import annotations

from collections.abc import Sequence

from ingestion_pipeline.dataflow import ChunkComponent
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.documents import Document
from ingestion_pipeline.model.enrichment import ChunkEnrichment


class Lengths(ChunkComponent):
    """Tags long chunks."""

    longest: int = 100

    def add(self, document: Document, chunks: Sequence[Chunk]) -> Sequence[ChunkEnrichment]:
        if "refuse" in document.name:
            raise ValueError("no lengths here")
        return [
            ChunkEnrichment(tags=(("long", 10),) if len(each.text) > self.longest else ())
            for each in chunks
        ]


class NoComponent:
    """Not derived from what it should be."""
