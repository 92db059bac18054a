"""The environment that ``deploy/example.env`` describes, with servers of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline_tests.deploy.cluster import shared_variables
from ingestion_pipeline_tests.servers import BucketStore


@pytest.fixture
def environment(
    bucket_server: BucketStore,
    postgres_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, str]]:
    """PostgreSQL, a bucket and Redis, with nothing in them, and the instance file for them."""
    variables = shared_variables(postgres_url, bucket_server, redis_url, tmp_path / "home")
    variables["INGEST_STATE_DIR"] = str(tmp_path / "state")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    open_instance.cache_clear()
    yield variables
    open_instance.cache_clear()
