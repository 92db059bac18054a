"""The sensor that turns messages into runs: a thin shell over intake and planning."""

import uuid

import dagster as dg

from ingestion_pipeline.defs.operations.jobs import ingest_job
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME, collections_partitions
from ingestion_pipeline.resources.services import ServicesResource

PRIORITY_TAG = "dagster/priority"


@dg.sensor(
    job=ingest_job,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes messages from the Redis streams into the registry, then starts one run for "
    "each collection with work waiting.",
)
def task_stream_sensor(
    context: dg.SensorEvaluationContext, services: ServicesResource
) -> dg.SensorResult:
    """Receive, plan, and ask for runs."""
    from ingestion_pipeline.execution.runs import runs_by_collection
    from ingestion_pipeline.tasks.tick import tick

    outcome = tick(
        services.get(), lambda live_runs: runs_by_collection(context.instance, live_runs)
    )
    context.log.info(outcome.summary)
    known = set(context.instance.get_dynamic_partitions(PARTITIONS_NAME))
    new = sorted(outcome.collections - known)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                # A plan's own id: a plan that comes twice finds nothing to claim the second time.
                run_key=uuid.uuid4().hex,
                partition_key=planned.collection_key,
                tags={
                    PRIORITY_TAG: str(planned.priority),
                    "ingestion/tenant": planned.tenant,
                    "ingestion/trigger": "stream",
                },
            )
            for planned in outcome.planned
        ],
        skip_reason=None if outcome.planned else outcome.summary,
        dynamic_partitions_requests=[collections_partitions.build_add_request(new)] if new else [],
    )
