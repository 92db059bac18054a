"""Graphs of knowledge: what documents say of which things, merged for a collection.

Belongs here: reading, resolving, merging; communities, reports and ranks of what came of it. Does
not belong here: where chunks come from, and where graphs are kept and searched (``indexing``,
``retrieval``).
"""

from __future__ import annotations

from ingestion_pipeline.graph.by_language import has_model
from ingestion_pipeline.graph.document_graph import Material, document_graphs
from ingestion_pipeline.graph.gazetteer import Gazetteer
from ingestion_pipeline.graph.linking import known_names, linked
from ingestion_pipeline.graph.merge import merged
from ingestion_pipeline.graph.readers import Readers

__all__ = [
    "Gazetteer",
    "Material",
    "Readers",
    "document_graphs",
    "has_model",
    "known_names",
    "linked",
    "merged",
]
