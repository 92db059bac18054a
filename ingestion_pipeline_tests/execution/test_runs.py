from __future__ import annotations

import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG as MAX_RUNTIME
from dagster._daemon.types import DaemonHeartbeat

from ingestion_pipeline.execution.queues import LAUNCHER_TAG, Launcher
from ingestion_pipeline.execution.runs import (
    DagsterRuns,
    RunCounts,
    carries_tasks_out,
    count_runs,
    daemon_is_alive,
    fail_lost_runs,
    runs_by_collection,
    stopped_by_person,
)
from ingestion_pipeline.tasks.reconciliation import Standing
from ingestion_pipeline_tests.execution.runs import record_run, record_start

Status = dg.DagsterRunStatus
ENDED = (Status.SUCCESS, Status.FAILURE, Status.CANCELED)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize("status", [Status.NOT_STARTED, Status.QUEUED, Status.STARTING])
def test_a_run_that_is_still_to_come_counts(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    record_run(instance, status)

    assert runs_by_collection(instance, {}) == {("papers", None): 1}


@pytest.mark.parametrize("status", ENDED)
def test_a_run_that_has_ended_does_not_count(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    record_run(instance, status)

    assert runs_by_collection(instance, {}) == {}


def test_a_run_counts_while_it_holds_a_lease_and_for_a_minute_without(
    instance: dg.DagsterInstance,
) -> None:
    old, new = (record_run(instance, Status.STARTED) for _ in range(2))
    record_start(instance, old, seconds_ago=3600)
    record_start(instance, new, seconds_ago=5)

    assert runs_by_collection(instance, {"papers": {old.run_id}})["papers", None] == 2
    assert runs_by_collection(instance, {"papers": set()})["papers", None] == 1


def test_runs_are_counted_for_each_collection_and_those_of_none_are_left_out(
    instance: dg.DagsterInstance,
) -> None:
    for collection in ("papers", "papers", "acme/notes", None):
        record_run(instance, Status.QUEUED, collection)

    assert runs_by_collection(instance, {}) == {("papers", None): 2, ("acme/notes", None): 1}


def test_status_tells_queued_from_running(instance: dg.DagsterInstance) -> None:
    for status in (Status.QUEUED, Status.STARTING, Status.STARTED, *ENDED):
        record_run(instance, status)

    assert count_runs(instance) == RunCounts(queued=2, running=1)


@pytest.mark.parametrize(("seconds_ago", "alive"), [(1, True), (50, True), (70, False)])
def test_a_daemon_is_alive_while_its_sensors_beat(
    instance: dg.DagsterInstance, seconds_ago: float, alive: bool
) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, "SENSOR", "d-1"))

    assert daemon_is_alive(instance) is alive


def test_without_a_beat_no_daemon_is_alive(instance: dg.DagsterInstance) -> None:
    assert not daemon_is_alive(instance)


@pytest.mark.parametrize("status", [Status.NOT_STARTED, Status.STARTING, Status.STARTED])
def test_a_run_whose_services_are_gone_has_failed_and_says_why(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    run = record_run(instance, status)

    fail_lost_runs(instance)

    assert instance.get_run_by_id(run.run_id).status is Status.FAILURE
    events = [entry.dagster_event for entry in instance.all_logs(run.run_id)]
    assert any("ended with the services" in (event.message or "") for event in events if event)


def test_a_run_that_was_being_stopped_when_its_services_went_is_canceled(
    instance: dg.DagsterInstance,
) -> None:
    run = record_run(instance, Status.CANCELING)

    fail_lost_runs(instance)

    assert instance.get_run_by_id(run.run_id).status is Status.CANCELED


def test_runs_that_wait_or_ended_or_are_on_a_worker_or_in_a_process_of_their_own_are_left_alone(
    instance: dg.DagsterInstance,
) -> None:
    others = [record_run(instance, status) for status in (Status.QUEUED, *ENDED)]
    others.append(record_run(instance, Status.STARTED, launched=False))
    of_worker = {LAUNCHER_TAG: Launcher.WORKER.value}  # which tell themselves that they are alive
    others.append(record_run(instance, Status.STARTED, tags=of_worker))

    fail_lost_runs(instance)

    assert [instance.get_run_by_id(run.run_id).status for run in others] == [
        Status.QUEUED,
        *ENDED,
        Status.STARTED,
        Status.STARTED,
    ]


@pytest.mark.parametrize(
    ("status", "tags", "expected"),
    [
        (Status.QUEUED, {}, Standing.ACTIVE),
        (Status.STARTED, {}, Standing.ACTIVE),
        (Status.CANCELING, {}, Standing.ACTIVE),
        (Status.CANCELED, {}, Standing.CANCELED),
        (Status.SUCCESS, {}, Standing.ENDED),
        (Status.FAILURE, {}, Standing.ENDED),
        (Status.FAILURE, {"dagster/will_retry": "false"}, Standing.ENDED),
        (Status.FAILURE, {"dagster/will_retry": "true"}, Standing.RETRY_DUE),
    ],
)
def test_reconciliation_learns_how_a_run_stands(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
    tags: dict[str, str],
    expected: Standing,
) -> None:
    run = record_run(instance, status, tags=tags)

    assert DagsterRuns(instance).standings([run.run_id, "unknown"]) == {run.run_id: expected}


@pytest.mark.parametrize(
    ("retried", "expected"),
    [
        (Status.QUEUED, Standing.RETRY_DUE),
        (Status.STARTED, Standing.RETRY_DUE),
        (Status.SUCCESS, Standing.ENDED),
        (Status.FAILURE, Standing.ENDED),
    ],
)
def test_a_retry_is_due_until_it_has_ended(
    instance: dg.DagsterInstance, retried: dg.DagsterRunStatus, expected: Standing
) -> None:
    retry = record_run(instance, retried)
    tags = {"dagster/will_retry": "true", "dagster/auto_retry_run_id": retry.run_id}
    run = record_run(instance, Status.FAILURE, tags=tags)

    assert DagsterRuns(instance).standings([run.run_id])[run.run_id] is expected


@pytest.mark.parametrize(
    ("status", "after"),
    [(Status.STARTED, Status.CANCELED), (Status.SUCCESS, Status.SUCCESS)],
)
def test_a_run_that_does_not_answer_is_taken_for_ended(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, after: dg.DagsterRunStatus
) -> None:
    run = record_run(instance, status)

    DagsterRuns(instance).report_stopped(run.run_id, "it fell silent")

    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is after


def test_a_run_that_was_taken_for_ended_was_canceled_by_no_person(
    instance: dg.DagsterInstance,
) -> None:
    silent, late = (record_run(instance, Status.STARTED, tags={MAX_RUNTIME: "100"}) for _ in "ab")
    record_start(instance, late, seconds_ago=110)
    runs = DagsterRuns(instance)

    runs.report_stopped(silent.run_id, "it fell silent")
    instance.report_run_canceled(late)

    assert set(runs.standings([silent.run_id, late.run_id]).values()) == {Standing.ENDED}


@pytest.mark.parametrize("report", ["report_run_canceling", "report_run_canceled"])
def test_a_termination_is_a_persons_unless_the_run_is_over_its_time(
    instance: dg.DagsterInstance, report: str
) -> None:
    timely, late = (record_run(instance, Status.STARTED, tags={MAX_RUNTIME: "100"}) for _ in "ab")
    record_start(instance, timely, seconds_ago=10)
    record_start(instance, late, seconds_ago=110)
    for run in (timely, late):
        getattr(instance, report)(run)

    assert stopped_by_person(instance, timely.run_id)
    assert not stopped_by_person(instance, late.run_id)


def test_a_shutdown_is_no_persons_termination(instance: dg.DagsterInstance) -> None:
    run = record_run(instance, Status.STARTED)

    assert not stopped_by_person(instance, run.run_id)


def test_dagster_carries_tasks_out_only_with_a_live_daemon(instance: dg.DagsterInstance) -> None:
    assert not carries_tasks_out(instance)
