"""Exports of what was built of a collection: its tree of summaries, its graph, its mind map.

Belongs here: finding what was built, and saying what to do where nothing was. Does not belong here:
the forms of mind maps (``raptor``) and graphs (``graph``).
"""

from __future__ import annotations

import json

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.graph.exports import GraphFormat, View, exported
from ingestion_pipeline.indexing import SummaryIndex
from ingestion_pipeline.indexing.graphs import GraphIndex
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.graph import KnowledgeGraph
from ingestion_pipeline.model.summaries import Summary
from ingestion_pipeline.raptor import MindMapFormat
from ingestion_pipeline.stages import mapped
from ingestion_pipeline.tasks.services import Services


def export_map(
    services: Services, collection: Collection, form: MindMapFormat, document_id: str | None
) -> str:
    """Return the mind map of a collection, as it was built, or of one document, as it is now.

    Raises:
        PermanentError: of kind ``not_found`` where none was built, or nothing is indexed.
    """
    inputs = services.map_inputs(collection)
    if document_id is not None:
        mind_map = mapped.draw_document(inputs, document_id, NoControl())
        return mapped.export(mind_map, form, inputs.snapshot)
    drawn = mapped.load(services.artifacts, collection.name)
    if drawn is None:
        raise _not_built(collection, "mindmap")
    return mapped.export(drawn.mind_map, form, inputs.snapshot)


def export_tree(services: Services, collection: Collection, document_id: str | None) -> str:
    """Return the summaries of a collection, or of one document, as JSON.

    Raises:
        PermanentError: of kind ``not_found`` where no tree was built.
    """
    tree = SummaryIndex(services.index(collection)).snapshot()
    if tree.empty:
        raise _not_built(collection, "raptor")
    found = tree.all() if document_id is None else tree.of_document(document_id)
    shown = [_summary(indexed.summary) for indexed in found]
    return json.dumps({"collection": collection.key, "summaries": shown}, indent=1) + "\n"


def export_graph(services: Services, collection: Collection, form: GraphFormat) -> str:
    """Return the graph of a collection in a form.

    Raises:
        PermanentError: of kind ``not_found`` where none was built.
    """
    index = services.index(collection)
    graph = GraphIndex(index).snapshot()
    if graph.empty:
        raise _not_built(collection, "graph")
    snapshot = index.snapshot()
    entities, relations = tuple(graph.entities()), tuple(graph.relations())
    texts: dict[str, str] = {}
    if form is GraphFormat.HTML:
        wanted = dict.fromkeys(chunk_id for each in entities for chunk_id in each.chunk_ids)
        texts = {key: hit.text for key, hit in snapshot.hits(list(wanted)).items()}
    view = View(
        collection.name.name,
        KnowledgeGraph(entities, relations),
        tuple(graph.communities()),
        tuple(graph.reports()),
        texts,
        snapshot.document_names(),
    )
    return exported(view, form)


def _not_built(collection: Collection, what: str) -> PermanentError:
    return PermanentError(
        ErrorKind.NOT_FOUND,
        f"nothing was built of {collection.key!r}, or documents were deleted since: "
        f"`ingest build {what} --collection {collection.name.name}` builds it",
    )


def _summary(summary: Summary) -> dict[str, object]:
    return {
        "id": summary.summary_id,
        "document_id": summary.document_id,
        "layer": summary.layer,
        "title": summary.title,
        "text": summary.text,
        "tokens": summary.tokens,
        "method": summary.method,
        "children": summary.children,
        "citations": [
            {"chunk_id": each.chunk_id, "start": each.start, "end": each.end}
            for each in summary.citations
        ],
    }
