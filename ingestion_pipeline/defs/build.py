"""Putting the definitions together, afresh at each call, so that tests can swap resources."""

from __future__ import annotations

import dagster as dg

from ingestion_pipeline.defs.ingest.assets import ingest
from ingestion_pipeline.defs.ingest.checks import (
    chunks_fit_the_model,
    every_document_is_indexed,
    index_matches_registry,
)
from ingestion_pipeline.defs.intake.sensors import task_stream_sensor
from ingestion_pipeline.defs.operations.jobs import ingest_job, reindex_job
from ingestion_pipeline.defs.operations.schedules import nightly_reindex_schedule
from ingestion_pipeline.resources.services import ServicesResource


def build_defs(services: ServicesResource | None = None) -> dg.Definitions:
    """Return all definitions, with the given resource or the one the settings describe."""
    return dg.Definitions(
        assets=[ingest],
        asset_checks=[every_document_is_indexed, chunks_fit_the_model, index_matches_registry],
        jobs=[ingest_job, reindex_job],
        sensors=[task_stream_sensor],
        schedules=[nightly_reindex_schedule],
        resources={"services": services or ServicesResource()},
        # The process that owns a lease must do the work itself.
        executor=dg.in_process_executor,
    )
