"""Runs are terminated as the web page does it: who did that wants their tasks to end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pytest

from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline_tests.faults.faults import Action, Point
from ingestion_pipeline_tests.faults.lab import Case, Exceptions, Lab, long_text
from ingestion_pipeline_tests.system.installation import eventually

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

TERMINATE = """
mutation($runId: String!, $policy: TerminateRunPolicy) {
    terminateRun(runId: $runId, terminatePolicy: $policy) {
        __typename
        ... on PythonError { message }
        ... on TerminateRunFailure { message }
    }
}
"""
WHILE = {
    "ended-parsing": "while a parser hangs",
    "ended-commit": "between the last check and the index commit",
    "ended-embedding": "while it embeds",
}


QUEUED = dg.DagsterRunStatus.QUEUED
CANCELED = dg.DagsterRunStatus.CANCELED


@dataclass(frozen=True)
class AtWork:
    """Collections with a run each, of which two work at a time."""

    cases: dict[str, Case]
    queued: str
    """The run of ``ended-queued``, terminated while it was in the queue."""
    at: float
    """When it was."""


@pytest.fixture(scope="module")
def at_work(lab: Lab) -> Iterator[AtWork]:
    lab.faults.arm(Point.PARSING, Action.HOLD, "ended-parsing-0")
    lab.faults.arm(Point.CHECKED, Action.HOLD, "ended-commit-0")
    lab.faults.arm(Point.EMBEDDED, Action.PASS, "ended-embedding-0")
    lab.faults.arm(Point.CHECKED, Action.DEAF, "ended-marked-0")
    cases = {name: lab.submit(name) for name in ("ended-parsing", "ended-commit")}
    for name in cases:
        lab.faults.strike(f"{name}-0", seconds=90)
    cases |= {name: lab.submit(name) for name in ("ended-queued", "ended-marked")}
    paths = lab.write("ended-embedding")
    paths[0].write_text(long_text())
    cases["ended-embedding"] = lab.submit_files("ended-embedding", paths)
    assert eventually(lambda: [run.status for run in lab.runs("ended-queued")] == [QUEUED], 60)
    (run,) = lab.runs("ended-queued")
    at = time.time()
    terminate(lab, run.run_id)
    yield AtWork(cases, run.run_id, at)
    lab.faults.disarm()


@pytest.mark.parametrize("name", WHILE)
def test_the_tasks_of_a_terminated_run_are_canceled(lab: Lab, at_work: AtWork, name: str) -> None:
    case = at_work.cases[name]
    strike = lab.faults.strike(f"{name}-0", seconds=90)
    time.sleep(lab.loading_seconds)
    (run,) = lab.runs(name)

    at = time.time()
    terminate(lab, run.run_id)
    assert lab.is_over(run.run_id)
    assert strike.pid in lab.installation.run_processes() or lab.is_gone(strike.pid)
    lab.stopped(f"run terminated {WHILE[name]}", at)

    canceled(lab, case, f"run terminated {WHILE[name]}", at)


def test_a_run_that_is_marked_as_canceled_and_goes_on_makes_no_success(
    lab: Lab, at_work: AtWork
) -> None:
    case = at_work.cases["ended-marked"]
    strike = lab.faults.strike("ended-marked-0", seconds=90)
    (run,) = lab.runs("ended-marked")

    at = time.time()
    terminate(lab, run.run_id, policy="MARK_AS_CANCELED_IMMEDIATELY")
    assert eventually(lambda: all_canceled(lab, case), seconds=20)  # by reconciliation
    strike.release()
    assert lab.is_over(run.run_id)

    canceled(lab, case, "run marked as canceled that cannot be interrupted, and commits", at)


def test_what_a_run_was_for_that_was_terminated_in_the_queue_another_one_does(
    lab: Lab, at_work: AtWork
) -> None:
    lab.everything_is_well(
        at_work.cases["ended-queued"], "run terminated while in the queue", at_work.at
    )

    (last, first) = lab.runs("ended-queued")
    assert (first.run_id, first.status) == (at_work.queued, CANCELED)
    assert last.status is not CANCELED


def canceled(lab: Lab, case: Case, fault: str, at: float) -> None:
    """Make sure that all tasks of a case are canceled, and that nothing comes of them."""
    lab.everything_is_well(case, fault, at, Exceptions(canceled=[path.name for path in case.paths]))


def all_canceled(lab: Lab, case: Case) -> bool:
    """Whether the tasks of a case are."""
    states = lab.installation.services.registry.tasks.states(case.task_ids)
    return set(states.values()) == {TaskState.CANCELED}


def terminate(lab: Lab, run_id: str, policy: str = "SAFE_TERMINATE") -> None:
    """Do what the web page does."""
    reply = lab.installation.graphql(TERMINATE, runId=run_id, policy=policy)
    assert reply["terminateRun"]["__typename"] == "TerminateRunSuccess", reply
