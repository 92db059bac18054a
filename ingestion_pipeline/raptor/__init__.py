"""Summaries of documents and collections: trees of summaries over chunks, and mind maps of them.

Belongs here: which chunks are summarised together, what is written of them, how the trees are
built and shown. Does not belong here: where chunks and vectors come from, and where summaries are
kept and searched (``indexing``, ``retrieval``).
"""

from __future__ import annotations

from ingestion_pipeline.raptor.exports import MindMapFormat, exported, from_json
from ingestion_pipeline.raptor.mind_map import MindMap, bounded, of_collection, of_document
from ingestion_pipeline.raptor.tree import (
    Doubts,
    Material,
    Node,
    Source,
    Tools,
    collection_layers,
    document_tree,
    doubts,
    leaves_hash,
    leaves_of,
)

__all__ = [
    "Doubts",
    "Material",
    "MindMap",
    "MindMapFormat",
    "Node",
    "Source",
    "Tools",
    "bounded",
    "collection_layers",
    "document_tree",
    "doubts",
    "exported",
    "from_json",
    "leaves_hash",
    "leaves_of",
    "of_collection",
    "of_document",
]
