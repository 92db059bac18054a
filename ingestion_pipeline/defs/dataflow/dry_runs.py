"""The job of dry runs, and what starts it: thin shells over ``tasks``."""

import uuid
from collections.abc import Iterator
from functools import partial

import dagster as dg

from ingestion_pipeline.defs.intake.sensors import PRIORITY_TAG
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME, collections_partitions
from ingestion_pipeline.execution.queues import BUILD_JOBS, QUEUE_TAG, TENANT_TAG, Queue
from ingestion_pipeline.model.tasks import Backend, TaskType
from ingestion_pipeline.resources.services import ServicesResource


@dg.op(
    out=dg.Out(dg.Nothing),
    pool="embedding",
    description="Say what each component of a pipeline would give for the documents that dataflow "
    "tasks with the option `dry_run` name. Nothing is published.",
)
def try_pipelines(context: dg.OpExecutionContext, services: ServicesResource) -> None:
    """Do what waits in a collection."""
    from ingestion_pipeline.execution.runs import stopped_by_person
    from ingestion_pipeline.tasks.dry_runs import carry_out
    from ingestion_pipeline.tasks.events import tell

    opened, run_id = services.get(), context.run.run_id
    if context.run.parent_run_id:
        # A retry takes up what its parent left.
        tell(opened.events, opened.registry.claims.give_back_crashed([context.run.parent_run_id]))
    done = carry_out(
        opened,
        opened.registry.collections.get(context.partition_key),
        run_id,
        Backend.DAGSTER,
        partial(stopped_by_person, context.instance, run_id),
    )
    context.add_output_metadata({"dry_runs": done})


@dg.job(
    name=BUILD_JOBS[TaskType.DATAFLOW],
    partitions_def=collections_partitions,
    tags={QUEUE_TAG: Queue.EMBED.value},
    description="Try pipelines on documents of a collection, where tasks ask for it.",
)
def dry_run_job() -> None:
    """Do the dry runs of a collection."""
    try_pipelines()


@dg.sensor(
    job_name=dry_run_job.name,  # see ``purge_sensor``
    minimum_interval_seconds=3,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run for each collection on whose documents somebody tries a pipeline.",
)
def dry_run_sensor(
    context: dg.SensorEvaluationContext, services: ServicesResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for runs; one too many finds nothing to do."""
    from ingestion_pipeline.execution.runs import builds_under_way
    from ingestion_pipeline.tasks.due import plan_dry_runs

    planned = plan_dry_runs(services.get(), builds_under_way(context.instance))
    # One that is not a partition yet would fail the whole tick.
    context.instance.add_dynamic_partitions(
        PARTITIONS_NAME, sorted({each.collection_key for each in planned})
    )
    for each in planned:
        yield dg.RunRequest(
            run_key=uuid.uuid4().hex,
            partition_key=each.collection_key,
            tags={PRIORITY_TAG: str(each.priority), TENANT_TAG: each.tenant},
        )
    if not planned:
        yield dg.SkipReason("nobody tries a pipeline")
