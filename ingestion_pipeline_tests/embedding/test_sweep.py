from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingestion_pipeline.embedding import Embedder, Running, conversion, sweep_converted
from ingestion_pipeline.settings import PACKAGED_MODEL, EmbeddingRuntime

pytestmark = pytest.mark.xdist_group("embedding")


def converted(folder: Path, name: str, age: float) -> Path:
    """A converted model that was loaded so many seconds ago."""
    model = folder / name
    model.mkdir(parents=True)
    (model / conversion.GRAPH).write_bytes(b"x" * 1000)
    notes = model / conversion.NOTES
    notes.write_text("{}")
    old = notes.stat().st_mtime - age
    os.utime(notes, (old, old))
    return model


def test_models_that_nobody_loads_go_and_others_stay(tmp_path: Path) -> None:
    unused = converted(tmp_path, "a-1-1-1", age=100)
    killed = converted(tmp_path, "b-1-1-1.draft", age=100)
    used = converted(tmp_path, "c-1-1-1", age=0)

    would = sweep_converted(tmp_path, 50, dry_run=True)

    assert would == {unused.name: 1002, killed.name: 1002}
    assert unused.is_dir()
    assert sweep_converted(tmp_path, 50) == would
    assert not unused.exists()
    assert not killed.exists()
    assert used.is_dir()
    assert sweep_converted(tmp_path / "nowhere", 50) == {}


def test_loading_a_model_notes_that_it_is_in_use(tmp_path: Path) -> None:
    running = Running(EmbeddingRuntime.OPENVINO, folder=tmp_path)
    Embedder(PACKAGED_MODEL, running).load()
    (notes,) = tmp_path.glob(f"*/{conversion.NOTES}")
    os.utime(notes, (0, 0))

    Embedder(PACKAGED_MODEL, running).load()

    assert sweep_converted(tmp_path, 60) == {}
