"""Small documents, and what graphs of them say in words."""

from __future__ import annotations

import numpy as np

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.graph import Material, document_graphs, known_names, linked, merged
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.graph import Correction, DocumentGraph, Entity, KnowledgeGraph

COLLECTION = "orchard"


def document(
    document_id: str, *texts: str, title: str | None = None, language: str = "en"
) -> Material:
    """A document with a chunk for each text."""
    chunks = [
        Chunk(f"{document_id}#{place}", document_id, place, text, 1, 0, len(text))
        for place, text in enumerate(texts)
    ]
    return Material(document_id, chunks, title, language)


def read(*materials: Material) -> list[DocumentGraph]:
    return list(document_graphs(materials, NoControl()))


def texts_of(*materials: Material) -> dict[str, str]:
    return {chunk.chunk_id: chunk.text for each in materials for chunk in each.chunks}


def whole(
    *materials: Material, corrections: tuple[Correction, ...] = (), unlike: bool = False
) -> KnowledgeGraph:
    """The graph of a collection of these documents, no two of which are alike if that is said."""
    graphs = read(*materials)
    names = known_names(graphs)
    texts = texts_of(*materials)
    links = [linked(graph, texts, names) for graph in graphs]
    rows = np.eye(len(texts), dtype=np.float32)
    vectors = dict(zip(sorted(texts), rows, strict=True)) if unlike else None
    return merged(COLLECTION, links, NoControl(), corrections, vectors=vectors)


def named(graph: KnowledgeGraph, alias: str) -> list[Entity]:
    """The entities that are written like that somewhere."""
    return [entity for entity in graph.entities if alias in entity.aliases]


def stated(graph: DocumentGraph) -> set[tuple[str, str, str, bool]]:
    """What a document states, by the keys of its entities."""
    keys = [entity.key for entity in graph.entities]
    return {
        (keys[each.source], each.predicate, keys[each.target], each.negated)
        for each in graph.relations
    }
