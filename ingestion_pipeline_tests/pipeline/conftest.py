from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import Lab


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def lab(services: FakeServices, instance: dg.DagsterInstance, tmp_path: Path) -> Lab:
    return Lab(services, instance, tmp_path / "sources")


@pytest.fixture
def two(lab: Lab) -> tuple[Path, Path]:
    """Two small documents, submitted to the collection ``papers``."""
    paths = (
        lab.write("rain.md", "# Rain\n\nIt rained in March.\n\n## April\n\nApril was dry.\n"),
        lab.write("snow.txt", "Snow fell on the second of May.\n"),
    )
    lab.submit(*paths)
    return paths
