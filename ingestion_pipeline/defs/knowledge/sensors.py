"""The sensor that starts builds: a thin shell over ``tasks.due``."""

import math
import uuid

import dagster as dg
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from ingestion_pipeline.defs.intake.sensors import PRIORITY_TAG
from ingestion_pipeline.defs.knowledge.jobs import graph_job, mindmap_job, raptor_job
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
from ingestion_pipeline.execution.queues import BUILD_JOBS, TENANT_TAG
from ingestion_pipeline.resources.services import ServicesResource


@dg.sensor(
    jobs=[raptor_job, graph_job, mindmap_job],
    minimum_interval_seconds=3,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the builds that tasks ask for, and those that are due: of a collection "
    "that has changed and has been quiet for `quiet_seconds`.",
)
def build_sensor(
    context: dg.SensorEvaluationContext, services: ServicesResource
) -> dg.SensorResult:
    """Plan, and ask for runs."""
    from ingestion_pipeline.execution.runs import builds_under_way
    from ingestion_pipeline.tasks.due import plan_due_builds

    opened = services.get()
    planned = plan_due_builds(opened, builds_under_way(context.instance))
    # One that is not a partition yet would fail the whole tick.
    context.instance.add_dynamic_partitions(
        PARTITIONS_NAME, sorted({each.collection_key for each in planned})
    )
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=uuid.uuid4().hex,  # a plan that comes twice finds the build taken
                job_name=BUILD_JOBS[each.kind],
                partition_key=each.collection_key,
                tags={
                    PRIORITY_TAG: str(each.priority),
                    TENANT_TAG: each.tenant,
                    "ingestion/trigger": "build",
                    MAX_RUNTIME_SECONDS_TAG: str(math.ceil(opened.settings.task_timeout_seconds)),
                },
            )
            for each in planned
        ],
        skip_reason=None if planned else "nothing is to be built",
    )
