"""The instance that ``dagster.yaml`` describes: what others rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.run_coordinator import QueuedRunCoordinator

from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.settings import dagster_home, project_dir


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another folder to start from, with a state folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("INGEST_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def instance(elsewhere: Path) -> Iterator[dg.DagsterInstance]:
    open_instance.cache_clear()
    with open_instance() as instance:
        yield instance
    open_instance.cache_clear()


def test_the_file_is_found_from_any_folder(elsewhere: Path) -> None:
    assert dagster_home() == project_dir() == Path(__file__).resolve().parents[2]


def test_everything_a_run_leaves_is_under_the_state_folder(
    instance: dg.DagsterInstance, elsewhere: Path
) -> None:
    @dg.asset
    def something() -> int:
        print("a line for the compute log")  # noqa: T201
        return 1

    assert dg.materialize([something], instance=instance).success

    assert [path.name for path in elsewhere.iterdir()] == ["state"]
    dagster = elsewhere / "state" / "dagster"
    assert {path.name for path in dagster.iterdir()} == {"artifacts", "compute_logs", "history"}
    assert any("a line for" in path.read_text() for path in dagster.glob("compute_logs/**/*.out"))


def test_a_relative_state_folder_starts_at_the_project(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingestion_pipeline.settings import Settings

    monkeypatch.setenv("INGEST_STATE_DIR", "data/other")

    assert Settings().state == project_dir() / "data" / "other"


def test_nothing_is_sent_to_anyone(instance: dg.DagsterInstance) -> None:
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled


def test_runs_wait_in_a_queue_and_two_run_at_a_time(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 2


def test_lost_runs_are_noticed_and_never_resumed(instance: dg.DagsterInstance) -> None:
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_resume_run_attempts == 0
    assert instance.run_monitoring_start_timeout_seconds == 90
    assert instance.run_monitoring_cancel_timeout_seconds == 60
    assert instance.run_monitoring_max_runtime_seconds == 10800
    assert instance.get_settings("run_monitoring")["free_slots_after_run_end_seconds"] == 60


def test_a_crashed_run_is_retried_but_not_one_whose_step_failed(
    instance: dg.DagsterInstance,
) -> None:
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 2
    assert not instance.run_retries_retry_on_asset_or_op_failure


def test_a_waiting_sensor_does_not_hold_up_the_others(instance: dg.DagsterInstance) -> None:
    for daemon in ("sensors", "schedules", "backfills"):
        assert instance.get_settings(daemon)["use_threads"] is True


def test_our_log_lines_are_managed_and_never_the_root_loggers(
    instance: dg.DagsterInstance,
) -> None:
    assert instance.managed_python_loggers == ["ingestion_pipeline"]
