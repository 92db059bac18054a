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
from ingestion_pipeline.tasks.generations import configure
from ingestion_pipeline_tests.faults.faults import Action, Point
from ingestion_pipeline_tests.faults.lab import Case, Lab
from ingestion_pipeline_tests.system.installation import (
    CODE_SERVER,
    DAEMON,
    WEBSERVER,
    WORKER,
    eventually,
)

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.soak, pytest.mark.timeout(3600)]

TASKS_PER_KILL = 15
VICTIMS = 4 * ("run", WORKER, CODE_SERVER, DAEMON, WEBSERVER, "redis")
SECONDS_BETWEEN = (3.0, 15.0)
"""Services that end more than five times a minute are given up, and rightly so."""
OTHER = "other"
MODELS = {len(VICTIMS) // 3: OTHER, 2 * len(VICTIMS) // 3: None}
"""Which embedding model the collection gets in the course of it, and before which victim."""


def test_nothing_is_lost_when_processes_are_killed_at_random(lab: Lab) -> None:
    chance = random.Random(3)
    paths: list[Path] = []
    task_ids: list[str] = []
    changes: list[str] = []
    lab.installation.ensure_up()
    for number, victim in enumerate(chance.sample(VICTIMS, len(VICTIMS))):
        if number in MODELS:
            changes.append(changed_model(lab, "random", MODELS[number]))
        case = lab.submit_files("random", lab.write(f"random-{number}", TASKS_PER_KILL))
        paths += case.paths
        task_ids += case.task_ids
        time.sleep(chance.uniform(*SECONDS_BETWEEN))
        struck_at = time.time()
        for pid in victims(lab, victim):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    tasks = lab.installation.done(*task_ids, *changes, seconds=900)[: len(task_ids)]

    # Whoever was there in four kills is taken for the cause, until a person says otherwise.
    put_aside = [task for task in tasks if task.state is TaskState.FAILED]
    assert {task.error.kind for task in put_aside if task.error} <= {"quarantined"}
    lab.installation.client.retry_failed(collection="random")
    lab.clean.build("random", paths)
    for model in MODELS.values():
        lab.clean.change_model("random", model)
    lab.everything_is_well(
        Case("random", tuple(paths), tuple(task_ids)),
        f"{len(VICTIMS)} processes killed at random; {len(put_aside)} tasks tried again",
        struck_at,
        seconds=600,
    )
    assert lab.installation.up.poll() is None
    assert is_searched_with(lab, "random", MODELS[max(MODELS)])


def test_a_change_of_the_model_outlives_the_death_of_those_who_make_it(lab: Lab) -> None:
    case = lab.submit("changed", documents=12)
    lab.installation.done(*case.task_ids)
    lab.faults.arm(Point.CHECKED, Action.KILL, "changed-3")  # before the first commit beside
    change = changed_model(lab, "changed", OTHER)
    struck = lab.faults.strike("changed-3")
    for pid in victims(lab, DAEMON):
        os.kill(pid, signal.SIGKILL)
    added = lab.submit_more(case, "changed-late", documents=3)
    lab.clean.build("changed", added.paths)
    lab.clean.change_model("changed", OTHER)

    lab.everything_is_well(
        added, "the model is changed; a run and the daemon killed", struck.at, seconds=200
    )

    lab.installation.done(change)
    assert is_searched_with(lab, "changed", OTHER)
    found = lab.rows("changed")
    lab.installation.client.roll_back(collection="changed")
    lab.installation.done(lab.installation.client.reindex(collection="changed").task_id)
    assert eventually(lambda: not is_searched_with(lab, "changed", OTHER), seconds=60)
    assert lab.rows("changed") == found


def changed_model(lab: Lab, collection: str, model: str | None) -> str:
    """Have a collection searched with another model as soon as that is filled; return the task."""
    configure(lab.installation.services, collection, {"embedding_model": model})
    return lab.installation.client.reindex(collection=collection).task_id


def is_searched_with(lab: Lab, collection: str, model: str | None) -> bool:
    """Whether readers find what is made with a model, all of it."""
    services = lab.installation.services
    found = services.registry.collections.get(collection)
    return found.searched_model == (model or services.settings.embedding_model)


def victims(lab: Lab, victim: str) -> list[int]:
    """Return the processes there are of a kind."""
    if victim == "redis":
        with suppress(FileNotFoundError):
            return [lab.installation.redis()]
        return []
    if victim == "run":
        return lab.installation.run_processes()
    return lab.installation.services_like(victim)
