"""Servers and services that many tests share: each server is started once, and only if needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.settings import Settings, project_dir
from ingestion_pipeline.streams.connection import connect
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.servers import BucketStore, bucket_store, postgres

# Tests make many installations; that each converts the model for itself has tests of its own.
os.environ["INGEST_CONVERTED_MODELS_DIR"] = str(project_dir() / ".venv" / "cache" / "models")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name tests alike in every process, also those that take bytes made at this moment."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    # A socket's path must be short, so this is not under pytest's own folder.
    with tempfile.TemporaryDirectory(prefix="ingest-") as path, EmbeddedRedis(Path(path)) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """The address of an empty Redis."""
    url = f"unix://{redis_server.socket}"
    with connect(url) as client:
        client.flushall()
    return url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[BucketStore]:
    with bucket_store() as server:
        yield server


@pytest.fixture
def real_bucket(bucket_server: BucketStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket of a real server; the environment leads every client of the test there."""
    for name, value in bucket_server.environment.items():
        monkeypatch.setenv(name, value)
    return bucket_server.new_bucket()


@pytest.fixture(scope="session")
def parsers() -> Iterator[ParserPool]:
    """Parser children, started once."""
    with ParserPool(workers=2, timeout_seconds=30, memory_bytes=2 * 1024**3) as pool:
        yield pool


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    """Settings whose every address is of this test alone."""
    return Settings(
        state_dir=tmp_path / "state",
        redis_url=redis_url,
        doc_bulk_size=8,
    )


@pytest.fixture
def services(settings: Settings, parsers: ParserPool) -> Iterator[FakeServices]:
    """The real services, with a fake embedding model."""
    with closing(FakeServices(settings, parsers)) as opened:
        yield opened
