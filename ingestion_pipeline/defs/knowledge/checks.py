"""Checks of what is built of a collection: about what may have changed since; they warn."""

import dagster as dg

from ingestion_pipeline.defs.knowledge.assets import raptor_summaries
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
