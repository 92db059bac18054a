"""Runs of one collection at the same time: they share what waits, and nothing is done twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.settings import Settings, project_dir
from ingestion_pipeline_tests.pipeline.lab import CHECKS, Lab

DOCUMENTS = 40


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"doc_bulk_size": 4})


def test_two_runs_at_once_share_the_backlog(lab: Lab, settings: Settings) -> None:
    lab.submit(
        *(lab.write(f"{number:02}.txt", f"Number {number}.") for number in range(DOCUMENTS))
    )
    runs = [_started(settings) for _ in range(2)]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"

    shares = []
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    for run in runs:
        documents, success = run.communicate(timeout=120)[0].split()
        assert success == "True"
        shares.append(int(documents))

    assert sum(shares) == DOCUMENTS
    assert all(shares), "each of them took a part"
    assert lab.indexed() == {f"{number:02}.txt": 1 for number in range(DOCUMENTS)}
    for task in lab.services.registry.tasks.find():
        assert (task.state, task.attempts) == (TaskState.SUCCEEDED, 1)
    checks = lab.run().checks
    assert {name: check.passed for name, check in checks.items()} == dict.fromkeys(CHECKS, True)


def _started(settings: Settings) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("run_once.py")
    return subprocess.Popen(
        [sys.executable, str(script), settings.model_dump_json(), "papers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PYTHONPATH": str(project_dir())},
    )
