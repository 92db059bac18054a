"""Jobs: one for each thing that is built of a collection, with its checks."""

from __future__ import annotations

import dagster as dg

from ingestion_pipeline.defs.knowledge.assets import GRAPH_SPECS, mind_map, raptor_summaries
from ingestion_pipeline.execution.queues import BUILD_JOBS, QUEUE_TAG, Queue
from ingestion_pipeline.model.tasks import TaskType

BUILD_TAGS = {"dagster/retry_strategy": "ALL_STEPS", QUEUE_TAG: Queue.EMBED.value}

raptor_job = dg.define_asset_job(
    BUILD_JOBS[TaskType.RAPTOR],
    selection=dg.AssetSelection.assets(raptor_summaries),
    tags=BUILD_TAGS,
    description="Bring the summaries of a collection up to date.",
)

graph_job = dg.define_asset_job(
    BUILD_JOBS[TaskType.GRAPHRAG],
    selection=dg.AssetSelection.assets(*(spec.key for spec in GRAPH_SPECS)),
    tags=BUILD_TAGS,
    description="Bring the knowledge graph of a collection up to date.",
)

mindmap_job = dg.define_asset_job(
    BUILD_JOBS[TaskType.MINDMAP],
    selection=dg.AssetSelection.assets(mind_map),
    tags=BUILD_TAGS,
    description="Draw the mind map of a collection anew.",
)
