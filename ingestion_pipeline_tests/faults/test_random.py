"""Any process is killed at any time, again and again."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline_tests.faults.lab import Case, Lab
from ingestion_pipeline_tests.system.installation import CODE_SERVER, DAEMON, WEBSERVER, WORKER

pytestmark = [
    pytest.mark.xdist_group("system"),
    pytest.mark.soak,
    pytest.mark.timeout(3600),
]

TASKS_PER_KILL = 15
VICTIMS = 4 * ("run", WORKER, CODE_SERVER, DAEMON, WEBSERVER, "redis")
SECONDS_BETWEEN = (3.0, 15.0)
"""Services that end more than five times a minute are given up, and rightly so."""


def test_nothing_is_lost_when_processes_are_killed_at_random(lab: Lab) -> None:
    chance = random.Random(3)
    paths: list[Path] = []
    task_ids: list[str] = []
    lab.installation.ensure_up()
    for number, victim in enumerate(chance.sample(VICTIMS, len(VICTIMS))):
        case = lab.submit_files("random", lab.write(f"random-{number}", TASKS_PER_KILL))
        paths += case.paths
        task_ids += case.task_ids
        time.sleep(chance.uniform(*SECONDS_BETWEEN))
        struck_at = time.time()
        for pid in victims(lab, victim):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    tasks = lab.installation.done(*task_ids, seconds=900)

    # Whoever was there in four kills is taken for the cause, until a person says otherwise.
    put_aside = [task for task in tasks if task.state is TaskState.FAILED]
    assert {task.error.kind for task in put_aside if task.error} <= {"quarantined"}
    lab.installation.client.retry_failed(collection="random")
    lab.everything_is_well(
        Case("random", tuple(paths), tuple(task_ids)),
        f"{len(VICTIMS)} processes killed at random; {len(put_aside)} tasks tried again",
        struck_at,
        seconds=600,
    )
    assert lab.installation.up.poll() is None


def victims(lab: Lab, victim: str) -> list[int]:
    """Return the processes there are of a kind."""
    if victim == "redis":
        with suppress(FileNotFoundError):
            return [lab.installation.redis()]
        return []
    if victim == "run":
        return lab.installation.run_processes()
    return lab.installation.services_like(victim)
