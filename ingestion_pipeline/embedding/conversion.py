"""Converting models for OpenVINO, each once per machine, in a child process.

The child loads torch, which so never enters the process that embeds, and follows the model on an
example: from tokens to the vector, with what the model itself puts behind its last layer. What
comes out must answer other examples, of other lengths and numbers, as the model does.

Belongs here: the child, what it leaves and where. Does not belong here: running what was converted
(``graphs``). The child converts by OpenVINO's front end itself: the function ``convert_model``, in
the package around it, reports to its maker.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.children import die_with
from ingestion_pipeline.embedding import graphs, models, torch_runtime
from ingestion_pipeline.embedding.tokenizer import Tokenizer
from ingestion_pipeline.settings import EmbeddingPrecision, untracked_environment

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

GRAPH = "model.xml"
NOTES = "notes.json"
"""Why the model is not converted (``refused``); or its ``dimension``, how many tokens it reads
(``max_tokens``), and ``examples`` of what it answers."""

_VERSION = 1
_LONGEST_SECONDS = 900
_WORDS = "The committee of 1987 measured rainfall, soil & temperature near Zürich (see table 4). "
_EXAMPLES = (
    "A short question?",
    _WORDS,
    "word",
    _WORDS * 3,
    "",
    "  Über die Straße: 測試 日本語の文です。 naïve café\n\tTABS  ",
    _WORDS * 12,
    "MIXED case, " * 400,
)
"""Of different lengths, the last longer than most models read."""
_EXAMPLES_KEPT = 2
"""So many are asked again whenever the model is loaded: enough to see that it is not damaged."""


class ConversionError(Exception):
    """The child did not come to an end; another time it may."""


def name_of(fingerprint: str) -> str:
    """Return the folder's name for a converted model: another version converts it again."""
    libraries = (version(library) for library in ("openvino", "sentence-transformers"))
    return "-".join((fingerprint[:32], *libraries, str(_VERSION)))


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Be the only process that makes this folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
        yield


def convert(model: Path, target: Path) -> None:
    """Make ``target``, or make it again, from the files of a model; it is whole when it is there.

    Raises:
        ConversionError: if the child crashed or took too long; there is no ``target`` then.
    """
    draft = target.with_name(f"{target.name}.draft")
    for leftover in (draft, target):
        shutil.rmtree(leftover, ignore_errors=True)
    draft.mkdir()
    with TemporaryFile() as said:
        try:
            subprocess.run(  # noqa: S603 - our own interpreter and module
                (sys.executable, "-m", __name__, str(os.getpid()), str(model), str(draft)),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # Ctrl-C is the parent's to handle
                env=untracked_environment(),
                timeout=_LONGEST_SECONDS,
                check=True,
            )
        except subprocess.SubprocessError as error:
            shutil.rmtree(draft, ignore_errors=True)
            said.seek(0)
            last = said.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise ConversionError(f"its conversion failed: {last or error}") from error
    draft.rename(target)


def sweep(folder: Path, unused_for: float, *, dry_run: bool = False) -> dict[str, int]:
    """Remove models that were not loaded for so many seconds; return their names with their bytes.

    Loading one notes that it is in use. A process that has one in memory goes on with it.
    """
    latest = time.time() - unused_for
    swept: dict[str, int] = {}
    for notes in sorted(folder.glob(f"*/{NOTES}")) if folder.is_dir() else ():
        model = notes.parent
        with alone(model):
            if not notes.is_file() or notes.stat().st_mtime > latest:
                continue
            swept[model.name] = sum(file.stat().st_size for file in model.iterdir())
            if not dry_run:
                shutil.rmtree(model, ignore_errors=True)
    return swept


def main(parent: int, folder: Path, draft: Path) -> None:
    """Convert a model, or note why that cannot be; what may pass, such as a full disk, ends us."""
    die_with(parent)
    openvino = graphs.openvino()
    model = torch_runtime.load(folder, EmbeddingPrecision.FLOAT32)
    try:
        graph = _traced(model)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - models run code of their own
        notes: dict[str, Any] = {"refused": f"{type(error).__name__}: {error}"[:500]}
    else:
        openvino.save_model(graph, draft / GRAPH, compress_to_fp16=False)
        notes = _checked(model, folder, draft / GRAPH)
    (draft / NOTES).write_text(json.dumps(notes), encoding="utf-8")


def _traced(model: SentenceTransformer) -> Any:
    """Return the graph from tokens and mask to vectors."""
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    class FromTokens(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            read = {"input_ids": input_ids, "attention_mask": attention_mask}
            vectors: torch.Tensor = self.model(read)["sentence_embedding"]
            return vectors

    example = torch.ones((2, 9), dtype=torch.int64)
    with torch.no_grad():
        decoder = TorchScriptPythonDecoder(FromTokens().eval(), example_input=(example, example))
        front_end = FrontEndManager().load_by_framework("pytorch")
        return front_end.convert(front_end.load(decoder))


def _checked(model: SentenceTransformer, folder: Path, graph: Path) -> dict[str, Any]:
    """Return the notes on a graph, after comparing what it answers with what the model does."""
    tokenizer = Tokenizer(folder)
    vectors = model.encode(list(_EXAMPLES), normalize_embeddings=True, show_progress_bar=False)
    max_tokens = models.declared_max_tokens(folder) or model.max_seq_length
    if max_tokens is None:
        return {"refused": "it does not say how many tokens it reads"}
    read = tokenizer.ids(_EXAMPLES, max_tokens)
    examples = [
        {"ids": ids.tolist(), "vector": vector.tolist()}
        for ids, vector in zip(read, vectors, strict=True)
    ]
    compiled = graphs.Graph(graph, EmbeddingPrecision.FLOAT32, tokenizer.pad_id, max_tokens)
    if not compiled.answers(examples) or not all(compiled.answers([one]) for one in examples):
        return {"refused": "converted, it gives other vectors"}
    return {
        "dimension": vectors.shape[1],
        "max_tokens": max_tokens,
        "examples": examples[:_EXAMPLES_KEPT],
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
