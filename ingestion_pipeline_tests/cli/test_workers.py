"""Workers on the command line: who is at work, and the log of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.heartbeats import Heartbeat
from ingestion_pipeline.tasks.services import Services
from ingestion_pipeline_tests.cli.terminal import said

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder

AT = datetime(2026, 1, 1, 8, 30, tzinfo=UTC)
BEAT = Heartbeat("run:r-1", "10.0.0.7", 77, AT, AT, 3, 4, 5, 1, ("d-1", "d-2"), 9)
WORKER = {
    "name": "run:r-1",
    "ip": "10.0.0.7",
    "pid": 77,
    "boot_at": "2026-01-01T08:30:00.000+00:00",
    "now": "2026-01-01T08:30:00.000+00:00",
    "pending": 3,
    "lag": 4,
    "done": 5,
    "failed": 1,
    "current": ["d-1", "d-2"],
    "memory_bytes": 9,
    "queues": [],
    "slots": 0,
}


@pytest.fixture
def worker(state: Path) -> Iterator[None]:
    with closing(Services(Settings())) as services:
        services.heartbeats.beat(BEAT, 60)
        yield
        services.heartbeats.remove(BEAT.name)


@pytest.mark.usefixtures("worker")
def test_workers_are_listed_with_their_heartbeats() -> None:
    assert said("workers", "--json").json == [WORKER]
    assert said("status", "--json").json["workers"] == [WORKER]
    assert said("workers").out.splitlines()[1].split()[:3] == ["run:r-1", "10.0.0.7", "77"]
    assert "workers    run:r-1\n" in said("status").out


def test_nobody_at_work_is_an_empty_list(state: Path) -> None:
    assert said("workers", "--json").json == []
    assert said("status", "--json").json["workers"] == []
    assert "workers    none at work\n" in said("status").out


def test_redis_being_away_is_an_error_of_workers_and_a_finding_of_status(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_REDIS_URL", "redis://127.0.0.1:1/0")

    assert said("workers", "--json").error.startswith("error: unavailable: Redis does not answer")
    status = said("status", "--json").json
    assert (status["workers"], status["stream"]) == ([], None)


@pytest.mark.parametrize("arguments", [("--help",), ("submit", "--help"), ("status", "--nonesuch")])
def test_asking_for_help_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("INGEST_STATE_DIR", str(tmp_path / "state"))

    said(*arguments)

    assert not (tmp_path / "state").exists()
