"""Changing the embedding model of a collection, and going back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline.embedding import model_folder
from ingestion_pipeline.settings import PACKAGED_MODEL, project_dir
from ingestion_pipeline_tests.cli.terminal import said

POOLING = Path("1_Pooling", "config.json")
SAMPLES = project_dir() / "data" / "samples"


def value(*arguments: str) -> Any:
    """Return what a command printed as JSON, after it succeeded."""
    answer = said(*arguments, "--json")
    assert answer.code == 0, answer
    return answer.json


@pytest.fixture
def other_model(tmp_path: Path) -> Path:
    """The packaged model, with the greatest of its tokens' vectors in place of their mean."""
    folder, packaged = tmp_path / "other", model_folder(PACKAGED_MODEL)
    for path in packaged.rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(packaged)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)
    config = json.loads((packaged / POOLING).read_text())
    config |= {"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}
    (folder / POOLING).unlink()
    (folder / POOLING).write_text(json.dumps(config))
    return folder


def test_another_model_is_searched_after_a_reindex_and_the_first_one_again_after_a_rollback(
    other_model: Path,
) -> None:
    name, samples = "models", [str(SAMPLES / each) for each in ("glossary.txt", "travel-policy.md")]
    assert said("submit", *samples, "--collection", name, "--wait").code == 0
    question = ("search", "who approves travel?", "--collection", name, "--mode", "vector")
    first = value(*question)

    changed = value("collections", "configure", name, "--set", f"embedding_model={other_model}")
    assert changed["searched_model"] == PACKAGED_MODEL
    assert value(*question) == first, "nothing is filled yet"

    assert value("reindex", "--collection", name)["state"] == "succeeded"
    shown = value("collections", "show", name)
    assert shown["searched_model"] == str(other_model)
    (kept,) = shown["generations"]
    assert (kept["model"], kept["state"], kept["documents"]) == (PACKAGED_MODEL, "kept", 2)
    second = value(*question)
    assert {hit["name"] for hit in second} == {hit["name"] for hit in first}
    assert [hit["score"] for hit in second] != [hit["score"] for hit in first]

    assert value("collections", "rollback", name)["searched_model"] == PACKAGED_MODEL
    assert value(*question) == first
    assert said("collections", "rollback", name).code == 0, "and forth again"
    assert value(*question) == second
