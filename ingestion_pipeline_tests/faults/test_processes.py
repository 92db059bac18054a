"""Runs that have processes of their own, as there is no worker: these are killed or stopped.

The long variant: ``system.test_workers`` has one of them.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from ingestion_pipeline_tests.faults.faults import Action, Point
from ingestion_pipeline_tests.faults.lab import Case, Lab
from ingestion_pipeline_tests.system.installation import CODE_SERVER, eventually

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

FAULTS = {
    Action.KILL: "run in a process of its own killed at the entry of the stage embedded",
    Action.STOP: "run in a process of its own stopped at the entry of the stage embedded",
}


@pytest.fixture(scope="module")
def without_workers(lab: Lab) -> Iterator[Lab]:
    lab.installation.ensure_up()
    assert lab.installation.stop() == 0
    lab.installation.workers = 0
    lab.installation.ensure_up()
    yield lab
    lab.faults.disarm()
    assert lab.installation.stop() == 0
    lab.installation.workers = 1


@pytest.fixture(scope="module")
def struck(without_workers: Lab) -> dict[Action, Case]:
    """A collection for each fault, at once."""
    cases = {}
    for action in FAULTS:
        without_workers.faults.arm(Point.EMBEDDED, action, f"process-{action}")
        cases[action] = without_workers.submit(f"process-{action}")
    return cases


@pytest.mark.parametrize("action", FAULTS)
def test_a_run_in_a_process_of_its_own_is_made_good(
    without_workers: Lab, struck: dict[Action, Case], action: Action
) -> None:
    lab, case = without_workers, struck[action]
    strike = lab.faults.strike(case.name, seconds=90)

    lab.everything_is_well(case, FAULTS[action], strike.at)

    assert lab.is_gone(strike.pid)


def test_after_the_code_server_was_killed_its_runs_are_made_good(without_workers: Lab) -> None:
    lab = without_workers
    lab.faults.arm(Point.EMBEDDED, Action.HOLD, "of-code-server")
    case = lab.submit("of-code-server")
    held = lab.faults.strike("of-code-server", seconds=90)

    os.kill(lab.installation.service(CODE_SERVER), signal.SIGKILL)
    struck_at = time.time()

    assert eventually(lambda: held.pid not in lab.installation.processes(), seconds=10)
    lab.everything_is_well(case, "code server killed, and with it the run", struck_at)
