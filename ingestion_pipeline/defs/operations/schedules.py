"""Schedules."""

from collections.abc import Iterator

import dagster as dg

from ingestion_pipeline.defs.operations.jobs import reindex_job
from ingestion_pipeline.defs.operations.maintenance import maintenance_job
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
from ingestion_pipeline.resources.services import ServicesResource
from ingestion_pipeline.settings import Settings

nightly_maintenance_schedule = dg.ScheduleDefinition(
    name="nightly_maintenance_schedule",
    job_name=maintenance_job.name,  # see ``purge_sensor``
    cron_schedule="0 4 * * *",  # when the nightly reindex is mostly through
    execution_timezone=Settings().timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Remove what nobody needs any more, and compare each index with the registry.",
)


@dg.schedule(
    job=reindex_job,
    cron_schedule="0 2 * * *",
    execution_timezone=Settings().timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Reindex what is stale, in each collection that has any.",
)
def nightly_reindex_schedule(
    context: dg.ScheduleEvaluationContext, services: ServicesResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Start one run for each collection with stale documents."""
    from ingestion_pipeline.tasks.staleness import stale_collections

    stale = stale_collections(services.get())
    # One that is not a partition yet, as the sensor has not seen it, would fail the whole tick.
    context.instance.add_dynamic_partitions(PARTITIONS_NAME, list(stale))
    for key, documents in stale.items():
        yield dg.RunRequest(
            run_key=f"{context.scheduled_execution_time:%Y-%m-%d}-{key}",
            partition_key=key,
            tags={"ingestion/stale_documents": str(documents)},
        )
    if not stale:
        yield dg.SkipReason("no document is stale")
