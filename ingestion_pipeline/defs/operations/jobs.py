"""Jobs: the ingest assets with their checks, as the stream, a person or the night runs them."""

from __future__ import annotations

import dagster as dg

from ingestion_pipeline.defs.ingest.config import IngestConfig, Only
from ingestion_pipeline.execution.queues import QUEUE_TAG, Queue

INGEST_TAGS = {
    # A run streams documents through one op: repeating just the failed step would skip its checks.
    "dagster/retry_strategy": "ALL_STEPS",
    QUEUE_TAG: Queue.EMBED.value,
}

ingest_selection = dg.AssetSelection.groups("ingest")

ingest_job = dg.define_asset_job(
    "ingest_job",
    selection=ingest_selection,
    config=dg.RunConfig(ops={"ingest": IngestConfig(waiting_only=True)}),
    tags=INGEST_TAGS,
    description="Carry out what tasks wait for in a collection, for about a minute.",
)

reindex_job = dg.define_asset_job(
    "reindex_job",
    selection=ingest_selection,
    config=dg.RunConfig(ops={"ingest": IngestConfig(only=Only.stale)}),
    tags=INGEST_TAGS,
    description="Bring everything stale in a collection up to date.",
)
