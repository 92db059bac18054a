"""What the supervisor refuses before it starts anything; the rest is in ``system``."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._daemon.types import DaemonHeartbeat

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.execution.supervisor import Service, services, webserver_answers
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
        services(settings, taken),
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
        services(settings, taken),
    ):
        pass


def test_a_service_that_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_text("one\ntwo\nthree\nno more memory\n")
    process = subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(7)"])
    process.wait()

    with pytest.raises(TransientError, match=r"daemon ended with 7; see .*no more memory"):
        Service("daemon", process, log).require_alive()


def test_a_webserver_that_was_killed_does_not_answer(settings: Settings) -> None:
    assert not webserver_answers(settings)
    (settings.state / "webserver.url").write_text("http://127.0.0.1:9")

    assert not webserver_answers(settings)
