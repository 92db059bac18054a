"""Sensors of operations."""

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from ingestion_pipeline.defs.operations.maintenance import purge_job
from ingestion_pipeline.resources.services import ServicesResource


@dg.sensor(
    # By its name: given the job, Dagster makes the sensor anew and warns of what it does there.
    job_name=purge_job.name,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run that purges documents, where a delete task asks for it and the "
    "client that sent it is gone or was a message.",
)
def purge_sensor(
    context: dg.SensorEvaluationContext, services: ServicesResource
) -> dg.RunRequest | dg.SkipReason:
    """Start one run at a time."""
    from ingestion_pipeline.tasks.deletion import purges_wait

    if not purges_wait(services.get()):
        return dg.SkipReason("nothing waits to be purged")
    unfinished = dg.RunsFilter(job_name=purge_job.name, statuses=list(NOT_FINISHED_STATUSES))
    if context.instance.get_runs_count(unfinished):
        return dg.SkipReason("a run purges already")
    return dg.RunRequest()
