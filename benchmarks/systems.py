"""`ingest up` on a state folder of its own, several of them side by side, for measurements."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import redis

from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.execution.supervisor import free_port
from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.model.tasks import Task
from ingestion_pipeline.settings import Settings, project_dir

INGEST = Path(sys.executable).parent / "ingest"
POLL_SECONDS = 0.02


class System:
    """A running installation, seen by a producer that knows nothing but its Redis."""

    def __init__(self, state: Path, sources: Path, environment: dict[str, str]) -> None:
        self.state = state
        self.sources = sources
        self.environment = environment
        self.client = IngestionClient(Settings(state_dir=state))
        self.redis = redis.Redis(unix_socket_path=str(state / "redis.sock"))

    def collection(self, name: str, **options: object) -> None:
        """Create a collection."""
        self.client.services.registry.collections.create(
            CollectionName("default", name), CollectionConfig().updated(options)
        )

    def send(self, task_id: str, path: Path, collection: str) -> float:
        """Put a message about a file on the stream; return when."""
        message = {
            "task_id": task_id,
            "type": "ingest",
            "collection": collection,
            "source": {"uri": path.as_uri()},
        }
        at = time.time()
        self.redis.xadd("ingest:tasks:normal", {"message": json.dumps(message)})
        return at

    def done(
        self, task_ids: Sequence[str], seconds: float, look_every: float = POLL_SECONDS
    ) -> list[Task]:
        """Wait until tasks are final.

        Raises:
            TimeoutError: when one is not in time.
        """
        tasks = self.client.services.registry.tasks
        deadline = time.monotonic() + seconds
        while True:
            states = tasks.states(task_ids)
            if len(states) == len(task_ids) and all(state.final for state in states.values()):
                return list(tasks.find(task_ids=task_ids, limit=len(task_ids)))
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(task_ids)} tasks: {states}")
            time.sleep(look_every)

    def run_stats(self) -> list[Any]:
        """Return Dagster's statistics of every run that succeeded, the oldest first."""
        from dagster import DagsterRunStatus, RunsFilter
        from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

        storage = DagsterSqliteStorage.from_local(str(self.state / "dagster" / "history"))
        succeeded = RunsFilter(statuses=[DagsterRunStatus.SUCCESS])
        runs = storage.run_storage.get_runs(succeeded, ascending=True)
        return [storage.event_log_storage.get_stats_for_run(run.run_id) for run in runs]

    def workers(self) -> list[dict[str, Any]]:
        """Return what `ingest workers` says."""
        said = subprocess.run(
            [INGEST, "workers", "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return [each for each in json.loads(said.stdout) if each["slots"]]


@contextmanager
def running(workers: int, **settings: str) -> Iterator[System]:
    """Start the services on a new state folder; stop them, and remove it, afterwards."""
    with tempfile.TemporaryDirectory(prefix="ing", ignore_cleanup_errors=True) as folder:
        sources, state = Path(folder) / "sources", Path(folder) / "state"
        sources.mkdir()
        environment = os.environ | {
            "INGEST_STATE_DIR": str(state),
            "INGEST_SOURCE_ROOTS": str(sources),
            "DAGSTER_HOME": str(project_dir()),
            **settings,
        }
        command = [INGEST, "up", "--port", str(free_port()), "--workers", str(workers), "--json"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as up:
            assert up.stdout is not None
            for line in up.stdout:
                if line == "}\n":
                    break
            else:
                raise RuntimeError("the services did not come up")
            system = System(state, sources, environment)
            try:
                with closing(system.client.services):
                    yield system
            finally:
                up.send_signal(signal.SIGTERM)
