"""The sensors that turn messages into runs and make good what died: thin shells over ``tasks``."""

import math
import uuid
from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from ingestion_pipeline.defs.operations.jobs import ingest_job
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME, collections_partitions
from ingestion_pipeline.execution.queues import TENANT_TAG
from ingestion_pipeline.resources.services import ServicesResource

PRIORITY_TAG = "dagster/priority"
TASK_SENSOR = "task_stream_sensor"
PipelineJob = dg.JobDefinition | UnresolvedAssetJobDefinition


def task_stream_sensor(pipeline_jobs: Sequence[PipelineJob]) -> dg.SensorDefinition:
    """Return the sensor that takes tasks up, with the jobs of pipelines besides our own."""
    return dg.SensorDefinition(
        name=TASK_SENSOR,
        evaluation_fn=_take_tasks,
        jobs=[ingest_job, *pipeline_jobs],
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"services"},
        description="Takes messages from the Redis streams into the registry, then starts one run "
        "for each collection, and each pipeline in it, with work waiting.",
    )


def _take_tasks(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Receive, plan, and ask for runs."""
    from ingestion_pipeline.execution.runs import DagsterRuns, runs_by_collection
    from ingestion_pipeline.tasks.tick import tick

    opened = context.resources.services.get()
    outcome = tick(
        opened,
        lambda live_runs: runs_by_collection(context.instance, live_runs),
        DagsterRuns(context.instance),
    )
    context.log.info(outcome.summary)
    known = set(context.instance.get_dynamic_partitions(PARTITIONS_NAME))
    new = sorted(outcome.collections - known)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                # A plan's own id: a plan that comes twice finds nothing to claim the second time.
                run_key=uuid.uuid4().hex,
                job_name=f"{planned.pipeline}_job" if planned.pipeline else ingest_job.name,
                partition_key=planned.collection_key,
                tags={
                    PRIORITY_TAG: str(planned.priority),
                    TENANT_TAG: planned.tenant,
                    "ingestion/trigger": "stream",
                    MAX_RUNTIME_SECONDS_TAG: str(math.ceil(opened.settings.task_timeout_seconds)),
                },
            )
            for planned in outcome.planned
        ],
        skip_reason=None if outcome.planned else outcome.summary,
        dynamic_partitions_requests=[collections_partitions.build_add_request(new)] if new else [],
    )


@dg.sensor(
    # The daemon looks every 5 seconds; a sensor that is not quite due then waits for 5 more.
    minimum_interval_seconds=3,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Gives back the batches of runs that died or fell silent, cancels the tasks of "
    "those a person stopped, ends tasks whose time is over, and repairs what a crash left between "
    "index and registry.",
)
def reconcile_sensor(
    context: dg.SensorEvaluationContext, services: ServicesResource
) -> dg.SkipReason:
    """Reconcile; runs that follow from it are the other sensor's to plan."""
    from ingestion_pipeline.execution.runs import DagsterRuns
    from ingestion_pipeline.tasks.reconciliation import reconcile

    return dg.SkipReason(reconcile(services.get(), DagsterRuns(context.instance)).summary)
