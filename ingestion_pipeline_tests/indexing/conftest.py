from __future__ import annotations

from pathlib import Path

import pytest

from ingestion_pipeline.indexing import CollectionIndex


@pytest.fixture
def index(tmp_path: Path) -> CollectionIndex:
    return CollectionIndex(str(tmp_path / "lancedb"), "handbook", "model-a")
