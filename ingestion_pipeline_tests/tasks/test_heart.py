"""The heart beats beside the work, whatever the work or Redis does."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from ingestion_pipeline.model.tasks import Backend, Priority
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.heartbeats import Heartbeat
from ingestion_pipeline.tasks.heart import Heart, worker_name
from ingestion_pipeline.tasks.services import Services

TIMEOUT_SECONDS = 0.8


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    quick = settings.model_copy(update={"worker_heartbeat_timeout": TIMEOUT_SECONDS})
    with closing(Services(quick)) as opened:
        yield opened


def beats(services: Services, expected: Callable[[list[Heartbeat]], bool]) -> list[Heartbeat]:
    """Wait until what is known of the workers is as expected."""
    deadline = time.monotonic() + 10
    while not expected(found := services.heartbeats.all()):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def test_a_worker_says_who_it_is_and_what_it_does(services: Services) -> None:
    services.streams.ensure_groups()
    for _ in range(3):
        services.streams.publish(["{}"], Priority.NORMAL)
    services.streams.read(count=1, block_seconds=0)
    began = datetime.now(UTC)

    with Heart(services, "run:r-1") as heart:
        heart.current(["d-1", "d-2"])
        heart.done(2)
        heart.done(1)
        heart.failed(1)
        (beat,) = beats(services, lambda found: [each.done for each in found] == [3])

    assert (beat.name, beat.pid, beat.failed) == ("run:r-1", os.getpid(), 1)
    assert beat.current == ("d-1", "d-2")
    assert (beat.pending, beat.lag) == (1, 2)
    assert beat.ip.count(".") == 3
    assert abs((beat.boot_at - began).total_seconds()) < 1
    assert began < beat.now < datetime.now(UTC)


def test_it_beats_while_the_work_says_nothing(services: Services) -> None:
    with Heart(services, "run:r-1"):
        first = beats(services, bool)[0].now
        beats(services, lambda found: (found[0].now - first).total_seconds() > TIMEOUT_SECONDS)


def test_who_leaves_is_gone_at_once(services: Services) -> None:
    with Heart(services, "run:r-1"), Heart(services, "run:r-2"):
        beats(services, lambda found: len(found) == 2)

    assert services.heartbeats.all() == []


WORKER = """
import sys, time
from pathlib import Path
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.heart import Heart
from ingestion_pipeline.tasks.services import Services

settings = Settings(
    state_dir=Path(sys.argv[1]), redis_url=sys.argv[2], worker_heartbeat_timeout=float(sys.argv[3])
)
with Heart(Services(settings), "run:killed"):
    time.sleep(60)
"""


def test_a_killed_process_is_gone_after_its_timeout(services: Services) -> None:
    settings = services.settings
    arguments = (str(settings.state), str(settings.redis_url), str(TIMEOUT_SECONDS))
    worker = subprocess.Popen([sys.executable, "-c", WORKER, *arguments])
    try:
        (beat,) = beats(services, bool)
        assert beat.pid == worker.pid
    finally:
        worker.kill()
        worker.wait()
    killed_at = time.monotonic()

    beats(services, lambda found: not found)

    assert time.monotonic() - killed_at < TIMEOUT_SECONDS + 0.5


def test_redis_being_away_is_told_once_and_disturbs_nothing(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    away = settings.model_copy(
        update={"redis_url": "redis://127.0.0.1:1/0", "worker_heartbeat_timeout": 0.04}
    )
    began = time.monotonic()
    with Heart(Services(away), "run:r-1") as heart:
        heart.done(1)
        assert time.monotonic() - began < 0.5
        while not caplog.records:
            time.sleep(0.02)
        time.sleep(0.2)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage().partition(":")[0] for record in told] == [
        "no heartbeat can be sent; the work goes on"
    ]


def test_a_worker_is_named_after_its_run_or_its_process() -> None:
    assert worker_name(Backend.DAGSTER, "r-1") == "run:r-1"
    assert worker_name(Backend.IN_PROCESS, "r-1").startswith("cli:")
    assert worker_name(Backend.IN_PROCESS, "r-1").endswith(f":{os.getpid()}")
