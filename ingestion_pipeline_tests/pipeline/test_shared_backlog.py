"""Runs of one collection at the same time: they share what waits, and nothing is done twice."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.settings import Settings, project_dir
from ingestion_pipeline_tests.pipeline.lab import CHECKS, Lab

DOCUMENTS = 80


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"doc_bulk_size": 4})


def test_two_runs_at_once_share_the_backlog(lab: Lab, settings: Settings) -> None:
    lab.submit(*(lab.write(f"{number:02}.txt", f"Number {number}.") for number in range(DOCUMENTS)))
    said = _run_at_once(settings, 2)

    shares = [int(line.split()[0]) for line in said]
    assert [line.split()[1] for line in said] == ["True", "True"]
    assert sum(shares) == DOCUMENTS
    assert all(shares), "each of them took a part"
    assert lab.indexed() == {f"{number:02}.txt": 1 for number in range(DOCUMENTS)}
    for task in lab.services.registry.tasks.find():
        assert (task.state, task.attempts) == (TaskState.SUCCEEDED, 1)
    checks = lab.run().checks
    assert {name: check.passed for name, check in checks.items()} == dict.fromkeys(CHECKS, True)


def _run_at_once(settings: Settings, number: int) -> list[str]:
    """Start so many processes, let all of them go when all are ready; return what they print."""
    script = Path(__file__).with_name("run_once.py")
    with ExitStack() as stack:
        runs = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(script), settings.model_dump_json(), "papers"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env=os.environ | {"PYTHONPATH": str(project_dir())},
                )
            )
            for _ in range(number)
        ]
        for run in runs:
            assert run.stdout is not None
            assert run.stdout.readline() == "ready\n"
        for run in runs:
            assert run.stdin is not None
            run.stdin.write("go\n")
            run.stdin.flush()
        return [run.communicate(timeout=120)[0] for run in runs]
