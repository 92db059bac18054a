from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest

from ingestion_pipeline.execution.executor import beating
from ingestion_pipeline.execution.signals import run_signals
from ingestion_pipeline.tasks.process import own_identity
from ingestion_pipeline_tests.execution.jobs import listening_job
from ingestion_pipeline_tests.system.installation import eventually


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_a_run_beats_while_it_is_at_work_and_is_forgotten_then(
    instance: dg.DagsterInstance, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_REDIS_URL", redis_url)

    with dg.execute_job(dg.reconstructable(listening_job), instance) as result:
        assert result.success
        assert result.output_for_node("listen") == own_identity()

    assert run_signals().silence(result.run_id) is None


def test_a_run_that_fails_is_forgotten_too(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_REDIS_URL", redis_url)

    with suppress(KeyError), beating("r-1"):
        assert eventually(lambda: run_signals().silence("r-1") is not None, seconds=5)
        raise KeyError

    assert run_signals().silence("r-1") is None


def test_that_redis_is_away_stops_no_run_and_is_said_once(
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("INGEST_REDIS_URL", f"unix://{tmp_path / 'redis.sock'}")
    monkeypatch.setattr("ingestion_pipeline.execution.executor.BEAT_SECONDS", 0.01)

    with caplog.at_level(logging.WARNING, "ingestion_pipeline"):
        with beating("r-1"):
            assert eventually(lambda: bool(caplog.messages), seconds=10)
        with dg.execute_job(dg.reconstructable(listening_job), instance) as result:
            assert result.success
            assert result.output_for_node("listen") == "nobody"

    assert all("no heartbeat of the run can be sent" in line for line in caplog.messages)
    assert len(caplog.messages) <= 2
