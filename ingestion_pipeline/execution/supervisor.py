"""The processes of `ingest up`: Redis, the code server, Dagster's webserver and daemon, workers.

Belongs here: starting them, waiting until they serve, starting again what ended, stopping them with
everything they started. They listen on loopback or a socket only. Does not belong here: what they
do.

The code server, in whose process group the runs are that no worker takes, is a service of its own.
Left to themselves,
webserver and daemon would start one each, and the daemon would miss a killed one for up to a minute
(35 and 43 s, measured), in which no sensor ticks; one of ours is back in seconds.
"""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError, TransientError
from ingestion_pipeline.execution import guard
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.execution.queues import Queue
from ingestion_pipeline.execution.runs import daemon_is_alive, fail_lost_runs
from ingestion_pipeline.execution.workers import live_workers
from ingestion_pipeline.registry.registry import open_registry
from ingestion_pipeline.settings import Settings, child_environment, project_dir
from ingestion_pipeline.streams.connection import shown_url
from ingestion_pipeline.streams.embedded import EmbeddedRedis

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
START_SECONDS = 90.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.2
LOCATION = "ingestion_pipeline"
"""The code location's name, the same as in ``workspace.yaml``: sensor states hang on it."""
RESTARTS = 5
RESTARTS_WITHIN_SECONDS = 60.0
"""A service that ends more often than ``RESTARTS`` times in this time is given up."""
FIRST_PAUSE_SECONDS = 0.5
"""Before a service is started again; doubled for each start within the time above."""


@dataclass(frozen=True)
class Addresses:
    """Where the running services are."""

    webserver: str
    redis: str
    """Without the password, if the URL has one."""
    logs: Path


class Service(Protocol):
    """What can be started again after it ended."""

    def start(self) -> None:
        """Start it."""

    def failure(self) -> str | None:
        """How it ended, in one line; None while it runs."""


class Process:
    """A service in a process under a guard, with its log."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        settings: Settings,
        before_start: Callable[[], None] | None = None,
    ) -> None:
        self.log = settings.state / "logs" / f"{name}.log"
        self._name = name
        self._command = command
        self._settings = settings
        self._before_start = before_start
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, after what must be done each time before."""
        if self._before_start:
            self._before_start()
        guarded = [sys.executable, "-I", "-S", guard.__file__, str(STOP_SECONDS)]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the commands are ours
                [*guarded, sys.executable, "-m", *self._command],
                cwd=project_dir(),
                env=child_environment(self._settings),
                stdin=subprocess.PIPE,  # the guard ends the service when this closes
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours to handle
            )

    def failure(self) -> str | None:
        """How it ended, with the end of its log; None while it runs."""
        code = self._process.poll() if self._process else None
        if code is None:
            return None
        tail = " | ".join(self.log.read_text(errors="replace").splitlines()[-3:])
        return f"{self._name} ended with {code}; see {self.log}: {tail}"

    def ask_to_end(self) -> None:
        """Ask the process to end, and wait for nothing."""
        if self._process and self._process.stdin:
            self._process.stdin.close()

    def stop(self) -> None:
        """Ask the process to end, and wait until it did."""
        if self._process:
            self._process.communicate()


@contextmanager
def services(
    settings: Settings, port: int, workers: int
) -> Iterator[tuple[Addresses, list[Service]]]:
    """Start everything, yield when it serves, and stop everything when the block is left.

    Raises:
        PermanentError: of kind ``unavailable`` when services already run on this state folder, the
            port is taken, or a newer version of this program wrote the registry.
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
    # Said here, once, not by each service in its log.
    open_registry(settings.database_address).database.dispose()
    (settings.state / "logs").mkdir(parents=True, exist_ok=True)
    address = f"http://{HOST}:{port}"
    redis = EmbeddedRedis(settings.state) if settings.redis_url is None else None
    code_server, *others = _processes(settings, port, workers)
    started: list[Service] = [redis] if redis else []
    with ExitStack() as stack:
        if redis:
            stack.enter_context(redis)
        # Runs after the processes were stopped: nobody shall take a stopped daemon for alive.
        stack.callback(instance.wipe_daemon_heartbeats)
        for process in (code_server, *others):
            stack.callback(process.stop)
        stack.callback(_ask_to_end, (code_server, *others), redis)  # all at once
        for process in (code_server, *others):
            process.start()
            started.append(process)
            if process is code_server:
                _wait(lambda: _connects(_code_socket(settings)), started)
        _wait(
            lambda: (
                _answers(address) and daemon_is_alive(instance) and len(live_workers()) >= workers
            ),
            started,
        )
        webserver_file = _webserver_file(settings)
        webserver_file.write_text(address)
        stack.callback(webserver_file.unlink, missing_ok=True)
        yield (
            Addresses(address, shown_url(settings.redis_address), settings.state / "logs"),
            started,
        )


def webserver_answers(settings: Settings) -> bool:
    """Whether the web page that was started on this state folder answers."""
    file = _webserver_file(settings)
    return file.is_file() and _answers(file.read_text())


def wait_for_end(started: Sequence[Service]) -> None:
    """Start services again that end, each after a growing pause.

    To be called from the thread that called ``services``: Redis ends with the thread it was started
    from.

    Raises:
        TransientError: when a service ends again and again, with how it ended last.
    """
    restarts: dict[Service, list[float]] = {service: [] for service in started}
    while True:
        for service, starts in restarts.items():
            failure = service.failure()
            if failure is not None:
                _start_again(service, failure, starts)
        time.sleep(POLL_SECONDS)


def _start_again(service: Service, failure: str, starts: list[float]) -> None:
    """Start a service that ended; ``starts`` holds when that was done before."""
    starts[:] = [at for at in starts if time.monotonic() - at < RESTARTS_WITHIN_SECONDS]
    if len(starts) == RESTARTS:
        raise TransientError(ErrorKind.UNAVAILABLE, failure)
    pause = FIRST_PAUSE_SECONDS * 2 ** len(starts)
    logger.warning("starting again in %g s what ended: %s", pause, failure)
    time.sleep(pause)
    service.start()
    starts.append(time.monotonic())


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


def _code_socket(settings: Settings) -> Path:
    return settings.state / "code.sock"


def _processes(settings: Settings, port: int, workers: int) -> tuple[Process, ...]:
    """Return Dagster's services and workers, in the order in which they are to be started."""
    code_socket = str(_code_socket(settings))
    workspace = settings.state / "workspace.yaml"
    server = {"socket": code_socket, "location_name": LOCATION}
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # YAML as well
    options = ["-w", str(workspace)]
    worker = ["ingestion_pipeline.execution.worker", ",".join(Queue)]
    definitions = ["-m", "ingestion_pipeline.definitions", "--location-name", LOCATION]
    return (
        Process(
            "code-server",
            ["dagster", "api", "grpc", "--socket", code_socket, *definitions],
            settings,
            # What it has started ends with the code server, and only it would have noticed.
            before_start=lambda: fail_lost_runs(open_instance()),
        ),
        Process(
            "webserver", ["dagster_webserver", *options, "-h", HOST, "-p", str(port)], settings
        ),
        Process("daemon", ["dagster._daemon", "run", *options], settings),
        *(
            Process(f"worker-{number}", [*worker, str(settings.worker_concurrency)], settings)
            for number in range(1, workers + 1)
        ),
    )


def _ask_to_end(processes: Sequence[Process], redis: EmbeddedRedis | None) -> None:
    for process in processes:
        process.ask_to_end()
    if redis:
        with suppress(IngestError):  # it may be what ended
            redis.release_readers()  # a sensor that waits for messages holds up the code server


def _wait(serving: Callable[[], bool], started: Sequence[Service]) -> None:
    """Wait until what was started serves.

    Raises:
        TransientError: when something ended instead, or takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while not serving():
        for service in started:
            failure = service.failure()
            if failure is not None:
                raise TransientError(ErrorKind.UNAVAILABLE, failure)
        if time.monotonic() > deadline:
            raise TransientError(
                ErrorKind.UNAVAILABLE,
                f"the services did not come up in {START_SECONDS:g} s; see their logs",
            )
        time.sleep(POLL_SECONDS)


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=2) as reply:  # noqa: S310
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
