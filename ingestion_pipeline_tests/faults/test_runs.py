"""The process of a run is killed, or stopped and comes back: at each stage, at each commit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline_tests.faults.conftest import POISON
from ingestion_pipeline_tests.faults.faults import Action, Point
from ingestion_pipeline_tests.faults.lab import Case, Exceptions, Lab
from ingestion_pipeline_tests.system.installation import eventually

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

KILLED_AT = {
    Point.SOURCED: "at the entry of the stage sourced",
    Point.PARSED: "at the entry of the stage parsed",
    Point.CHUNKED: "at the entry of the stage chunked",
    Point.EMBEDDED: "at the entry of the stage embedded",
    Point.INDEXED: "at the entry of the stage indexed",
    Point.CHECKED: "between the last check and LanceDB's commit",
    Point.RECORDED: "between LanceDB's commit and the registry's",
}


@pytest.fixture(scope="module")
def killed(lab: Lab, poisoned: Case) -> dict[Point, Case]:
    """A collection for each point, all at once, as each alone would mostly wait."""
    for point in KILLED_AT:
        lab.faults.arm(point, Action.KILL, f"killed-{point}")
    return {point: lab.submit(f"killed-{point}") for point in KILLED_AT}


@pytest.fixture(scope="module")
def stopped(lab: Lab, killed: dict[Point, Case]) -> Case:
    """A collection whose run is stopped, and is of this machine."""
    lab.faults.arm(Point.CHECKED, Action.STOP, "stopped")
    return lab.submit("stopped")


@pytest.fixture(scope="module")
def belated(lab: Lab, killed: dict[Point, Case]) -> Iterator[Case]:
    """One whose run is stopped, and says that it is of another machine."""
    lab.faults.arm(Point.BEGUN, Action.ELSEWHERE, "belated")
    lab.faults.arm(Point.CHECKED, Action.STOP, "belated-0")
    yield lab.submit("belated", documents=1)
    for strike in lab.faults.strikes("belated-0"):
        with suppress(ProcessLookupError):
            strike.proceed()  # a stopped process holds up the end of everything


@pytest.mark.parametrize("point", KILLED_AT)
def test_a_run_that_is_killed_is_made_good(
    lab: Lab, killed: dict[Point, Case], stopped: Case, belated: Case, point: Point
) -> None:
    case = killed[point]
    strike = lab.faults.strike(case.name, seconds=120)

    lab.everything_is_well(case, f"run killed {KILLED_AT[point]}", strike.at)

    assert len(lab.faults.strikes(case.name)) == 1


def test_a_document_that_kills_its_process_each_time_is_put_aside_alone(
    lab: Lab, poisoned: Case
) -> None:
    strike = lab.faults.strike(POISON, seconds=120)

    tasks = lab.everything_is_well(
        poisoned,
        "a document that kills its process each time",
        strike.at,
        Exceptions(failed=[POISON]),
    )

    (failed,) = (task for task in tasks if task.state is TaskState.FAILED)
    assert failed.error is not None
    assert failed.error.kind == "quarantined"
    # Three runs with its neighbours, then one alone.
    assert len(lab.faults.strikes(POISON)) == 4


def test_a_stopped_run_is_killed_and_its_successor_goes_on(lab: Lab, stopped: Case) -> None:
    strike = lab.faults.strike("stopped")

    lab.everything_is_well(
        stopped, "run stopped between the last check and LanceDB's commit", strike.at
    )

    assert lab.is_gone(strike.pid)


def test_what_a_run_commits_after_it_was_declared_dead_is_repaired(lab: Lab, belated: Case) -> None:
    """Nobody here could kill it: it commits an older version than the one that is published."""
    strike = lab.faults.strike("belated-0")
    paths = belated.paths
    lab.clean.build("belated", paths)  # what is stored of this version stays there
    lab.rewrite(paths)
    second = lab.submit_files("belated", paths)
    lab.installation.done(*belated.task_ids, *second.task_ids)
    published = lab.rows("belated")
    lab.faults.arm(Point.RECORDED, Action.HOLD, "belated-0")

    strike.proceed()

    assert eventually(lambda: lab.rows("belated") != published, seconds=10)
    committed_at = time.time()
    assert eventually(lambda: lab.rows("belated") == published, seconds=60)
    repaired_at = time.time()
    lab.faults.strikes("belated-0")[-1].release()
    case = replace(second, task_ids=(*belated.task_ids, *second.task_ids))
    lab.everything_is_well(
        case, "the same on another machine, continued: a late commit", committed_at, at=repaired_at
    )
    assert lab.is_over(lab.runs("belated")[-1].run_id)
