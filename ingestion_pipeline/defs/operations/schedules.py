"""Schedules."""

from collections.abc import Collection, Iterator

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PARTITION_NAME_TAG

from ingestion_pipeline.defs.operations.jobs import reindex_job
from ingestion_pipeline.defs.operations.maintenance import maintenance_job
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME, dagster_name
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.resources.services import ServicesResource
from ingestion_pipeline.settings import Settings

COLLECTION = "collection"
"""What a schedule's metadata says of a collection that it is about alone."""
Requests = Iterator[dg.RunRequest | dg.SkipReason]

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
    description="Reindex what is stale, in each collection that has any and no schedule of its "
    "own.",
)
def nightly_reindex_schedule(
    context: dg.ScheduleEvaluationContext, services: ServicesResource
) -> Requests:
    """Start one run for each collection with stale documents."""
    own = {
        schedule.metadata[COLLECTION].value
        for schedule in context.repository_def.schedule_defs
        if COLLECTION in schedule.metadata
    }
    keys = {each.key for each in services.get().registry.collections.all()}
    yield from _requests(context, services, keys - own)


def reindex_schedule(
    name: CollectionName, cron: str, timezone: str | None
) -> dg.ScheduleDefinition:
    """Return a schedule that reindexes what is stale in one collection."""

    @dg.schedule(
        name=f"{dagster_name(name)}_reindex_schedule",
        job_name=reindex_job.name,
        cron_schedule=cron,
        execution_timezone=timezone or Settings().timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        metadata={COLLECTION: name.key},
        description=f"Reindex what is stale in the collection {name.key}.",
    )
    def reindex_collection(
        context: dg.ScheduleEvaluationContext, services: ServicesResource
    ) -> Requests:
        """Start a run if anything is stale."""
        yield from _requests(context, services, {name.key})

    return reindex_collection


def _requests(
    context: dg.ScheduleEvaluationContext, services: ServicesResource, keys: Collection[str]
) -> Requests:
    """Ask for a run for each of the collections that has stale documents and no such run yet."""
    from ingestion_pipeline.tasks.staleness import stale_collections

    stale = stale_collections(services.get(), keys)
    unfinished = context.instance.get_runs(
        dg.RunsFilter(job_name=reindex_job.name, statuses=list(NOT_FINISHED_STATUSES))
    )
    running = {run.tags.get(PARTITION_NAME_TAG) for run in unfinished}
    due = {key: documents for key, documents in stale.items() if key not in running}
    # One that is not a partition yet, as the sensor has not seen it, would fail the whole tick.
    context.instance.add_dynamic_partitions(PARTITIONS_NAME, list(due))
    for key, documents in due.items():
        yield dg.RunRequest(
            run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}-{key}",
            partition_key=key,
            tags={"ingestion/stale_documents": str(documents)},
        )
    if not due:
        yield dg.SkipReason(
            "what is stale is being reindexed already" if stale else "no document is stale"
        )
