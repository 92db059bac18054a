"""Enrichment: what is added to the chunks of a document so that they are found.

Belongs here: keywords, questions, tags, metadata, the table of contents; by statistics where that
can serve, by the configured language model where it cannot or is better. Does not belong here: the
connection to a model (``llm``), and how the results are stored or searched.
"""

from __future__ import annotations

from ingestion_pipeline.enrichment.enrich import enrich
from ingestion_pipeline.enrichment.extraction import extract
from ingestion_pipeline.enrichment.keywords import keywords
from ingestion_pipeline.enrichment.tags import TagModel
from ingestion_pipeline.enrichment.toc import contents
from ingestion_pipeline.model.enrichment import ChunkEnrichment, Enrichment, TocEntry

__all__ = [
    "ChunkEnrichment",
    "Enrichment",
    "TagModel",
    "TocEntry",
    "contents",
    "enrich",
    "extract",
    "keywords",
]
