from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ingestion_pipeline.embedding import model_folder
from ingestion_pipeline.settings import PACKAGED_MODEL

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TELLTALE = """
import os, sys
def tell(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        with open(os.environ["TELLTALE"], "a") as file:
            print(event, arguments[1:], file=file)
sys.addaudithook(tell)
"""
"""As ``sitecustomize``: in every Python process, also in one that converts."""

ENCODE = f"""
import sys
from pathlib import Path
from ingestion_pipeline.control import NoControl
from ingestion_pipeline.embedding import Running, load_embedder
from ingestion_pipeline.settings import EmbeddingRuntime
embedder = load_embedder({PACKAGED_MODEL!r}, Running(folder=Path(sys.argv[1])))
embedder.encode(["one text"] * 5, NoControl())
print(embedder.runtime, {{"torch", "transformers", "openvino_telemetry"}} & set(sys.modules))
"""


@pytest.fixture(scope="package")
def first_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder of two processes that began to embed at the same time, and what they printed.

    ``sockets`` there holds what they sent, ``home`` what they left in their user's home.
    """
    folder = tmp_path_factory.mktemp("embedding")
    (folder / "hooks").mkdir()
    (folder / "hooks" / "sitecustomize.py").write_text(TELLTALE)
    (folder / "sockets").touch()
    (folder / "home").mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(folder / "hooks"),
        "TELLTALE": str(folder / "sockets"),
        "HOME": str(folder / "home"),
    }
    command = [sys.executable, "-c", ENCODE, str(folder / "state")]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    return folder, [process.communicate(timeout=250)[0] for process in processes]


@pytest.fixture(scope="package")
def converted(first_runs: tuple[Path, list[str]]) -> Path:
    """A folder where the packaged model is kept converted."""
    return first_runs[0] / "state"


@pytest.fixture(scope="package")
def reference() -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model_folder(PACKAGED_MODEL)), local_files_only=True)
