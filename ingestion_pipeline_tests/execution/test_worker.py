"""The parts of a worker, without one; real ones: ``test_workers``."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

import ingestion_pipeline
from ingestion_pipeline.execution.signals import run_signals
from ingestion_pipeline.execution.worker import (
    STUCK_SECONDS,
    Idleness,
    Keeper,
    RunFailedError,
    execute_run,
    newest_change,
)
from ingestion_pipeline_tests.execution.jobs import failing_job, listening_job
from ingestion_pipeline_tests.execution.lab import Lab, Status, opened


@pytest.mark.parametrize(("waiting", "free"), [(0, 0), (0, 2), (3, 0)])
def test_a_worker_that_has_enough_to_do_or_nothing_is_not_stuck(waiting: int, free: int) -> None:
    idleness = Idleness()

    assert not any(
        idleness.is_stuck(now, waiting=waiting, free=free) for now in (0.0, 100.0, 10_000.0)
    )


def test_a_worker_is_stuck_that_leaves_messages_lying_for_long() -> None:
    idleness = Idleness()

    looks = [
        idleness.is_stuck(now, waiting=1, free=1) for now in (0.0, STUCK_SECONDS, STUCK_SECONDS + 1)
    ]

    assert looks == [False, False, True]


@pytest.mark.parametrize(("waiting", "free"), [(0, 1), (1, 0)])
def test_one_look_at_which_all_is_well_is_enough(waiting: int, free: int) -> None:
    idleness = Idleness()

    assert not idleness.is_stuck(0, waiting=1, free=1)
    assert not idleness.is_stuck(STUCK_SECONDS, waiting=waiting, free=free)
    assert not idleness.is_stuck(STUCK_SECONDS + 1, waiting=1, free=1)


def test_any_module_of_the_package_is_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion_pipeline, "__file__", str(tmp_path / "__init__.py"))
    module = tmp_path / "stages" / "parsed.py"
    module.parent.mkdir()
    for path, changed_at in ((tmp_path / "__init__.py", 100), (module, 50), (tmp_path / "x", 900)):
        path.touch()
        os.utime(path, (changed_at, changed_at))
    (tmp_path / ".#edited.py").symlink_to("nowhere")  # as editors leave them

    assert newest_change() == 100
    os.utime(module, (200, 200))
    assert newest_change() == 200


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with opened() as lab:
        yield lab


def offered(lab: Lab, job: dg.JobDefinition) -> str:
    """Put a run on offer under its own id, and return that."""
    origin = dg.reconstructable(job).get_python_origin()
    run = lab.instance.create_run_for_job(job, job_code_origin=origin)
    run_signals().offer(run.run_id)
    return run.run_id


def test_a_run_that_is_offered_is_carried_out_here_once(lab: Lab) -> None:
    run_id = offered(lab, listening_job)

    execute_run(run_id, run_id)

    assert lab.status(run_id) is Status.SUCCESS
    told = lab.told(run_id)
    execute_run(run_id, run_id)
    assert lab.told(run_id) == told


def test_a_run_whose_offer_was_withdrawn_is_not_touched(lab: Lab) -> None:
    run_id = offered(lab, listening_job)
    assert run_signals().withdraw(run_id)

    execute_run(run_id, run_id)

    assert lab.status(run_id) is Status.NOT_STARTED
    assert lab.told(run_id) == ""


def test_a_run_that_fails_counts_as_failed(lab: Lab) -> None:
    run_id = offered(lab, failing_job)

    with pytest.raises(RunFailedError, match=run_id):
        execute_run(run_id, run_id)

    assert lab.status(run_id) is Status.FAILURE


def test_a_run_that_was_terminated_right_after_it_was_accepted_is_canceled(lab: Lab) -> None:
    run_id = offered(lab, listening_job)
    run = lab.instance.get_run_by_id(run_id)
    assert run is not None
    lab.instance.report_run_canceling(run)

    execute_run(run_id, run_id)

    assert lab.status(run_id) is Status.CANCELED


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_no_process_is_forked_while_the_keeper_may_hold_a_lock(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process would wait for that lock for ever."""
    beats, goes_on = threading.Event(), threading.Event()
    monkeypatch.setenv("INGEST_REDIS_URL", redis_url)
    monkeypatch.setattr(Keeper, "_beat", lambda _: (beats.set(), goes_on.wait()))
    keeper = Keeper(["ingest.cpu"], 1, newest_change(), list)
    keeper.start()
    assert beats.wait(5)
    threading.Timer(0.2, goes_on.set).start()

    pid = os.fork()
    if pid == 0:
        os._exit(not goes_on.is_set())

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    keeper.end()
