"""Definitions over real services with a fake embedding model, and a Dagster instance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.repository_definition import RepositoryDefinition

from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
from ingestion_pipeline.model.collections import Collection, CollectionConfig, CollectionName
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks import tick
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import opened


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"source_roots": (tmp_path,)})


@pytest.fixture(autouse=True)
def _no_long_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tick, "IDLE_POLL_SECONDS", 0.05)
    monkeypatch.setattr(tick, "BUSY_POLL_SECONDS", 0.05)


@pytest.fixture(scope="package")
def _instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def instance(_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """An empty instance that sensors and schedules can open again, as they do."""
    _instance.wipe()
    for key in _instance.get_dynamic_partitions(PARTITIONS_NAME):
        _instance.delete_dynamic_partition(PARTITIONS_NAME, key)
    return _instance


@pytest.fixture
def repository(services: FakeServices) -> RepositoryDefinition:
    return build_defs(opened(services)).get_repository_def()


@pytest.fixture
def papers(services: FakeServices) -> Collection:
    return services.registry.collections.create(
        CollectionName("default", "papers"), CollectionConfig()
    )


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.md"
    path.write_text("# Rain\n\nIt rained in March.\n")
    return path
