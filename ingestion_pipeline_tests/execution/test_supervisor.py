"""What the supervisor refuses and when it gives up; with real services: ``system``, ``faults``."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._daemon.types import DaemonHeartbeat

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.execution import supervisor
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.execution.supervisor import (
    RESTARTS,
    Process,
    services,
    wait_for_end,
    webserver_answers,
)
from ingestion_pipeline.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("INGEST_STATE_DIR", str(tmp_path))
    open_instance.cache_clear()
    yield Settings()
    open_instance.cache_clear()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_that_is_taken_is_named_before_anything_starts(
    settings: Settings, taken: int
) -> None:
    with (
        pytest.raises(PermanentError, match=f"port {taken} cannot be used") as refused,
        services(settings, taken, workers=1),
    ):
        pass

    assert refused.value.kind is ErrorKind.UNAVAILABLE
    assert not settings.redis_socket.exists()


def test_while_a_daemon_works_on_the_folder_no_second_one_starts(
    settings: Settings, taken: int
) -> None:
    open_instance().add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "d-1"))

    with (
        pytest.raises(PermanentError, match="a Dagster daemon already works on"),
        services(settings, taken, workers=1),
    ):
        pass


def test_how_a_process_ended_is_told_with_its_last_words(settings: Settings) -> None:
    (settings.state / "logs").mkdir()
    said: list[str] = []
    process = Process("daemon", ["no_such_module"], settings, lambda: said.append("before"))
    assert process.failure() is None

    process.start()
    while (failure := process.failure()) is None:
        time.sleep(0.01)
    process.stop()

    assert said == ["before"]
    assert failure.startswith("daemon ended with 1; see ")
    assert failure.endswith("No module named no_such_module")


class Flickering:
    """A service that ends each time it is started, so many times."""

    def __init__(self, ends: int) -> None:
        self.ends = ends
        self.starts = 0

    def start(self) -> None:
        self.starts += 1

    def failure(self) -> str | None:
        if self.starts < self.ends:
            return f"it ended {self.starts + 1} times"
        raise KeyboardInterrupt


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.001)


def test_a_service_that_ends_is_started_again_and_that_is_told(
    quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    steady = Flickering(ends=0)
    steady.failure = lambda: None  # type: ignore[method-assign]
    service = Flickering(ends=RESTARTS)

    with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
        wait_for_end([steady, service])

    assert (steady.starts, service.starts) == (0, RESTARTS)
    assert len(caplog.messages) == RESTARTS
    assert caplog.messages[-1].endswith(f"it ended {RESTARTS} times")


def test_a_service_that_ends_again_and_again_is_given_up_with_its_last_words(quick: None) -> None:
    service = Flickering(ends=100)

    with pytest.raises(TransientError, match=f"it ended {RESTARTS + 1} times") as given_up:
        wait_for_end([service])

    assert given_up.value.kind is ErrorKind.UNAVAILABLE
    assert service.starts == RESTARTS


def test_a_service_that_ends_now_and_then_is_always_started_again(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTARTS_WITHIN_SECONDS", 0)
    service = Flickering(ends=3 * RESTARTS)

    with pytest.raises(KeyboardInterrupt):
        wait_for_end([service])

    assert service.starts == 3 * RESTARTS


def test_a_webserver_that_was_killed_does_not_answer(settings: Settings) -> None:
    assert not webserver_answers(settings)
    (settings.state / "webserver.url").write_text("http://127.0.0.1:9")

    assert not webserver_answers(settings)
