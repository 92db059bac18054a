"""A worker: processes that stay warm and carry out one run after the other.

Belongs here: the life of a worker, from its start to a shutdown that gives back what it cannot
finish. Does not belong here: who gets a run (``launcher``), what a run does. Dagster's definitions
are imported before the processes are forked, so that these share them; connections, LanceDB and the
embedding model are opened after, by the first run that needs them, and kept.

Run as a script with the queues and the number of processes, or by ``ingest worker``.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import celery.platforms
from billiard.exceptions import WorkerLostError
from celery import signals as celery_signals
from celery.worker import state
from celery.worker.request import Request
from dagster import DagsterRunStatus
from dagster._cli.api import _execute_run_command_body
from dagster._utils.interrupts import capture_interrupts

import ingestion_pipeline
from ingestion_pipeline.errors import IngestError, TransientError
from ingestion_pipeline.execution.broker import EXECUTE_RUN, broker_url, configuration
from ingestion_pipeline.execution.executor import beating
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.execution.queues import Queue
from ingestion_pipeline.execution.signals import heartbeats, run_signals
from ingestion_pipeline.logs import Role, set_up_logging
from ingestion_pipeline.registry.registry import open_registry
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.heartbeats import Heartbeat
from ingestion_pipeline.tasks.heart import own_address
from ingestion_pipeline.tasks.process import memory_bytes
from ingestion_pipeline.tasks.services import embedder_named

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
BEAT_TTL_SECONDS = 4.0
"""A worker that is silent for so long gets no runs any more."""
STOP_POLL_SECONDS = 0.25
"""How often a run looks whether it is to stop."""
STUCK_SECONDS = 10.0
"""A worker with nothing to do that leaves messages lying for so long has stopped consuming."""
FINISH_SECONDS = 5.0
"""How long runs may go on after a worker was asked to end; then they give back what they hold."""
BEATS_PER_LOOK = 5
"""How rarely the keeper looks at code and memory, which takes some 30 ms."""
EXIT_STUCK = 70


def run_worker(queues: Sequence[Queue], concurrency: int) -> None:
    """Work until asked to end by SIGTERM or Ctrl-C.

    Starts anew, as the same process, when the code has changed; ends the process when it no longer
    gets messages, as whatever has started it can do something about that.

    Raises:
        PermanentError: of kind ``unavailable`` if a newer version of this program wrote the
            registry.
    """
    settings = Settings()
    set_up_logging(settings, Role.WORKER)
    with suppress(TransientError):  # a database that is away will be back
        open_registry(settings.database_address).database.dispose()
    # It warns of pickled messages; these are JSON.
    warnings.filterwarnings("ignore", category=celery.platforms.SecurityWarning)
    code = newest_change()  # before it is imported: what changes meanwhile is noticed
    import_module("ingestion_pipeline.definitions")  # before the fork: all processes share it
    app = make_app(settings)
    names = [queue.value for queue in queues]
    keeper = Keeper(names, concurrency, code, lambda: worker.pool.info["processes"])
    celery_signals.setup_logging.connect(_log_as_we_do, weak=False)
    celery_signals.worker_ready.connect(keeper.start, weak=False)
    celery_signals.worker_shutting_down.connect(keeper.shut_down, weak=False)
    celery_signals.worker_process_init.connect(_leave_signals_to_parent, weak=False)
    if settings.worker_loads_model and Queue.EMBED in queues:
        celery_signals.worker_process_init.connect(_warm_up, weak=False)
    worker = app.Worker(
        pool="prefork",
        concurrency=concurrency,
        queues=names,
        max_tasks_per_child=settings.worker_runs_per_process,
        max_memory_per_child=settings.worker_process_memory_bytes // 1024,
        optimization="fair",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
        loglevel="WARNING",
    )
    worker.start()
    keeper.end()
    if keeper.is_outdated:
        logger.info("the code has changed: the worker starts anew")
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - our own command line


def make_app(settings: Settings) -> celery.Celery:
    """Return the application of a worker, with its one task."""
    app = celery.Celery("ingestion_pipeline", broker=broker_url(settings), set_as_current=False)
    app.conf.update(configuration())
    app.task(name=EXECUTE_RUN, Request=_Request, throws=(RunFailedError,))(execute_run)
    return app


def execute_run(run_id: str, offer_id: str) -> None:
    """Carry out a run, if its offer still stands.

    Raises:
        RunFailedError: when the run failed.
    """
    if not run_signals().accept(offer_id):
        return
    instance = open_instance()
    with beating(run_id), capture_interrupts(), _interrupted_on_request(run_id):
        exit_code = _execute_run_command_body(
            run_id, instance, lambda _: None, set_exit_code_on_failure=True
        )
    run = instance.get_run_by_id(run_id)
    if run is not None and run.status is DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, "The run was canceled before it began.")
    if exit_code:
        raise RunFailedError(run_id)


@contextmanager
def _interrupted_on_request(run_id: str) -> Iterator[None]:
    """Interrupt what the main thread does inside the block when the run is asked to stop."""
    over = threading.Event()

    def watch() -> None:
        signals = run_signals()
        while not over.wait(STOP_POLL_SECONDS):
            with suppress(IngestError):
                if signals.is_to_stop(run_id):
                    os.kill(os.getpid(), signal.SIGINT)
                    return

    thread = threading.Thread(target=watch, name="run-stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _log_as_we_do(**_: Any) -> None:
    """Keep Celery from adding handlers of its own, which would write every line twice."""


def _leave_signals_to_parent(**_: Any) -> None:
    """Have an idle process not end by a signal to the group; Dagster listens during a run."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _warm_up(**_: Any) -> None:
    """Load LanceDB and the default embedding model in the background, for the first run."""

    def load() -> None:
        settings = Settings()
        import_module("lancedb")
        try:
            embedder_named(settings.embedding_model, settings).load()
        except IngestError as error:
            logger.warning("the embedding model cannot be loaded: %s", error)

    threading.Thread(target=load, name="warm-up", daemon=True).start()


class RunFailedError(Exception):
    """The run failed; Dagster knows why."""


class _Request(Request):  # type: ignore[misc]
    """A run that the worker has taken, as its parent process sees it."""

    failed = 0
    """How many runs failed, or lost their process."""

    def on_failure(self, exc_info: Any, **options: Any) -> None:
        """Count the run; if its process died, say so, which is sooner than its silence."""
        _Request.failed += 1
        if issubclass(exc_info.type, WorkerLostError):
            with suppress(IngestError):
                run_signals().note_death(self.run_id)
        super().on_failure(exc_info, **options)

    @property
    def run_id(self) -> str:
        """The Dagster run: messages are numbered by it."""
        return str(self.id)


@dataclass
class Idleness:
    """Finds out that a worker no longer gets messages, from one look a beat."""

    since: float | None = None

    def is_stuck(self, now: float, *, waiting: int, free: int) -> bool:
        """Whether messages have been lying there for long while there was room for them."""
        if not (waiting and free):
            self.since = None
        elif self.since is None:
            self.since = now
        return self.since is not None and now - self.since > STUCK_SECONDS


class Keeper:
    """Beats for a worker from a thread of its own, and looks after it."""

    def __init__(
        self, queues: Sequence[str], slots: int, code: float, processes: Callable[[], Sequence[int]]
    ) -> None:
        """Watch the worker of this process, which runs the code that was changed last at ``code``.

        ``processes`` tells those that carry out its runs.
        """
        self.is_outdated = False
        self._queues = tuple(queues)
        self._slots = slots
        self._processes = processes
        self._ip = own_address()
        self._name = f"worker:{socket.gethostname()}:{os.getpid()}"
        self._boot_at = datetime.now(UTC)
        self._code = code
        self._memory_bytes = 0
        self._idleness = Idleness()
        self._over = threading.Event()
        self._busy = threading.Lock()
        # A process that is forked meanwhile would wait for ever for a lock that this thread holds.
        os.register_at_fork(
            before=self._busy.acquire,
            after_in_parent=self._busy.release,
            after_in_child=self._busy.release,
        )
        self._thread = threading.Thread(target=self._live, name="keeper", daemon=True)

    def start(self, **_: Any) -> None:
        """Begin, when the worker is ready."""
        self._thread.start()

    def shut_down(self, **_: Any) -> None:
        """Take no more runs; those under way get a little time, or all they need after a change."""
        self._over.set()
        if not self.is_outdated:
            threading.Thread(target=_interrupt_soon, name="interrupt-soon", daemon=True).start()

    def end(self) -> None:
        """Say goodbye."""
        self._over.set()
        self._thread.join()

    def _live(self) -> None:
        beats = 0
        while not self._over.is_set():
            with self._busy:
                if beats % BEATS_PER_LOOK == 0:
                    self._memory_bytes = memory_bytes(os.getpid(), *self._processes())
                    self.is_outdated = newest_change() != self._code
                if self.is_outdated:
                    state.should_stop = 0
                    break
                self._try_to_beat()
                beats += 1
            self._over.wait(BEAT_SECONDS)
        with self._busy, suppress(IngestError):
            heartbeats().remove(self._name)

    def _try_to_beat(self) -> None:
        try:
            self._beat()
        except IngestError as error:
            self._idleness = Idleness()  # nobody gets messages now
            logger.warning("no heartbeat of the worker can be sent: %s", error)

    def _beat(self) -> None:
        active = _active()
        taken = len(state.reserved_requests)
        waiting = run_signals().waiting(self._queues)
        now = datetime.now(UTC)
        if self._idleness.is_stuck(
            now.timestamp(), waiting=waiting, free=self._slots - len(active)
        ):
            logger.error("the worker no longer gets messages: it ends, to be started again")
            for pid in self._processes():  # else they would be left
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os._exit(EXIT_STUCK)
        heartbeats().beat(
            Heartbeat(
                name=self._name,
                ip=self._ip,
                pid=os.getpid(),
                boot_at=self._boot_at,
                now=now,
                pending=taken - len(active),
                lag=waiting,
                done=state.total_count[EXECUTE_RUN] - taken - _Request.failed,
                failed=_Request.failed,
                current=tuple(request.run_id for request in active),
                memory_bytes=self._memory_bytes,
                queues=self._queues,
                slots=self._slots,
            ),
            BEAT_TTL_SECONDS,
        )


def _interrupt_soon() -> None:
    """Interrupt the runs that do not end by themselves; they give back what they hold."""
    threading.Event().wait(FINISH_SECONDS)
    for request in _active():
        if request.worker_pid:
            with suppress(ProcessLookupError):
                os.kill(request.worker_pid, signal.SIGTERM)


def _active() -> list[_Request]:
    return [request for request in list(state.active_requests) if isinstance(request, _Request)]


def newest_change() -> float:
    """Return when the package's code was changed last."""
    changes = []
    for path in Path(ingestion_pipeline.__file__).parent.rglob("*.py"):
        with suppress(FileNotFoundError):  # an editor's file that was there for a moment
            changes.append(path.stat().st_mtime)
    return max(changes)


if __name__ == "__main__":
    run_worker([Queue(name) for name in sys.argv[1].split(",")], int(sys.argv[2]))
