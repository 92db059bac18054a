"""Who gets a run, with a real Redis and a worker that is a thread; real ones: ``test_workers``."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

import dagster as dg
import pytest
import redis
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG

from ingestion_pipeline.errors import TransientError
from ingestion_pipeline.execution import launcher as module
from ingestion_pipeline.execution.launcher import OFFERS, WorkerRunLauncher
from ingestion_pipeline.execution.queues import (
    LAUNCHER_TAG,
    OFFER_TAG,
    QUEUE_TAG,
    Launcher,
    Queue,
)
from ingestion_pipeline.execution.signals import heartbeats, run_signals
from ingestion_pipeline.execution.worker import execute_run
from ingestion_pipeline.streams.connection import connect
from ingestion_pipeline.streams.signals import QUEUE_PREFIX
from ingestion_pipeline_tests.execution.beats import worker_beat
from ingestion_pipeline_tests.execution.runs import record_run

Status = dg.DagsterRunStatus
ON_WORKER = {LAUNCHER_TAG: Launcher.WORKER.value, OFFER_TAG: "o-1"}
NOWHERE = "unix:///nowhere/redis.sock"
IN_PROCESS = {LAUNCHER_TAG: Launcher.PROCESS.value}


class Processes:
    """Stands in for Dagster's default launcher, and starts nothing."""

    def __init__(self) -> None:
        self.launched: list[str] = []
        self.terminated: list[str] = []

    def launch_run(self, context: LaunchRunContext) -> None:
        self.launched.append(context.dagster_run.run_id)

    def terminate(self, run_id: str) -> bool:
        self.terminated.append(run_id)
        return True


class FakeWorker:
    """Takes one message as a worker does, and accepts what is offered."""

    def __init__(self, client: redis.Redis) -> None:
        self._accepted: list[str] = []
        self._client = client
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def accepted(self) -> list[str]:
        """Wait until it has taken its message; return the runs that it has."""
        self._thread.join()
        return self._accepted

    def _work(self) -> None:
        run_id, offer_id = message(self._client)
        if run_signals().accept(offer_id):
            self._accepted.append(run_id)


def message(client: redis.Redis) -> tuple[str, str]:
    """Wait for a message, and return which run it is about and the number of its offer."""
    found = cast("Any", client.brpop([f"{QUEUE_PREFIX}{queue}" for queue in Queue], timeout=10))
    run_id, offer_id = json.loads(base64.b64decode(json.loads(found[1])["body"]))[0]
    return run_id, offer_id


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def processes() -> Processes:
    return Processes()


@pytest.fixture
def launcher(
    instance: dg.DagsterInstance,
    processes: Processes,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> WorkerRunLauncher:
    """The launcher of an instance without ``dagster.yaml``."""
    monkeypatch.setenv("INGEST_REDIS_URL", redis_url)
    monkeypatch.setattr(module, "ACCEPT_SECONDS", 0.3)
    launcher = WorkerRunLauncher()
    launcher.register_instance(instance)
    monkeypatch.setattr(launcher, "_processes", processes)
    return launcher


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is, from now on."""
    monkeypatch.setenv("INGEST_REDIS_URL", NOWHERE)


@pytest.fixture
def alive(launcher: WorkerRunLauncher) -> None:
    """A worker beats that serves one queue."""
    heartbeats().beat(worker_beat(Queue.EMBED), ttl_seconds=60)


def launch(
    launcher: WorkerRunLauncher,
    instance: dg.DagsterInstance,
    tags: Mapping[str, str] | None = None,
) -> dg.DagsterRun:
    """Launch a run, and return what is on record of it then."""
    run = record_run(instance, Status.STARTING, tags=tags)
    launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
    return on_record(instance, run)


def on_record(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    """Return a run as it is now."""
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def test_queues_are_named_by_the_tag_that_dagster_celery_knows() -> None:
    assert QUEUE_TAG == DAGSTER_CELERY_QUEUE_TAG


def test_without_a_worker_a_run_gets_a_process(
    launcher: WorkerRunLauncher, instance: dg.DagsterInstance, processes: Processes
) -> None:
    run = launch(launcher, instance)

    assert processes.launched == [run.run_id]
    assert run.tags[LAUNCHER_TAG] == "process"
    assert OFFER_TAG not in run.tags


@pytest.mark.usefixtures("alive")
def test_a_live_worker_gets_the_run(
    launcher: WorkerRunLauncher,
    instance: dg.DagsterInstance,
    processes: Processes,
    redis_client: redis.Redis,
) -> None:
    worker = FakeWorker(redis_client)

    run = launch(launcher, instance)

    assert worker.accepted() == [run.run_id]
    assert processes.launched == []
    assert run.tags[LAUNCHER_TAG] == "worker"


@pytest.mark.usefixtures("alive")
def test_a_run_of_a_queue_that_no_worker_serves_gets_a_process(
    launcher: WorkerRunLauncher, instance: dg.DagsterInstance, processes: Processes
) -> None:
    run = launch(launcher, instance, {QUEUE_TAG: Queue.CPU.value})

    assert processes.launched == [run.run_id]
    assert run_signals().waiting(list(Queue)) == 0


@pytest.mark.usefixtures("alive")
def test_what_nobody_accepts_is_offered_again_and_gets_a_process_then(
    launcher: WorkerRunLauncher,
    instance: dg.DagsterInstance,
    processes: Processes,
    redis_client: redis.Redis,
) -> None:
    run = launch(launcher, instance)

    assert processes.launched == [run.run_id]
    assert run.tags[LAUNCHER_TAG] == "process"
    messages = [message(redis_client) for _ in range(OFFERS)]
    assert [run_id for run_id, _ in messages] == [run.run_id] * OFFERS
    assert len(set(messages)) == OFFERS
    told = [entry.message for entry in instance.all_logs(run.run_id)]
    assert sum("the offer is withdrawn" in line for line in told) == OFFERS
    for message_ in messages:
        execute_run(*message_)  # a worker that comes to it late; it would not find the run


@pytest.mark.usefixtures("alive")
def test_the_second_offer_may_be_accepted(
    launcher: WorkerRunLauncher,
    instance: dg.DagsterInstance,
    processes: Processes,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = []

    def lose_the_first(*arguments: Any, **options: Any) -> None:
        sent.append(arguments)
        if len(sent) > 1:
            send_task(*arguments, **options)

    send_task = launcher.celery.send_task
    monkeypatch.setattr(launcher.celery, "send_task", lose_the_first)
    worker = FakeWorker(redis_client)

    run = launch(launcher, instance)

    assert worker.accepted() == [run.run_id]
    assert processes.launched == []


@pytest.mark.usefixtures("alive", "away")
def test_while_redis_is_away_runs_get_processes(
    launcher: WorkerRunLauncher, instance: dg.DagsterInstance, processes: Processes
) -> None:
    run = launch(launcher, instance)

    assert processes.launched == [run.run_id]


@pytest.mark.usefixtures("alive")
def test_a_run_is_not_started_a_second_time_while_nobody_knows_who_has_it(
    launcher: WorkerRunLauncher,
    instance: dg.DagsterInstance,
    processes: Processes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def vanish(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(signals, "_client", connect(NOWHERE))

    signals = run_signals()
    monkeypatch.setattr(module, "run_signals", lambda: signals)
    monkeypatch.setattr(launcher.celery, "send_task", vanish)

    with pytest.raises(TransientError):
        launch(launcher, instance)

    assert processes.launched == []


def test_a_run_is_canceling_before_its_process_is_told(
    launcher: WorkerRunLauncher, instance: dg.DagsterInstance, processes: Processes
) -> None:
    run = record_run(instance, Status.STARTED, tags=ON_WORKER)
    run_signals().offer("o-1")
    assert run_signals().accept("o-1")

    assert launcher.terminate(run.run_id)

    assert on_record(instance, run).status is Status.CANCELING
    assert run_signals().is_to_stop(run.run_id)
    assert processes.terminated == []


def test_a_run_that_no_worker_has_accepted_is_canceled_at_once_and_for_good(
    launcher: WorkerRunLauncher, instance: dg.DagsterInstance
) -> None:
    run = record_run(instance, Status.STARTING, tags=ON_WORKER)
    run_signals().offer("o-1")

    assert launcher.terminate(run.run_id)

    assert on_record(instance, run).status is Status.CANCELED
    assert not run_signals().accept("o-1")


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.FAILURE, Status.CANCELED])
@pytest.mark.parametrize("tags", [ON_WORKER, IN_PROCESS])
def test_a_run_that_ended_cannot_be_terminated(
    launcher: WorkerRunLauncher,
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
    tags: dict[str, str],
) -> None:
    run = record_run(instance, status, tags=tags)

    assert not launcher.terminate(run.run_id)
    assert not launcher.terminate("unknown")
    assert on_record(instance, run).status is status


@pytest.mark.parametrize("tags", [{}, IN_PROCESS])
def test_runs_in_processes_are_terminated_by_who_launched_them(
    launcher: WorkerRunLauncher,
    instance: dg.DagsterInstance,
    processes: Processes,
    tags: dict[str, str],
) -> None:
    run = record_run(instance, Status.STARTED, tags=tags)

    assert launcher.terminate(run.run_id)

    assert processes.terminated == [run.run_id]


@pytest.mark.parametrize("tags", [ON_WORKER, IN_PROCESS])
def test_a_run_lives_while_its_process_beats(
    launcher: WorkerRunLauncher,
    instance: dg.DagsterInstance,
    tags: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = record_run(instance, Status.STARTED, tags=tags)
    run_signals().beat(run.run_id, "host:7:99")

    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING

    monkeypatch.setattr(module, "SILENCE_SECONDS", 0)
    found = launcher.check_run_worker_health(run)
    assert found.status is WorkerStatus.FAILED
    assert "host:7:99 has been silent" in (found.msg or "")
    told = launcher.get_run_worker_debug_info(run)
    assert told == f"launched by: {tags[LAUNCHER_TAG]}; process: host:7:99"


@pytest.mark.parametrize(
    ("tags", "later"), [(ON_WORKER, WorkerStatus.FAILED), (IN_PROCESS, WorkerStatus.RUNNING)]
)
def test_that_a_run_was_never_heard_counts_for_workers_only_and_not_at_once(
    launcher: WorkerRunLauncher,
    instance: dg.DagsterInstance,
    tags: dict[str, str],
    later: WorkerStatus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = record_run(instance, Status.STARTED, tags=tags)

    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING

    monkeypatch.setattr(module, "SILENCE_SECONDS", 0)
    assert launcher.check_run_worker_health(run).status is later


@pytest.mark.usefixtures("away")
def test_while_redis_is_away_no_run_counts_as_dead(
    launcher: WorkerRunLauncher, instance: dg.DagsterInstance
) -> None:
    run = record_run(instance, Status.STARTED, tags=ON_WORKER)

    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert launcher.get_run_worker_debug_info(run) == "launched by: worker; process: unknown"


def test_runs_are_retried_as_others_and_never_resumed(launcher: WorkerRunLauncher) -> None:
    assert launcher.supports_check_run_worker_health
    assert not launcher.supports_resume_run
