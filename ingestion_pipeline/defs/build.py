"""Putting the definitions together, afresh at each call, so that tests can swap resources."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from ingestion_pipeline.defs.dataflow.dry_runs import dry_run_job, dry_run_sensor
from ingestion_pipeline.defs.ingest.assets import ingest
from ingestion_pipeline.defs.ingest.checks import (
    chunks_fit_the_model,
    deleted_documents_are_invisible,
    embedding_model_covers_languages,
    every_document_has_text,
    every_document_is_indexed,
    few_chunks_are_repeated,
    index_matches_registry,
)
from ingestion_pipeline.defs.intake.sensors import (
    PipelineJob,
    reconcile_sensor,
    task_stream_sensor,
)
from ingestion_pipeline.defs.knowledge.assets import graph, mind_map, raptor_summaries
from ingestion_pipeline.defs.knowledge.automation import automation_sensor
from ingestion_pipeline.defs.knowledge.checks import graph_checks, tree_checks
from ingestion_pipeline.defs.knowledge.jobs import graph_job, mindmap_job, raptor_job
from ingestion_pipeline.defs.knowledge.sensors import build_sensor
from ingestion_pipeline.defs.operations.alerts import alert_sensor
from ingestion_pipeline.defs.operations.jobs import ingest_job, reindex_job
from ingestion_pipeline.defs.operations.maintenance import maintenance_job, purge_job
from ingestion_pipeline.defs.operations.schedules import (
    nightly_maintenance_schedule,
    nightly_reindex_schedule,
    reindex_sensor,
)
from ingestion_pipeline.defs.operations.sensors import purge_sensor
from ingestion_pipeline.execution.executor import beating_executor
from ingestion_pipeline.resources.services import ServicesResource


def build_defs(
    services: ServicesResource | None = None,
    pipeline_jobs: Sequence[PipelineJob] = (),
) -> dg.Definitions:
    """Return all definitions, with the given resource or the one the settings describe.

    ``pipeline_jobs`` are those that carry out the tasks of pipelines, defined elsewhere.
    """
    opened = services or ServicesResource()
    return dg.Definitions(
        assets=[ingest, raptor_summaries, graph, mind_map],
        asset_checks=[
            every_document_is_indexed,
            chunks_fit_the_model,
            index_matches_registry,
            deleted_documents_are_invisible,
            every_document_has_text,
            embedding_model_covers_languages,
            few_chunks_are_repeated,
            tree_checks,
            graph_checks,
        ],
        jobs=[
            ingest_job,
            reindex_job,
            raptor_job,
            graph_job,
            mindmap_job,
            dry_run_job,
            maintenance_job,
            purge_job,
        ],
        sensors=[
            task_stream_sensor(pipeline_jobs),
            build_sensor,
            dry_run_sensor,
            automation_sensor(opened),
            reconcile_sensor,
            purge_sensor,
            reindex_sensor,
            alert_sensor,
        ],
        schedules=[nightly_reindex_schedule, nightly_maintenance_schedule],
        resources={"services": opened},
        executor=beating_executor,
    )
