"""The command line in this process, on a state folder of its own with a running Redis."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.settings import project_dir
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline_tests.cli.terminal import said

SAMPLES = (
    "travel-policy.md",
    "glossary.txt",
    "leave-policy.html",
    "procurement-policy.pdf",
    "support-service-levels.docx",
)
"""One of each format."""


@pytest.fixture(scope="package", autouse=True)
def state() -> Iterator[Path]:
    """A state folder whose collection ``handbook`` holds some samples, made with the real model."""
    with (
        tempfile.TemporaryDirectory(prefix="ing") as folder,
        pytest.MonkeyPatch.context() as patch,
        EmbeddedRedis(Path(folder)),
    ):
        patch.setenv("INGEST_STATE_DIR", folder)
        patch.delenv("DAGSTER_HOME", raising=False)
        open_instance.cache_clear()
        paths = [str(project_dir() / "data" / "samples" / name) for name in SAMPLES]
        ingested = said("submit", *paths, "--collection", "handbook", "--wait")
        assert ingested.code == 0, ingested.err
        yield Path(folder)
        open_instance.cache_clear()
