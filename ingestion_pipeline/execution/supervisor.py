"""The processes of `ingest up`: embedded Redis, Dagster's webserver and daemon.

Belongs here: starting them, waiting until they serve, stopping them with everything they started.
They listen on loopback or a socket only. Does not belong here: what they do.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError, TransientError
from ingestion_pipeline.execution import guard
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.execution.runs import daemon_is_alive, fail_lost_runs
from ingestion_pipeline.settings import Settings, child_environment, project_dir
from ingestion_pipeline.streams.connection import shown_url
from ingestion_pipeline.streams.embedded import EmbeddedRedis

HOST = "127.0.0.1"
START_SECONDS = 90.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Addresses:
    """Where the running services are."""

    webserver: str
    redis: str
    """Without the password, if the URL has one."""
    logs: Path


@dataclass(frozen=True)
class Service:
    """A started process and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_alive(self) -> None:
        """Raise if the process ended, with the end of its log."""
        code = self.process.poll()
        if code is not None:
            tail = " | ".join(self.log.read_text(errors="replace").splitlines()[-3:])
            raise TransientError(
                ErrorKind.UNAVAILABLE, f"{self.name} ended with {code}; see {self.log}: {tail}"
            )


@contextmanager
def services(settings: Settings, port: int) -> Iterator[tuple[Addresses, list[Service]]]:
    """Start everything, yield when it serves, and stop everything when the block is left.

    Raises:
        PermanentError: of kind ``unavailable`` when services already run on this state folder, or
            the port is taken.
        TransientError: when one of them does not come up, with the end of its log.
    """
    instance = open_instance()
    if daemon_is_alive(instance):
        raise PermanentError(
            ErrorKind.UNAVAILABLE,
            f"a Dagster daemon already works on {settings.state}: stop it, or wait a minute if it "
            "was killed",
        )
    _require_free(port)
    logs = settings.state / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    workspace = str(project_dir() / "workspace.yaml")
    address = f"http://{HOST}:{port}"
    with ExitStack() as stack:
        redis = EmbeddedRedis(settings.state) if settings.redis_url is None else None
        if redis:
            stack.enter_context(redis)
        fail_lost_runs(instance)
        # Runs after the processes were stopped: nobody shall take a stopped daemon for alive.
        stack.callback(instance.wipe_daemon_heartbeats)
        started = [
            stack.enter_context(_process(name, command, settings, logs / f"{name}.log"))
            for name, command in {
                "webserver": ["dagster_webserver", "-w", workspace, "-h", HOST, "-p", str(port)],
                "daemon": ["dagster._daemon", "run", "-w", workspace],
            }.items()
        ]
        stack.callback(_ask_to_end, started, redis)  # all at once; then each is waited for
        _wait_until_serving(address, started)
        webserver_file = _webserver_file(settings)
        webserver_file.write_text(address)
        stack.callback(webserver_file.unlink, missing_ok=True)
        yield Addresses(address, shown_url(settings.redis_address), logs), started


def webserver_answers(settings: Settings) -> bool:
    """Whether the web page that was started on this state folder answers."""
    file = _webserver_file(settings)
    return file.is_file() and _answers(file.read_text())


def wait_for_end(started: Sequence[Service]) -> None:
    """Wait until one of the services ends by itself, which is an error."""
    while True:
        for service in started:
            service.require_alive()
        time.sleep(1)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PermanentError(
                ErrorKind.UNAVAILABLE,
                f"port {port} cannot be used ({error.strerror}): choose another one with --port",
            ) from error


def _webserver_file(settings: Settings) -> Path:
    return settings.state / "webserver.url"


@contextmanager
def _process(name: str, command: Sequence[str], settings: Settings, log: Path) -> Iterator[Service]:
    guarded = [sys.executable, "-I", "-S", guard.__file__, str(STOP_SECONDS)]
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the commands are ours
            [*guarded, sys.executable, "-m", *command],
            cwd=project_dir(),
            env=child_environment(settings),
            stdin=subprocess.PIPE,  # the guard ends the service when this closes
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to handle
        )
    try:
        yield Service(name, process, log)
    finally:
        process.communicate()


def _ask_to_end(started: Sequence[Service], redis: EmbeddedRedis | None) -> None:
    for service in started:
        if service.process.stdin is not None:
            service.process.stdin.close()
    if redis:
        with suppress(IngestError):  # it may be what ended
            redis.release_readers()  # the daemon ends when its sensor's wait for messages does


def _wait_until_serving(address: str, started: Sequence[Service]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (_answers(address) and daemon_is_alive(open_instance())):
        for service in started:
            service.require_alive()
        if time.monotonic() > deadline:
            raise IngestError(
                ErrorKind.UNAVAILABLE,
                f"the services did not come up in {START_SECONDS:g} s; see {started[0].log.parent}",
            )
        time.sleep(POLL_SECONDS)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=2) as reply:  # noqa: S310
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
