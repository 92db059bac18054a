"""Jobs: the ingest assets with their checks, as the stream, a person or the night runs them."""

from __future__ import annotations

import dagster as dg

from ingestion_pipeline.defs.ingest.config import IngestConfig, Only

RETRY_TAGS = {
    # A run streams documents through one op: repeating just the failed step would skip its checks.
    "dagster/retry_strategy": "ALL_STEPS",
}

ingest_selection = dg.AssetSelection.groups("ingest")

ingest_job = dg.define_asset_job(
    "ingest_job",
    selection=ingest_selection,
    config=dg.RunConfig(ops={"ingest": IngestConfig(waiting_only=True)}),
    tags=RETRY_TAGS,
    description="Carry out what tasks wait for in a collection, for about a minute.",
)

reindex_job = dg.define_asset_job(
    "reindex_job",
    selection=ingest_selection,
    config=dg.RunConfig(ops={"ingest": IngestConfig(only=Only.stale)}),
    tags=RETRY_TAGS,
    description="Bring everything stale in a collection up to date.",
)
