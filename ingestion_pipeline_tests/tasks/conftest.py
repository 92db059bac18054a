"""What most tests of this folder need: a collection, and files to submit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline_tests.fakes import FakeServices

WriteFile = Callable[[str, str | bytes], Path]


@pytest.fixture
def collection(services: FakeServices) -> Collection:
    return services.registry.collections.ensure(CollectionName("default", "docs"))[0]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Write a file below the test's source folder, by its relative path."""

    def write(name: str, content: str | bytes = "Some words about travel.") -> Path:
        path = tmp_path / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
