"""Real workers on a state folder of its own, and runs for them; nothing of Dagster's is running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.execution.queues import LAUNCHER_TAG, Launcher, Queue
from ingestion_pipeline.execution.workers import live_workers
from ingestion_pipeline.settings import Settings, child_environment, project_dir
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline.streams.heartbeats import Heartbeat
from ingestion_pipeline_tests.execution.jobs import waiting_job
from ingestion_pipeline_tests.system.installation import INGEST, eventually

Status = dg.DagsterRunStatus
START_SECONDS = 60
"""A worker takes about three, on a machine that has nothing else to do."""


@dataclass(frozen=True)
class Place:
    """Where a run is at work."""

    pid: int
    parent: int
    at: float


class Worker:
    """`ingest worker` with one process for runs, in a process group of its own."""

    def __init__(self, queues: Sequence[Queue], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [str(INGEST), "worker", "--queues", ",".join(queues), "--concurrency", "1"],
            cwd=project_dir(),
            env=child_environment(Settings()) | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        ready = eventually(lambda: self.heartbeat is not None, START_SECONDS)
        assert ready, self.process.poll()

    @property
    def heartbeat(self) -> Heartbeat | None:
        """What it said of itself last; None if it is not to be given runs."""
        return next((beat for beat in live_workers() if beat.pid == self.process.pid), None)

    def kill(self) -> None:
        """Kill it with its processes, as when its machine loses its power."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ended(self, seconds: float = 30) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(seconds)


class Lab:
    """One state folder with a Redis, for as many workers as a test starts."""

    def __init__(self, state: Path, redis: EmbeddedRedis, stack: ExitStack) -> None:
        self.state = state
        self.redis = redis
        self.folder = state / "runs"
        self.folder.mkdir()
        self._stack = stack
        self._worker: Worker | None = None

    @property
    def instance(self) -> dg.DagsterInstance:
        """The one that ``dagster.yaml`` describes."""
        return open_instance()

    def worker(self, queue: Queue = Queue.EMBED, **environment: str) -> Worker:
        """Start a worker, and wait until it can be given runs; it ends with the lab at last."""
        worker = Worker([queue], environment)
        self._stack.callback(worker.kill)
        return worker

    def serving(self) -> int:
        """Return how many workers there are for the runs of this lab."""
        return sum(Queue.EMBED in beat.queues for beat in live_workers())

    def only_worker(self) -> Worker:
        """Return the worker there is for its runs, or start one."""
        if self._worker is None or self._worker.process.poll() is not None:
            self._worker = self.worker()
        return self._worker

    def launch(self, *, hold: bool = False) -> str:
        """Have a run carried out by a worker; return its id."""
        run_id = self.submit(hold=hold)
        self.instance.launch_run(run_id, cast("Any", None))
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        assert run.tags[LAUNCHER_TAG] == Launcher.WORKER
        return run_id

    def submit(self, *, hold: bool = False, tags: Mapping[str, str] | None = None) -> str:
        """Record a run; return its id."""
        config = {"folder": str(self.folder), "hold": hold}
        run = self.instance.create_run_for_job(
            waiting_job,
            run_config={"ops": {"wait": {"config": config}}},
            tags=tags,
            job_code_origin=dg.reconstructable(waiting_job).get_python_origin(),
        )
        return run.run_id

    def place(self, run_id: str) -> Place:
        """Wait until a run is at work, and return where."""
        file = self.folder / run_id
        assert eventually(file.exists, START_SECONDS), self.told(run_id)
        return Place(**json.loads(file.read_text()))

    def release(self, run_id: str) -> None:
        """Let a run go on that is held."""
        (self.folder / run_id).unlink()

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        """Return how a run stands."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def becomes(self, run_id: str, status: dg.DagsterRunStatus, seconds: float = 30) -> bool:
        """Wait until a run has a status."""
        return eventually(lambda: self.status(run_id) is status, seconds)

    def health(self, run_id: str) -> CheckRunHealthResult:
        """Ask as Dagster's run monitor does."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return self.instance.run_launcher.check_run_worker_health(run)

    def is_lost(self, run_id: str, seconds: float) -> bool:
        """Wait until the monitor would take a run for dead."""
        return eventually(lambda: self.health(run_id).status is WorkerStatus.FAILED, seconds)

    def event_at(self, run_id: str, kind: dg.DagsterEventType) -> float:
        """Return when something happened to a run."""
        return next(iter(self.instance.all_logs(run_id, of_type=kind))).timestamp

    def told(self, run_id: str) -> str:
        """Return what there is to say about a run."""
        return "\n".join(entry.message for entry in self.instance.all_logs(run_id))


@contextmanager
def opened() -> Iterator[Lab]:
    """A lab; nothing of it is left afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="ing", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
        ExitStack() as stack,
    ):
        patch.setenv("INGEST_STATE_DIR", folder)
        patch.delenv("DAGSTER_HOME", raising=False)
        open_instance.cache_clear()
        stack.callback(open_instance.cache_clear)
        redis = stack.enter_context(EmbeddedRedis(Path(folder)))
        yield Lab(Path(folder), redis, stack)


def alive(pid: int) -> bool:
    """Whether a process is."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
