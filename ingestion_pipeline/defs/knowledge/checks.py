"""Checks of what is built of a collection: about what may have changed since; they warn."""

import dagster as dg

from ingestion_pipeline.defs.knowledge.assets import knowledge_graph, raptor_summaries
from ingestion_pipeline.defs.partitions import collections_partitions
from ingestion_pipeline.resources.services import ServicesResource


@dg.asset_check(
    asset=raptor_summaries.key,
    partitions_def=collections_partitions,
    description="Every chunk is below a summary, but for documents of a single chunk.",
)
def every_chunk_is_under_a_summary(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Look for chunks that no summary speaks of."""
    from ingestion_pipeline.tasks import trees

    found = trees.look_at_tree(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not found.uncovered,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"under no summary: {', '.join(found.uncovered[: trees.LISTED])}"
        if found.uncovered
        else f"{found.summaries} summaries cover all chunks",
        metadata={"summaries": found.summaries, "uncovered_chunks": len(found.uncovered)},
    )


@dg.asset_check(
    asset=raptor_summaries.key,
    partitions_def=collections_partitions,
    description="Every chunk that a summary cites is in the index; readers are shown no summary "
    "of which that is not so.",
)
def summaries_cite_existing_chunks(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Look for citations of what is not there."""
    from ingestion_pipeline.tasks import trees

    found = trees.look_at_tree(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not found.dangling,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"cited and gone: {', '.join(found.dangling[: trees.LISTED])}"
        if found.dangling
        else f"all that {found.summaries} summaries cite is there",
        metadata={"summaries": found.summaries, "chunks_gone": len(found.dangling)},
    )


@dg.asset_check(
    asset=raptor_summaries.key,
    partitions_def=collections_partitions,
    description="The tree is of the chunks that are in the index now.",
)
def tree_is_current(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Compare the hash of the leaves that the tree was built from."""
    from ingestion_pipeline.tasks import trees

    current, description = trees.tree_is_current(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=current, severity=dg.AssetCheckSeverity.WARN, description=description
    )


@dg.asset_check(
    asset=knowledge_graph.key,
    partitions_def=collections_partitions,
    description="Of every document some entity is known; lists those of which none is.",
)
def graph_covers_every_document(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Look for documents that the graph says nothing of."""
    from ingestion_pipeline.tasks import graphs

    found = graphs.look_at_graph(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not found.uncovered,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"without an entity: {', '.join(found.uncovered[: graphs.LISTED])}"
        if found.uncovered
        else f"{found.entities} entities cover all documents",
        metadata={"entities": found.entities, "uncovered_documents": len(found.uncovered)},
    )


@dg.asset_check(
    asset=knowledge_graph.key,
    partitions_def=collections_partitions,
    description="Every relation cites sentences that are in the index.",
)
def relations_have_evidence(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Look for relations that nothing bears out."""
    from ingestion_pipeline.tasks import graphs

    found = graphs.look_at_graph(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not found.unproven,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{found.unproven} of {found.relations} relations lack evidence that is there",
        metadata={"relations": found.relations, "without_evidence": found.unproven},
    )


@dg.asset_check(
    asset=knowledge_graph.key,
    partitions_def=collections_partitions,
    description="Most entities are related to others.",
)
def few_orphans(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Count the entities that stand alone."""
    from ingestion_pipeline.tasks import graphs

    found = graphs.look_at_graph(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not found.large or found.orphan_share <= graphs.MOST_ORPHANS,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{found.orphans} of {found.entities} entities have no relation",
        metadata={"orphans": found.orphans, "share": round(found.orphan_share, 4)},
    )


@dg.asset_check(
    asset=knowledge_graph.key,
    partitions_def=collections_partitions,
    description="The communities hold together: their modularity is what real ones have.",
)
def modularity_is_reasonable(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Compare the modularity of the coarsest communities with what chance gives."""
    from ingestion_pipeline.tasks import graphs

    found = graphs.look_at_graph(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not found.large or found.modularity >= graphs.LEAST_MODULARITY,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"modularity {found.modularity:.2f} of {found.entities} entities",
        metadata={"modularity": round(found.modularity, 4), "entities": found.entities},
    )


@dg.asset_check(
    asset=knowledge_graph.key,
    partitions_def=collections_partitions,
    description="The graph is of the chunks that are in the index now.",
)
def graph_is_current(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Compare the hash of the chunks that the graph was built from."""
    from ingestion_pipeline.tasks import graphs

    current, description = graphs.graph_is_current(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=current, severity=dg.AssetCheckSeverity.WARN, description=description
    )
