"""The run coordinator: what a run is marked with when it is submitted, and how many may run.

Belongs here: the tags that limits count by, and limits that follow from the workers there are. Does
not belong here: who gets a run (``launcher``). Runs wait in Dagster's queue, for nothing is lost
there, priorities hold there, and a wait has no time limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from dagster import DagsterRun
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.execution.queues import JOB_TAG, QUEUE_TAG, TENANT_TAG, Queue
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.streams.heartbeats import Heartbeat


class WorkerRunCoordinator(QueuedRunCoordinator):
    """Dagster's queue, for as many runs at a time as live workers have room for.

    ``max_concurrent_runs`` holds for the runs of queues that no live worker serves, each of which
    gets a process of its own; with 0 nothing is started at all.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Mark the run with its tenant and its queue, then put it into Dagster's."""
        run = context.dagster_run
        marks = missing_marks(run)
        if marks:
            self._instance.add_run_tags(run.run_id, marks)
        return super().submit_run(context)

    def get_run_queue_config(self) -> RunQueueConfig:
        """Return the limits of this moment."""
        from ingestion_pipeline.execution.workers import live_workers

        return limited(super().get_run_queue_config(), live_workers())


def missing_marks(run: DagsterRun) -> dict[str, str]:
    """Return the tags that limits count by and that a run does not have yet.

    The tenant is that of its partition: runs from the web page and of backfills count too.
    """
    marks = {}
    if JOB_TAG not in run.tags:
        marks[JOB_TAG] = run.job_name
    if QUEUE_TAG not in run.tags:
        marks[QUEUE_TAG] = Queue.EMBED.value
    key = run.tags.get(PARTITION_NAME_TAG) or run.tags.get(ASSET_PARTITION_RANGE_START_TAG)
    if key and TENANT_TAG not in run.tags:
        with suppress(IngestError):  # it may be a partition of somebody else's asset
            marks[TENANT_TAG] = CollectionName.from_key(key).tenant
    return marks


def limited(config: RunQueueConfig, workers: Sequence[Heartbeat]) -> RunQueueConfig:
    """Return the limits that follow from the workers there are."""
    if not workers or config.max_concurrent_runs == 0:
        return config
    served: dict[str, int] = {}
    for worker in workers:
        for queue in worker.queues:
            served[queue] = served.get(queue, 0) + worker.slots
    slots = sum(worker.slots for worker in workers)
    own_processes = 0 if all(queue in served for queue in Queue) else config.max_concurrent_runs
    by_queue: list[dict[str, Any]] = [
        {"key": QUEUE_TAG, "value": queue, "limit": limit} for queue, limit in served.items()
    ]
    return config._replace(
        max_concurrent_runs=-1 if own_processes < 0 else slots + own_processes,
        tag_concurrency_limits=[*config.tag_concurrency_limits, *by_queue],
    )
