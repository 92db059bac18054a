"""Checks of what is built of a collection: about what may have changed since; they warn.

Those of one asset are run together, so that it is read once for all of them.
"""

from collections.abc import Iterator, Mapping

import dagster as dg

from ingestion_pipeline.defs.knowledge.assets import knowledge_graph, raptor_summaries
from ingestion_pipeline.defs.partitions import collections_partitions
from ingestion_pipeline.resources.services import ServicesResource

Results = Iterator[dg.AssetCheckResult]


def _specs(asset: dg.AssetKey, descriptions: dict[str, str]) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            name, asset=asset, description=description, partitions_def=collections_partitions
        )
        for name, description in descriptions.items()
    ]


@dg.multi_asset_check(
    name="tree_checks",
    specs=_specs(
        raptor_summaries.key,
        {
            "every_chunk_is_under_a_summary": "Every chunk is below a summary, but for documents "
            "of a single chunk.",
            "summaries_cite_existing_chunks": "Every chunk that a summary cites is in the index; "
            "readers are shown no summary of which that is not so.",
            "tree_is_current": "The tree is of the chunks that are in the index now.",
        },
    ),
)
def tree_checks(context: dg.AssetCheckExecutionContext, services: ServicesResource) -> Results:
    """Compare a tree with the chunks that are there now."""
    from ingestion_pipeline.tasks import trees

    opened, key = services.get(), context.partition_key
    found = trees.look_at_tree(opened, key)
    yield _result(
        raptor_summaries.key,
        "every_chunk_is_under_a_summary",
        not found.uncovered,
        f"under no summary: {', '.join(found.uncovered[: trees.LISTED])}"
        if found.uncovered
        else f"{found.summaries} summaries cover all chunks",
        {"summaries": found.summaries, "uncovered_chunks": len(found.uncovered)},
    )
    yield _result(
        raptor_summaries.key,
        "summaries_cite_existing_chunks",
        not found.dangling,
        f"cited and gone: {', '.join(found.dangling[: trees.LISTED])}"
        if found.dangling
        else f"all that {found.summaries} summaries cite is there",
        {"summaries": found.summaries, "chunks_gone": len(found.dangling)},
    )
    yield _result(raptor_summaries.key, "tree_is_current", *trees.tree_is_current(opened, key))


@dg.multi_asset_check(
    name="graph_checks",
    specs=_specs(
        knowledge_graph.key,
        {
            "graph_covers_every_document": "Of every document some entity is known; lists those "
            "of which none is.",
            "relations_have_evidence": "Every relation cites sentences that are in the index.",
            "few_orphans": "Most entities are related to others.",
            "modularity_is_reasonable": "The communities hold together: their modularity is what "
            "real ones have.",
            "graph_is_current": "The graph is of the chunks that are in the index now.",
        },
    ),
)
def graph_checks(context: dg.AssetCheckExecutionContext, services: ServicesResource) -> Results:
    """Compare a graph with the chunks that are there now, and with what graphs are like."""
    from ingestion_pipeline.tasks import graphs

    opened, key = services.get(), context.partition_key
    found = graphs.look_at_graph(opened, key)
    yield _result(
        knowledge_graph.key,
        "graph_covers_every_document",
        not found.uncovered,
        f"without an entity: {', '.join(found.uncovered[: graphs.LISTED])}"
        if found.uncovered
        else f"{found.entities} entities cover all documents",
        {"entities": found.entities, "uncovered_documents": len(found.uncovered)},
    )
    yield _result(
        knowledge_graph.key,
        "relations_have_evidence",
        not found.unproven,
        f"{found.unproven} of {found.relations} relations lack evidence that is there",
        {"relations": found.relations, "without_evidence": found.unproven},
    )
    yield _result(
        knowledge_graph.key,
        "few_orphans",
        not found.large or found.orphan_share <= graphs.MOST_ORPHANS,
        f"{found.orphans} of {found.entities} entities have no relation",
        {"orphans": found.orphans, "share": round(found.orphan_share, 4)},
    )
    yield _result(
        knowledge_graph.key,
        "modularity_is_reasonable",
        not found.large or found.modularity >= graphs.LEAST_MODULARITY,
        f"modularity {found.modularity:.2f} of {found.entities} entities",
        {"modularity": round(found.modularity, 4), "entities": found.entities},
    )
    yield _result(knowledge_graph.key, "graph_is_current", *graphs.graph_is_current(opened, key))


def _result(
    asset: dg.AssetKey,
    name: str,
    passed: bool,
    description: str,
    metadata: Mapping[str, int | float] | None = None,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=metadata,
    )
