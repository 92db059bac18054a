"""When something is done regularly: schedules, and the sensor of those that commands set."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._utils.schedules import cron_string_iterator, get_latest_completed_cron_tick

from ingestion_pipeline.defs.operations.jobs import reindex_job
from ingestion_pipeline.defs.operations.maintenance import maintenance_job
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME, dagster_name
from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.resources.services import ServicesResource
from ingestion_pipeline.settings import Settings

COLLECTION = "collection"
"""What a schedule's metadata says of a collection that it is about alone."""
NIGHT = "0 2 * * *"
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
    cron_schedule=NIGHT,
    execution_timezone=Settings().timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Reindex what is stale, in each collection that has any and no schedule of its "
    "own.",
)
def nightly_reindex_schedule(
    context: dg.ScheduleEvaluationContext, services: ServicesResource
) -> Requests:
    """Start one run for each collection with stale documents."""
    declared = _declared(context.repository_def)
    usual = [
        each.key
        for each in services.get().registry.collections.all()
        if each.key not in declared and not _has_its_own(each.config)
    ]
    due = dict.fromkeys(usual, context.scheduled_execution_time)
    yield from _requests(context.instance, services, due)


@dg.sensor(
    job_name=reindex_job.name,  # see ``purge_sensor``
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reindexes what is stale, in collections whose option `schedule` or `timezone` was "
    "set by command, when it is time; what was missed meanwhile, once.",
)
def reindex_sensor(context: dg.SensorEvaluationContext, services: ServicesResource) -> Requests:
    """Start a run for each collection whose time has come since the last look."""
    opened, now = services.get(), time.time()
    since = float(context.cursor or now)
    declared = _declared(context.repository_def)
    due = {}
    for each in opened.registry.collections.all():
        if _has_its_own(each.config) and each.key not in declared:
            zone = each.config.timezone or opened.settings.timezone
            at = _last_time(each.config.schedule or NIGHT, zone, since, now)
            if at is not None:
                due[each.key] = at
    context.update_cursor(str(now))
    yield from _requests(context.instance, services, due)


def _declared(repository: dg.RepositoryDefinition | None) -> set[str]:
    """Return the collections that have a schedule among the definitions."""
    return {
        str(schedule.metadata[COLLECTION].value)
        for schedule in (repository.schedule_defs if repository else ())
        if COLLECTION in schedule.metadata
    }


def _has_its_own(config: CollectionConfig) -> bool:
    return config.schedule is not None or config.timezone is not None


_next_times: dict[tuple[str, str], tuple[float, float]] = {}
"""Of expressions in time zones: the first time after another. One takes Dagster milliseconds, and
most ticks need none."""


def _last_time(cron: str, zone: str, since: float, now: float) -> datetime | None:
    """Return the last time that is after ``since`` and not after ``now``."""
    known = _next_times.get((cron, zone))
    if known is None or not known[0] <= since < known[1]:
        times = (each.timestamp() for each in cron_string_iterator(since, cron, zone))
        known = _next_times[cron, zone] = (since, next(each for each in times if each > since))
    if known[1] > now:
        return None
    return get_latest_completed_cron_tick(cron, datetime.fromtimestamp(now, UTC), zone)


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
        due = {name.key: context.scheduled_execution_time}
        yield from _requests(context.instance, services, due)

    return reindex_collection


def _requests(
    instance: dg.DagsterInstance, services: ServicesResource, due: Mapping[str, datetime]
) -> Requests:
    """Ask for a run for each collection that is due, has stale documents, and no such run yet."""
    from ingestion_pipeline.tasks.staleness import stale_collections

    if not due:
        yield dg.SkipReason("no collection is due")
        return
    stale = stale_collections(services.get(), due.keys())
    unfinished = instance.get_runs(
        dg.RunsFilter(job_name=reindex_job.name, statuses=list(NOT_FINISHED_STATUSES))
    )
    running = {run.tags.get(PARTITION_NAME_TAG) for run in unfinished}
    wanted = {key: documents for key, documents in stale.items() if key not in running}
    # One that is not a partition yet, as the sensor has not seen it, would fail the whole tick.
    instance.add_dynamic_partitions(PARTITIONS_NAME, list(wanted))
    for key, documents in wanted.items():
        yield dg.RunRequest(
            run_key=f"{due[key]:%Y-%m-%dT%H:%M}-{key}",
            partition_key=key,
            tags={"ingestion/stale_documents": str(documents)},
        )
    if not wanted:
        yield dg.SkipReason(
            "what is stale is being reindexed already" if stale else "no document is stale"
        )
