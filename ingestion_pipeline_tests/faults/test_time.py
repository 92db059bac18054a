"""The end of `ingest up` in the middle of work, and of the time that tasks have."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from ingestion_pipeline.model.tasks import Task
from ingestion_pipeline_tests.faults.faults import Action, Point
from ingestion_pipeline_tests.faults.lab import Case, Exceptions, Lab
from ingestion_pipeline_tests.system.installation import eventually

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

TASK_SECONDS = 6
"""How long a task may take."""
LOOK_SECONDS = 30
"""How often Dagster looks at how long runs take."""


@pytest.fixture(scope="module")
def stopped(lab: Lab) -> Iterator[tuple[Case, float]]:
    """A case whose run was at work when everything was shut down; then tasks get little time."""
    lab.faults.arm(Point.EMBEDDED, Action.HOLD, "shutdown-0")
    case = lab.submit("shutdown")
    lab.faults.strike("shutdown-0", seconds=90)
    at = time.time()
    assert lab.installation.stop() == 0
    lab.faults.disarm()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INGEST_TASK_TIMEOUT_SECONDS", str(TASK_SECONDS))
        lab.installation.ensure_up()
        yield case, at
        lab.installation.stop()


@dataclass(frozen=True)
class Slow:
    """A document whose parser hangs, and one with which the run itself does."""

    parse: Case
    run: Case


@pytest.fixture(scope="module")
def slow(lab: Lab, stopped: tuple[Case, float]) -> Slow:
    lab.faults.arm(Point.PARSING, Action.HOLD, "slow-parse")
    lab.faults.arm(Point.EMBEDDED, Action.HOLD, "slow-run")
    return Slow(lab.submit("slow-parse", documents=1), lab.submit("slow-run", documents=1))


def test_tasks_that_a_shutdown_interrupted_go_on(lab: Lab, stopped: tuple[Case, float]) -> None:
    case, at = stopped

    lab.everything_is_well(case, "`ingest up` ended by SIGTERM while a run works", at)


def test_a_task_whose_document_is_parsed_too_long_is_timed_out(lab: Lab, slow: Slow) -> None:
    timed_out(lab, slow.parse, "a parser hangs beyond the time of the task")

    assert lab.is_gone(lab.faults.strike("slow-parse").pid)


def test_a_run_that_does_not_look_at_the_time_is_ended(lab: Lab, slow: Slow) -> None:
    timed_out(lab, slow.run, "a run hangs beyond the time of the task")

    assert lab.is_over(lab.runs("slow-run")[-1].run_id, TASK_SECONDS + 2 * LOOK_SECONDS)
    ended_at = time.time()
    late = lab.submit_files("slow-run", lab.write("after-slow-run", documents=1))
    case = replace(slow.run, paths=(*slow.run.paths, *late.paths), task_ids=late.task_ids)
    lab.everything_is_well(
        case, "the same, then a task", ended_at, Exceptions(timed_out=["slow-run-0.txt"])
    )


def timed_out(lab: Lab, case: Case, fault: str) -> None:
    """Wait until the only task of a case is, and make sure that this was in time."""
    (task_id,) = case.task_ids
    assert eventually(lambda: task(lab, task_id).started_at is not None, seconds=60)
    deadline = (task(lab, task_id).started_at or 0.0) + TASK_SECONDS
    ended = eventually(lambda: task(lab, task_id).state.final, TASK_SECONDS + 5)
    assert ended, lab.installation.told(task_id)
    (path,) = case.paths
    but = Exceptions(timed_out=[path.name])
    lab.everything_is_well(case, fault, deadline, but)


def task(lab: Lab, task_id: str) -> Task:
    """Return a task as it is."""
    return lab.installation.services.registry.tasks.get(task_id)
