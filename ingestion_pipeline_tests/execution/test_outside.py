"""What a process that is none of Dagster's learns of it, and when it need not import it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.execution.outside import (
    DATABASE,
    SILENCE_SECONDS,
    STORAGE,
    OutsideRuns,
    carries_tasks_out,
)
from ingestion_pipeline.execution.state_folder import StateFolderStorage
from ingestion_pipeline.tasks.reconciliation import Standing
from ingestion_pipeline_tests.execution.runs import record_run

ASKED = """
import sys
from ingestion_pipeline.execution.outside import carries_tasks_out
print(carries_tasks_out(), "dagster" in sys.modules)
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of an installation that nothing ever ran on."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("INGEST_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def instance(state: Path) -> Iterator[dg.DagsterInstance]:
    open_instance.cache_clear()
    with open_instance() as instance:
        yield instance
    open_instance.cache_clear()


def asked() -> list[str]:
    """Return what a new process is told, and whether it imported Dagster for that."""
    command = [sys.executable, "-c", ASKED]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_where_no_daemon_ever_ran_dagster_is_not_imported(state: Path) -> None:
    assert asked() == ["False", "False"]


def test_a_daemon_that_beats_is_noticed(instance: dg.DagsterInstance) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "d-1"))

    assert asked() == ["True", "True"]


def test_files_that_nobody_writes_say_that_no_daemon_lives(
    instance: dg.DagsterInstance, state: Path
) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "d-1"))
    written = list(state.glob(DATABASE))
    long_ago = time.time() - SILENCE_SECONDS - 10
    for path in written:
        os.utime(path, (long_ago, long_ago))

    assert written
    assert asked() == ["False", "False"]


def test_with_another_storage_dagster_itself_is_asked(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    open_instance.cache_clear()
    with open_instance() as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "d-1"))
    open_instance.cache_clear()

    assert asked() == ["True", "True"]


def test_the_storage_is_called_what_it_is() -> None:
    assert StateFolderStorage.__name__ == STORAGE


def test_of_runs_that_there_are_dagster_is_asked(instance: dg.DagsterInstance) -> None:
    run = record_run(instance, dg.DagsterRunStatus.STARTED)

    assert carries_tasks_out() is False
    assert OutsideRuns().standings([]) == {}
    assert OutsideRuns().standings([run.run_id]) == {run.run_id: Standing.ACTIVE}
    OutsideRuns().report_stopped(run.run_id, "silent")
    assert OutsideRuns().standings([run.run_id]) == {run.run_id: Standing.ENDED}
