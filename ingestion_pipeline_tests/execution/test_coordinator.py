from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig

from ingestion_pipeline.execution.coordinator import limited, missing_marks
from ingestion_pipeline.execution.queues import JOB_TAG, QUEUE_TAG, TENANT_TAG, Queue
from ingestion_pipeline.streams.heartbeats import Heartbeat
from ingestion_pipeline_tests.execution.beats import worker_beat

EMBED = {QUEUE_TAG: "ingest.embed"}
PARTITION = "dagster/partition"
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
TENANTS = {"key": TENANT_TAG, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, EMBED),
        ({PARTITION: "papers"}, EMBED | {TENANT_TAG: "default"}),
        ({PARTITION: "acme/papers"}, EMBED | {TENANT_TAG: "acme"}),
        (dict.fromkeys(RANGE, "acme/papers"), EMBED | {TENANT_TAG: "acme"}),
        ({PARTITION: "2026-01-01|no collection"}, EMBED),
        ({QUEUE_TAG: "ingest.cpu"}, {}),
        ({QUEUE_TAG: "ingest.cpu", PARTITION: "acme/papers"}, {TENANT_TAG: "acme"}),
        ({TENANT_TAG: "given", PARTITION: "acme/papers"}, EMBED),
    ],
)
def test_a_run_is_marked_with_what_it_does_not_say_itself(
    tags: dict[str, str], expected: dict[str, str]
) -> None:
    run = dg.DagsterRun(job_name="ingest_job", tags=tags)

    assert missing_marks(run) == expected | {JOB_TAG: "ingest_job"}


def config(runs: int = 2) -> RunQueueConfig:
    """Return limits as ``dagster.yaml`` may have them."""
    return RunQueueConfig(max_concurrent_runs=runs, tag_concurrency_limits=[TENANTS])


def by_queue(limits: RunQueueConfig) -> dict[str, int]:
    """Return the limits of the queues."""
    assert limits.tag_concurrency_limits[0] == TENANTS
    return {limit["value"]: limit["limit"] for limit in limits.tag_concurrency_limits[1:]}


@pytest.mark.parametrize("workers", [[], [worker_beat(*Queue, slots=4)]])
def test_a_queue_that_was_halted_stays_so(workers: list[Heartbeat]) -> None:
    assert limited(config(0), workers) == config(0)


def test_no_limit_stays_none_where_runs_get_processes_of_their_own() -> None:
    assert limited(config(-1), [worker_beat(Queue.CPU, slots=4)]).max_concurrent_runs == -1
    assert limited(config(-1), [worker_beat(*Queue, slots=4)]).max_concurrent_runs == 4


def test_without_workers_the_configured_limits_hold() -> None:
    assert limited(config(), []) == config()


def test_as_many_runs_are_under_way_as_workers_have_room_for() -> None:
    workers = [worker_beat(*Queue, slots=3), worker_beat(*Queue, slots=2)]

    limits = limited(config(), workers)

    assert limits.max_concurrent_runs == 5
    assert by_queue(limits) == {"ingest.embed": 5, "ingest.cpu": 5}


def test_each_queue_has_the_room_of_the_workers_that_serve_it() -> None:
    workers = [worker_beat(Queue.CPU, slots=4), worker_beat(*Queue, slots=1)]

    limits = limited(config(), workers)

    assert limits.max_concurrent_runs == 5
    assert by_queue(limits) == {"ingest.cpu": 5, "ingest.embed": 1}


def test_the_runs_of_a_queue_that_nobody_serves_have_processes_of_their_own() -> None:
    limits = limited(config(2), [worker_beat(Queue.CPU, slots=3)])

    assert limits.max_concurrent_runs == 5
    assert by_queue(limits) == {"ingest.cpu": 3}
