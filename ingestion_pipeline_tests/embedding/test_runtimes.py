"""What runs a model, and how it comes to be converted."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.embedding import (
    Embedder,
    Running,
    conversion,
    model_folder,
    runtimes,
    torch_runtime,
)
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import PACKAGED_MODEL, EmbeddingRuntime

pytestmark = pytest.mark.xdist_group("embedding")

PACKAGED = model_folder(PACKAGED_MODEL)
TORCH = EmbeddingRuntime.TORCH


def packaged(folder: Path, runtime: EmbeddingRuntime = EmbeddingRuntime.AUTO) -> Embedder:
    return Embedder(PACKAGED_MODEL, Running(runtime, folder=folder))


def kept(folder: Path) -> Path:
    """The one converted model of a folder."""
    (notes,) = folder.glob(f"*/{conversion.NOTES}")
    return notes.parent


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def overwrite(file: Path) -> None:
    file.write_bytes(b"\x17" * file.stat().st_size)


def never(*_: object) -> NoReturn:
    pytest.fail("it was converted again")


@pytest.fixture
def own(converted: Path, tmp_path: Path) -> Path:
    """A folder of one's own where the packaged model is kept converted."""
    return shutil.copytree(converted, tmp_path / "state")


def test_a_model_runs_without_torch_and_without_telling_anybody(
    first_runs: tuple[Path, list[str]],
) -> None:
    folder, printed = first_runs
    assert printed == ["openvino set()\n"] * 2
    assert (folder / "sockets").read_text() == ""
    assert not [path for path in (folder / "home").rglob("*") if "intel" in path.name]


def test_of_two_at_once_one_converts_and_nothing_is_left_over(converted: Path) -> None:
    folders = [path.name for path in converted.iterdir() if path.is_dir()]
    assert folders == [kept(converted).name]
    assert {file.name for file in kept(converted).iterdir()} == {
        "model.xml",
        "model.bin",
        conversion.NOTES,
    }


def test_a_model_is_converted_once(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "convert", never)
    assert packaged(own).runtime is EmbeddingRuntime.OPENVINO


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        (conversion.NOTES, Path.unlink),
        (conversion.NOTES, cut),
        ("model.xml", overwrite),
        ("model.bin", cut),
        ("model.bin", overwrite),
    ],
)
def test_a_damaged_conversion_is_made_again(
    own: Path,
    converted: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    damage: Callable[[Path], None],
) -> None:
    def convert(_model: Path, target: Path) -> None:
        shutil.rmtree(target)
        shutil.copytree(kept(converted), target)

    damage(kept(own) / file)
    monkeypatch.setattr(conversion, "convert", convert)
    vectors = packaged(own).encode(["one", "two", "three"], NoControl())
    expected = packaged(converted).encode(["one", "two", "three"], NoControl())
    np.testing.assert_array_equal(vectors, expected)


def test_a_conversion_that_did_not_end_is_tried_again_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(conversion, "_LONGEST_SECONDS", 0.01)
    with caplog.at_level(logging.WARNING):
        assert packaged(tmp_path).runtime is EmbeddingRuntime.TORCH
    assert "torch runs the embedding model" in caplog.text
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_what_was_made_of_a_conversion_that_was_killed_is_no_obstacle(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = kept(converted).name
    shutil.copytree(kept(converted), tmp_path / f"{name}.draft")
    monkeypatch.setattr(conversion, "_LONGEST_SECONDS", 0.01)
    assert packaged(tmp_path).runtime is EmbeddingRuntime.TORCH
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_model_that_gives_other_vectors_when_converted_runs_in_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(PACKAGED, tmp_path / "model")
    prompts = {"prompts": {"any": "represent this: "}, "default_prompt_name": "any"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    running = Running(folder=tmp_path / "state")
    with caplog.at_level(logging.WARNING):
        assert Embedder(str(folder), running).runtime is EmbeddingRuntime.TORCH
    assert "it gives other vectors" in caplog.text

    monkeypatch.setattr(conversion, "convert", never)
    again = Embedder(str(folder), running)
    vector, other = again.encode(["text"], NoControl()), packaged(tmp_path / "torch", TORCH)
    assert (vector * other.encode(["represent this: text"], NoControl())).sum() > 0.99
    with pytest.raises(PermanentError, match="INGEST_EMBEDDING_RUNTIME") as raised:
        Embedder(str(folder), Running(EmbeddingRuntime.OPENVINO, folder=tmp_path / "state")).load()
    assert raised.value.kind is ErrorKind.UNSUPPORTED


def test_what_the_files_do_not_tell_is_read_from_the_model(tmp_path: Path) -> None:
    folder = shutil.copytree(PACKAGED, tmp_path / "model")
    (folder / "modules.json").unlink()
    (folder / "sentence_bert_config.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    for runtime in (EmbeddingRuntime.OPENVINO, TORCH):
        loaded = Embedder(str(folder), Running(runtime, folder=tmp_path / "state"))
        assert (loaded.dimension, loaded.max_tokens) == (384, 512)


def test_broken_weights_are_a_clear_error(tmp_path: Path) -> None:
    folder = shutil.copytree(PACKAGED, tmp_path / "model", ignore=lambda *_: ["model.safetensors"])
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(PermanentError, match="cannot be loaded") as raised:
        Embedder(str(folder), Running(folder=tmp_path)).encode(["text"], NoControl())
    assert raised.value.kind is ErrorKind.BROKEN


@pytest.mark.parametrize(
    ("card", "usable", "expected"),
    [(False, True, "openvino"), (True, False, "openvino"), (True, True, "torch")],
)
def test_a_usable_graphics_card_is_torchs(
    own: Path, monkeypatch: pytest.MonkeyPatch, card: bool, usable: bool, expected: str
) -> None:
    (own / "dev").mkdir()
    if card:
        (own / "dev" / "nvidia0").touch()
    monkeypatch.setattr(runtimes, "_DEVICES", own / "dev")
    monkeypatch.setattr("torch.cuda.is_available", lambda: usable)
    monkeypatch.setattr(runtimes, "TorchRuntime", lambda *_: torch_runtime.TorchRuntime)
    assert packaged(own).runtime == expected
