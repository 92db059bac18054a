"""Several hosts on one machine: services of ``deploy/compose.yaml``, each with a state folder.

For tests and benchmarks. They are plain processes that share servers and nothing else; each is
guarded, so that none outlives the process that started it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.execution import guard
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.execution.runs import daemon_is_alive
from ingestion_pipeline.execution.workers import live_workers
from ingestion_pipeline.logs import log_file
from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.model.tasks import Task
from ingestion_pipeline.settings import Settings, project_dir, untracked_environment
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline_tests.servers import BucketStore, new_database
from ingestion_pipeline_tests.system.installation import eventually
from ingestion_pipeline_tests.system.processes import free_port, with_environment

DEPLOY = project_dir() / "deploy"
SERVICES: Mapping[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
START_SECONDS = 120.0
SAID_SECONDS = 10.0
"""How long a run may take to write down what it did."""
EVERYWHERE = "0.0.0.0"
LOOPBACK = "127.0.0.1"
CODE_SERVER = ("code-server", "4266")
"""Host and port of the code server in the files of ``deploy``."""


@dataclass(frozen=True)
class Host:
    """A service, with its state folder."""

    name: str
    state: Path
    process: subprocess.Popen[bytes]

    def processes(self) -> list[int]:
        """Return all processes that work on the state folder."""
        return [*with_environment("INGEST_STATE_DIR", str(self.state))]

    def kill(self) -> None:
        """Have it be gone, with everything it has started, as by a power cut."""
        while pids := self.processes():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.communicate()

    def runs(self) -> set[str]:
        """Return the runs that were carried out here, as its log calls them."""
        log = log_file(Settings(state_dir=self.state))
        return set(re.findall(r"run=([\w-]+)", log.read_text())) if log.exists() else set()


class Cluster:
    """Hosts of one code server, one daemon and some workers, and a client beside them."""

    def __init__(self, root: Path, home: Path, workers: int) -> None:
        """Start everything; what is here reads the environment, as the services do."""
        self._root = root
        self._home = home
        self._address = (LOOPBACK, free_port())
        self.client = IngestionClient()
        self.services = self.client.services
        self.instance = open_instance()
        """Opened before any service does: it makes the tables, as the service ``migrate`` would."""
        self._write_workspace()
        self._others: list[Host] = []
        self.workers: dict[str, Host] = {}
        try:
            self._start(workers)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill what runs still: nobody waits for what it would give back."""
        for host in (*self._others, *self.workers.values()):
            if host.process.stdin:
                host.process.stdin.close()
        for host in (*self._others, *self.workers.values()):
            host.process.communicate()

    def collection(self, name: str, max_parallel_runs: int) -> str:
        """Create a collection that so many runs may work on at the same time."""
        config = CollectionConfig(max_parallel_runs=max_parallel_runs)
        registry = self.services.registry.collections
        return registry.create(CollectionName("default", name), config).key

    def at_work(self, pid: int) -> Host:
        """Return the worker that a process is part of."""
        (host,) = (host for host in self.workers.values() if pid in host.processes())
        return host

    def documents_by_worker(self, tasks: Sequence[Task]) -> Counter[str]:
        """Count documents by the worker whose run has processed them last."""

        def workers() -> dict[str, str]:
            return {run: host.name for host in self.workers.values() for run in host.runs()}

        runs = {task.run_id or "" for task in tasks}
        # A run says what it did a moment after its tasks have ended.
        eventually(lambda: runs <= workers().keys(), SAID_SECONDS)
        known = workers()
        return Counter(known.get(task.run_id or "", "no worker") for task in tasks)

    def timeline(self) -> list[str]:
        """Return what Dagster noted of all runs, in order, for a person to read."""
        entries = [
            entry
            for run in self.instance.get_runs()
            for entry in self.instance.all_logs(run.run_id)
            if entry.dagster_event
        ]
        return [
            f"{datetime.fromtimestamp(entry.timestamp, UTC):%H:%M:%S.%f} {entry.run_id[:8]} "
            f"{entry.dagster_event_type} {entry.message.partition(chr(10))[0][:120]}"
            for entry in sorted(entries, key=lambda entry: entry.timestamp)
        ]

    def _start(self, workers: int) -> None:
        self._others.append(self._host("code-server", "code-server"))
        self._wait(self._serves, "the code server")
        self._others.append(self._host("daemon", "daemon"))
        for number in range(1, workers + 1):
            name = f"worker-{number}"
            self.workers[name] = self._host(name, "worker", "--concurrency=1")
        self._wait(
            lambda: daemon_is_alive(self.instance) and len(live_workers()) == workers,
            "the daemon and the workers",
        )

    def _host(self, name: str, service: str, *options: str) -> Host:
        state = self._root / name
        state.mkdir()
        in_container: list[str] = SERVICES[service]["command"]
        program, *arguments = [*in_container, *options]
        command = [str(Path(sys.executable).parent / program), *map(self._here, arguments)]
        with (self._root / f"{name}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, "0", *command],
                cwd=self._home,
                env=untracked_environment() | {"INGEST_STATE_DIR": str(state)},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Host(name, state, process)

    def _write_workspace(self) -> None:
        host, port = CODE_SERVER
        text = (DEPLOY / "workspace.yaml").read_text()
        moved = text.replace(f"host: {host}", f"host: {LOOPBACK}")
        (self._home / "workspace.yaml").write_text(moved.replace(port, str(self._address[1])))

    def _here(self, argument: str) -> str:
        """Turn an option that names an address in a container into one on this machine."""
        return argument.replace(EVERYWHERE, LOOPBACK).replace(CODE_SERVER[1], str(self._address[1]))

    def _serves(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(self._address) == 0

    def _wait(self, serving: Callable[[], bool], what: str) -> None:
        if not eventually(serving, START_SECONDS):
            said = [f"{log.name}: {log.read_text()[-1000:]}" for log in self._root.glob("*.log")]
            raise AssertionError(f"{what} did not come up: {said}")


@contextmanager
def cluster(
    postgres_url: str, store: BucketStore, workers: int = 2, **environment: str
) -> Iterator[Cluster]:
    """Hosts that share nothing but servers; the environment is set while they run."""
    with (
        tempfile.TemporaryDirectory(prefix="ing", ignore_cleanup_errors=True) as folder,
        EmbeddedRedis(Path(folder)) as redis,
        pytest.MonkeyPatch.context() as patch,
    ):
        root = Path(folder)
        variables = shared_variables(postgres_url, store, f"unix://{redis.socket}", root / "home")
        client = {"INGEST_STATE_DIR": str(root / "client")}
        for name, value in (variables | client | environment).items():
            patch.setenv(name, value)
        open_instance.cache_clear()
        running = Cluster(root, root / "home", workers)
        try:
            with closing(running.services):
                yield running
        finally:
            running.stop()
            open_instance.cache_clear()


def shared_variables(
    postgres_url: str, store: BucketStore, redis_url: str, home: Path
) -> dict[str, str]:
    """Return what ``deploy/example.env`` describes: databases and a bucket with nothing in them.

    ``home`` is made, with the instance file in it.
    """
    home.mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", home)
    bucket = store.new_bucket()
    return {
        **store.environment,
        "DAGSTER_HOME": str(home),
        "INGEST_DATABASE_URL": new_database(postgres_url),
        "INGEST_DAGSTER_DATABASE_URL": new_database(postgres_url),
        "INGEST_REDIS_URL": redis_url,
        "INGEST_STORAGE_URI": f"s3://{bucket}/storage",
        "INGEST_LANCEDB_URI": f"s3://{bucket}/lancedb",
        "INGEST_DAGSTER_LOGS_BUCKET": bucket,
        "INGEST_SECRET_KEY": "a passphrase that all hosts know",
    }
