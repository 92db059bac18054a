from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ingestion_pipeline_tests.components.desk import Desk
from ingestion_pipeline_tests.fakes import FakeServices


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def desk(services: FakeServices, instance: dg.DagsterInstance, tmp_path: Path) -> Desk:
    return Desk(services, instance, tmp_path / "sources")


@pytest.fixture
def two(desk: Desk) -> tuple[Path, Path]:
    return (
        desk.write(
            "rain.md",
            "# Rain\n\nIt rained in March, see form AB-12.\n\n# April\n\nApril was dry.\n",
        ),
        desk.write("snow.txt", "Snow fell on the second of May.\n"),
    )
