from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion_pipeline.embedding import Tokenizer, load_embedder, model_folder, models
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import PACKAGED_MODEL

PACKAGED = model_folder(PACKAGED_MODEL)


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    """The packaged model without its weights."""
    ignored = shutil.ignore_patterns("*.safetensors", "*.md", "data_config.json")
    return shutil.copytree(PACKAGED, tmp_path / "model", ignore=ignored)


def change(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(content))


def test_the_packaged_model_is_found_and_described() -> None:
    assert (PACKAGED / "model.safetensors").is_file()
    assert models.declared_dimension(PACKAGED) == 384
    assert models.declared_max_tokens(PACKAGED) == 256


def test_a_local_folder_is_a_name(small_folder: Path) -> None:
    assert model_folder(str(small_folder)) == small_folder


def test_a_model_in_the_local_cache_is_found(
    small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "hub" / "models--sentence-transformers--my-model"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("0" * 40)
    shutil.copytree(small_folder, cache / "snapshots" / ("0" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("my-model", "sentence-transformers/my-model"):
        assert models.declared_max_tokens(model_folder(name)) == 256


@pytest.mark.parametrize(
    "name", ["no-such-model", "nobody/no-such-model", "/no/such/folder", "..", ""]
)
def test_a_model_that_is_not_here_is_an_error_that_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(PermanentError, match="configure") as raised:
        load_embedder(name).tokenizer  # noqa: B018
    assert raised.value.kind in {ErrorKind.DEPENDENCY_MISSING, ErrorKind.UNSUPPORTED}


def test_a_folder_without_a_tokenizer_is_refused(small_folder: Path) -> None:
    (small_folder / "tokenizer.json").unlink()
    with pytest.raises(PermanentError, match="has no tokenizer") as raised:
        Tokenizer(small_folder)
    assert raised.value.kind is ErrorKind.UNSUPPORTED


def test_the_limit_of_a_model_saved_by_a_newer_library_is_found(small_folder: Path) -> None:
    (small_folder / "sentence_bert_config.json").write_text("{}")
    change(small_folder / "tokenizer_config.json", model_max_length=int(1e30))
    assert models.declared_max_tokens(small_folder) == 512


@pytest.mark.parametrize(
    ("pooling", "dimension"),
    [
        ({"embedding_dimension": 7, "pooling_mode": "cls"}, 7),
        ({"word_embedding_dimension": 7, "pooling_mode_max_tokens": True}, 7),
        ({"embedding_dimension": 7, "pooling_mode": ["cls", "mean"]}, None),
        ({}, None),
    ],
)
def test_the_dimension_is_declared_only_where_it_is_certain(
    small_folder: Path, pooling: dict[str, object], dimension: int | None
) -> None:
    (small_folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    assert models.declared_dimension(small_folder) == dimension


def test_a_further_layer_leaves_the_dimension_undeclared(small_folder: Path) -> None:
    modules = json.loads((small_folder / "modules.json").read_text())
    modules.append(
        {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.Dense"}
    )
    (small_folder / "modules.json").write_text(json.dumps(modules))
    assert models.declared_dimension(small_folder) is None


def test_the_fingerprint_follows_the_content_not_the_place(
    small_folder: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(small_folder, tmp_path / "moved")
    assert models.fingerprint(moved) == models.fingerprint(small_folder)
    change(moved / "sentence_bert_config.json", max_seq_length=128)
    assert models.fingerprint(moved) != models.fingerprint(small_folder)


def test_all_but_encoding_works_without_torch() -> None:
    script = (
        "import sys; from ingestion_pipeline.embedding import load_embedder\n"
        f"embedder = load_embedder({PACKAGED_MODEL!r})\n"
        "print(embedder.dimension, embedder.max_tokens, embedder.tokenizer.count('two words'))\n"
        "heavy = {'torch', 'transformers', 'openvino', 'numpy'}\n"
        "print(len(embedder.fingerprint), heavy & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "384 256 4\n64 set()\n"


@pytest.mark.parametrize(
    ("front", "codes"),
    [
        ("language: en", ["en"]),
        (
            "license: mit\nlanguage:\n- multilingual\n- ar\n  - zh-cn\n- nb\ntags:\n- text",
            ["ar", "zh", "nb"],
        ),
        ('language: [de, "fr"]\ndatasets:\n- xy', ["de", "fr"]),
        ("language: no", ["no"]),
        ("language: multilingual", []),
        ("language_bcp47:\n- fr-CA", []),
        ("license: mit", []),
    ],
)
def test_the_model_card_tells_the_languages(tmp_path: Path, front: str, codes: list[str]) -> None:
    (tmp_path / "README.md").write_text(f"---\n{front}\n---\n\n# A model\n\nlanguage: xx\n")

    assert models.declared_languages(tmp_path) == (set(codes) or None)


def test_without_a_model_card_the_languages_are_not_known(small_folder: Path) -> None:
    assert models.declared_languages(small_folder) is None
    (small_folder / "README.md").write_text("# A model\n\nlanguage: en\n")
    assert models.declared_languages(small_folder) is None


def test_the_packaged_model_knows_english_only() -> None:
    assert load_embedder(PACKAGED_MODEL).languages == {"en"}
