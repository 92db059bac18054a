"""Real workers: what they do with runs, and what becomes of a run when something dies."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import WorkerStatus

import ingestion_pipeline
from ingestion_pipeline.execution.broker import EXECUTE_RUN
from ingestion_pipeline.execution.launcher import SILENCE_SECONDS
from ingestion_pipeline.execution.queues import Queue
from ingestion_pipeline.execution.worker import (
    BEAT_SECONDS,
    BEAT_TTL_SECONDS,
    BEATS_PER_LOOK,
    EXIT_STUCK,
    FINISH_SECONDS,
    STUCK_SECONDS,
    make_app,
)
from ingestion_pipeline.settings import Settings
from ingestion_pipeline_tests.execution.lab import Lab, Status, Worker, alive, opened
from ingestion_pipeline_tests.system.installation import eventually

EventType = dg.DagsterEventType

LONGEST_START_SECONDS = 1.5
"""Some tenths of a second, on a machine that has nothing else to do."""
CANCELED_SECONDS = 2
FORGOTTEN_SECONDS = BEAT_TTL_SECONDS + 4

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with opened() as lab:
        yield lab


@pytest.fixture(scope="module", autouse=True)
def stuck(lab: Lab) -> tuple[Worker, list[int]]:
    """A worker of other runs that leaves a message lying; begun early, as that lasts."""
    worker = lab.worker(Queue.CPU)
    children = [child.pid for child in psutil.Process(worker.process.pid).children()]
    app = make_app(Settings())
    app.control.cancel_consumer(Queue.CPU, reply=True, timeout=2)
    app.send_task(EXECUTE_RUN, ("unknown", "withdrawn"), queue=Queue.CPU.value)
    return worker, children


@pytest.fixture
def worker(lab: Lab) -> Worker:
    """The one worker there is; another one if the test before has ended it."""
    return lab.only_worker()


def test_runs_follow_each_other_in_one_process_and_start_at_once(lab: Lab, worker: Worker) -> None:
    runs = [_finished(lab) for _ in range(4)]

    places = {(lab.place(run_id).pid, lab.place(run_id).parent) for run_id in runs}
    assert [parent for _, parent in places] == [worker.process.pid]
    waited = [
        lab.event_at(run_id, EventType.PIPELINE_START)
        - lab.event_at(run_id, EventType.PIPELINE_STARTING)
        for run_id in runs
    ]
    print("from launch to start:", *(f"{seconds:.2f} s" for seconds in waited))  # noqa: T201
    assert min(waited) < LONGEST_START_SECONDS


def test_a_terminated_run_is_canceled_and_its_process_goes_on(lab: Lab, worker: Worker) -> None:
    run_id = lab.launch(hold=True)
    pid = lab.place(run_id).pid

    at = time.monotonic()
    assert lab.instance.run_launcher.terminate(run_id)

    assert lab.becomes(run_id, Status.CANCELED, CANCELED_SECONDS)
    print(f"canceled after {time.monotonic() - at:.2f} s")  # noqa: T201
    assert not lab.instance.run_launcher.terminate(run_id)
    assert lab.place(_finished(lab)).pid == pid


def test_the_death_of_a_runs_process_is_seen_sooner_than_its_silence_and_the_worker_goes_on(
    lab: Lab, worker: Worker
) -> None:
    run_id = lab.launch(hold=True)
    pid = lab.place(run_id).pid

    os.kill(pid, signal.SIGKILL)

    assert lab.is_lost(run_id, SILENCE_SECONDS - 1)
    assert eventually(lambda: _is_idle(worker), seconds=3)
    place = lab.place(_finished(lab))
    assert place.pid != pid
    assert place.parent == worker.process.pid


def test_a_run_goes_on_while_redis_is_away_and_the_worker_comes_back_to_it(
    lab: Lab, worker: Worker
) -> None:
    run_id = lab.launch(hold=True)
    place = lab.place(run_id)

    assert lab.redis.pid is not None
    os.kill(lab.redis.pid, signal.SIGKILL)
    assert eventually(lambda: lab.redis.failure() is not None, seconds=5)
    assert lab.health(run_id).status is WorkerStatus.RUNNING
    lab.redis.start()

    assert lab.health(run_id).status is WorkerStatus.RUNNING
    lab.release(run_id)
    assert lab.becomes(run_id, Status.SUCCESS)
    assert eventually(lambda: worker.heartbeat is not None, seconds=10)
    assert lab.place(_finished(lab)).pid == place.pid


def test_a_busy_worker_leaves_runs_to_one_that_is_idle(lab: Lab, worker: Worker) -> None:
    held = lab.launch(hold=True)
    busy = lab.place(held).parent
    idle = lab.worker()

    try:
        parents = {lab.place(_finished(lab)).parent for _ in range(4)}
    finally:
        idle.kill()

    assert parents == {idle.process.pid}
    assert busy == worker.process.pid
    lab.release(held)
    assert lab.becomes(held, Status.SUCCESS)
    assert eventually(lambda: lab.serving() == 1, FORGOTTEN_SECONDS)


def test_a_short_run_is_finished_by_a_worker_that_is_to_end(lab: Lab, worker: Worker) -> None:
    run_id = lab.launch(hold=True)
    lab.place(run_id)

    worker.process.send_signal(signal.SIGTERM)
    assert eventually(lambda: lab.serving() == 0, FINISH_SECONDS - 1)
    lab.release(run_id)

    assert worker.ended() == 0
    assert lab.status(run_id) is Status.SUCCESS


def test_a_long_run_is_given_back_by_a_worker_that_is_to_end(lab: Lab, worker: Worker) -> None:
    run_id = lab.launch(hold=True)
    pid = lab.place(run_id).pid

    worker.process.send_signal(signal.SIGTERM)

    assert worker.ended(FINISH_SECONDS + 15) == 0
    assert not alive(pid)
    run = lab.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is Status.FAILURE
    assert run.tags["dagster/will_retry"] == "true"


def test_the_runs_of_a_killed_worker_are_lost_and_it_gets_no_more(lab: Lab, worker: Worker) -> None:
    run_id = lab.launch(hold=True)
    lab.place(run_id)

    worker.kill()

    assert eventually(lambda: lab.serving() == 0, FORGOTTEN_SECONDS)
    assert lab.is_lost(run_id, SILENCE_SECONDS + 4)


def test_a_worker_starts_anew_when_the_code_has_changed_and_loses_no_run(
    lab: Lab, tmp_path: Path
) -> None:
    package = Path(ingestion_pipeline.__file__).parent
    copy = shutil.copytree(package, tmp_path / package.name)
    worker = lab.worker(PYTHONPATH=str(tmp_path))
    first = worker.heartbeat
    assert first is not None
    run_id = lab.launch(hold=True)
    pid = lab.place(run_id).pid

    (copy / "errors.py").touch()
    assert eventually(lambda: lab.serving() == 0, 3 * BEATS_PER_LOOK * BEAT_SECONDS)
    lab.release(run_id)

    assert lab.becomes(run_id, Status.SUCCESS)
    assert eventually(lambda: worker.heartbeat is not None, seconds=30)
    again = worker.heartbeat
    assert again is not None
    assert again.boot_at > first.boot_at
    assert not alive(pid)
    assert lab.place(_finished(lab)).parent == worker.process.pid


def test_a_worker_that_no_longer_gets_messages_ends_with_its_processes(
    stuck: tuple[Worker, list[int]],
) -> None:
    worker, children = stuck

    assert worker.ended(STUCK_SECONDS + 5) == EXIT_STUCK

    assert len(children) == 1
    assert not any(alive(pid) for pid in children)


def _is_idle(worker: Worker) -> bool:
    return worker.heartbeat is not None and not worker.heartbeat.current


def _finished(lab: Lab) -> str:
    """Have a run carried out, and return its id."""
    run_id = lab.launch()
    assert lab.becomes(run_id, Status.SUCCESS), lab.told(run_id)
    assert "the offer is withdrawn" not in lab.told(run_id)
    return run_id
