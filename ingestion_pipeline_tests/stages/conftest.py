"""The bench on which tests of the stages work."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.settings import Settings
from ingestion_pipeline_tests.stages.bench import Bench


@pytest.fixture
def bench(tmp_path: Path, parsers: ParserPool) -> Bench:
    return Bench(Settings(state_dir=tmp_path / "state", redis_url="unix:///nowhere"), parsers)
