"""`ingest up` as its users have it: real processes on a state folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
import redis

from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.execution.signals import run_signals
from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.model.tasks import Task
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.inspection import compare_index_with_registry
from ingestion_pipeline_tests.system.processes import free_port, parent, with_environment

INGEST = Path(sys.executable).parent / "ingest"
STOP_SECONDS = 60

CODE_SERVER = "-m dagster api grpc"
DAEMON = "-m dagster._daemon"
WEBSERVER = "-m dagster_webserver"
WORKER = "-m ingestion_pipeline.execution.worker"
RUN = "multiprocessing.spawn"
"""Parts of the commands of processes."""


class Installation:
    """One state folder; its services can be started, killed and started again."""

    def __init__(self, state: Path, sources: Path, workers: int) -> None:
        self.state = state
        self.sources = sources
        self.workers = workers
        """How many the next start has."""
        self.port = free_port()
        self.client = IngestionClient(Settings())
        self.services = self.client.services
        self._up: subprocess.Popen[str] | None = None

    @property
    def up(self) -> subprocess.Popen[str]:
        assert self._up is not None
        return self._up

    @property
    def instance(self) -> dg.DagsterInstance:
        return open_instance()

    def launch(self) -> subprocess.Popen[str]:
        """Start `ingest up` without waiting."""
        self._up = subprocess.Popen(
            [str(INGEST), "up", "--port", str(self.port), "--workers", str(self.workers), "--json"],
            cwd=self.state,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self._up

    def ensure_up(self) -> None:
        """Start the services unless they run, and wait until they serve."""
        if self._up is not None and self._up.poll() is None:
            return
        up = self.launch()
        assert up.stdout is not None
        said = []
        for line in up.stdout:
            said.append(line)
            if line == "}\n":
                break
        else:
            raise AssertionError(f"the services did not come up: {up.communicate()[1]}")
        assert json.loads("".join(said)) == {
            "webserver": f"http://127.0.0.1:{self.port}",
            "redis": f"unix://{self.state / 'redis.sock'}",
            "logs": str(self.state / "logs"),
        }

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.up.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end of `ingest up` and return its exit code."""
        self.up.communicate(timeout=STOP_SECONDS)
        return self.up.returncode

    def processes(self, part: str = "") -> dict[int, str]:
        """Return the live processes that work on the state folder, by a part of their command."""
        found = with_environment("INGEST_STATE_DIR", str(self.state))
        return {pid: command for pid, command in found.items() if part in command}

    def service(self, part: str) -> int:
        """Return the process of the one service whose command has this part."""
        (pid,) = self.services_like(part)
        return pid

    def run_processes(self) -> list[int]:
        """Return the processes that carry out runs, at work or not, whoever launches these."""
        workers = self.services_like(WORKER)
        children = [pid for pid in workers if parent(pid) in workers]
        return [*children, *self.processes(RUN)]

    def run_process(self, run_id: str) -> int:
        """Wait until a run is at work, and return its process."""
        assert eventually(lambda: run_signals().silence(run_id) is not None, seconds=60)
        _, process = run_signals().silence(run_id) or (0, "")
        _, pid, _ = process.split(":")
        return int(pid)

    def redis(self) -> int:
        """Return the process of the embedded Redis, which hides its environment."""
        return int((self.state / "redis.pid").read_text())

    def services_like(self, part: str) -> list[int]:
        """Return the services' own processes, not those of their guards."""
        return [pid for pid, command in self.processes(part).items() if "guard.py" not in command]

    def nothing_is_left(self) -> bool:
        """Wait until no process works on the state folder any more."""
        return eventually(lambda: not self.processes(), seconds=60)

    def producer(self) -> redis.Redis:
        """Return a client like any other producer's."""
        return redis.Redis(unix_socket_path=str(self.state / "redis.sock"))

    def collection(self, name: str) -> str:
        """Create a collection."""
        registry = self.services.registry.collections
        return registry.create(CollectionName("default", name), CollectionConfig()).key

    def write(self, name: str, text: str) -> Path:
        """Write a file where messages may name it."""
        path = self.sources / name
        path.write_text(text)
        return path

    def done(self, *task_ids: str, seconds: float = 90) -> list[Task]:
        """Wait until tasks are final, watching the registry only."""
        tasks = self.services.registry.tasks

        def all_final() -> bool:
            states = tasks.states(task_ids)
            return len(states) == len(task_ids) and all(state.final for state in states.values())

        assert eventually(all_final, seconds), self.told(*task_ids)
        found = {task.task_id: task for task in tasks.find(task_ids=task_ids)}
        return [found[task_id] for task_id in task_ids]

    def told(self, *task_ids: str) -> str:
        """Return what there is to say about tasks that do not end."""
        tasks = self.services.registry.tasks.find(task_ids=task_ids, with_messages=True)
        runs = [(run.run_id, run.status, run.tags) for run in self.instance.get_runs()]
        log = (self.state / "logs" / "daemon.log").read_text()[-3000:]
        return f"{tasks}\n{runs}\n{log}"

    def differences(self, collection: str) -> tuple[str, ...]:
        """Return in what index and registry differ."""
        return compare_index_with_registry(self.services, collection).differences

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask the webserver, as its page does."""
        reply = httpx.post(
            f"http://127.0.0.1:{self.port}/graphql",
            json={"query": query, "variables": variables},
            timeout=30,
        ).json()
        assert "errors" not in reply, reply
        return dict(reply["data"])

    def close(self) -> None:
        """Forget a killed `ingest up`."""
        if self._up is not None:
            self._up.kill()
            self._up.communicate()


@contextmanager
def installed(workers: int = 1, **environment: str) -> Iterator[Installation]:
    """An installation with settings of its own; nothing of it is left afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="ing", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        sources = Path(folder) / "sources"
        sources.mkdir()
        state = Path(folder) / "state"
        state.mkdir()
        patch.setenv("INGEST_STATE_DIR", str(state))
        patch.setenv("INGEST_SOURCE_ROOTS", str(sources))
        patch.delenv("DAGSTER_HOME", raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        open_instance.cache_clear()
        installation = Installation(state, sources, workers)
        with closing(installation.services):
            try:
                yield installation
            finally:
                for pid in installation.processes():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                installation.close()
                open_instance.cache_clear()


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; return whether it did in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
