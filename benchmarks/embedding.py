"""What runs the embedding model fastest, and what it costs: runtimes, precisions, batches.

Each variant runs in a process of its own, in turns, several rounds; texts are those of a corpus
(``docs.jsonl`` with {title, text}). Prints a Markdown table of medians: seconds until the model is
loaded, texts and tokens per second, tokens per second of CPU time (which a busy machine changes
less), the process's peak memory, the time for a question, and the least cosine to the vectors of
torch in float32. Without a corpus, texts are from the licence.

    python benchmarks/embedding.py [--folder FOLDER] [--texts 400] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
CHILD = "--be-the-variant"
VARIANTS = (
    ("torch", "float32", 2048),
    ("torch", "bfloat16", 2048),
    ("openvino", "float32", 2048),
    ("openvino", "bfloat16", 1024),
    ("openvino", "bfloat16", 2048),
    ("openvino", "bfloat16", 4096),
    ("openvino", "bfloat16", 8192),
)
"""Runtime, precision, and most tokens in a batch; the first is what others are compared with."""
QUESTION = "What does folic acid do to the risk of a second heart attack?"
QUESTIONS = 50


def main() -> None:
    """Run every variant, round after round, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(CHILD, dest="child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        be_variant(**json.loads(options.child))
        return
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.json"
        texts.write_text(json.dumps(read(options.folder, options.texts)))
        run(VARIANTS[3], texts)  # converts the model
        found: dict[tuple[str, str, int], list[dict[str, Any]]] = {each: [] for each in VARIANTS}
        for _ in range(options.rounds):
            for variant, measured in found.items():
                measured.append(run(variant, texts))
        print(table(found, texts.parent))


def read(folder: Path | None, most: int) -> list[str]:
    """Return texts of a corpus, or passages of the licence."""
    if folder is None:
        words = (PROJECT / "LICENSE").read_text(encoding="utf-8").split()
        return [" ".join(words[start : start + 40 + start % 120]) for start in range(most)]
    lines = (folder / "docs.jsonl").read_text(encoding="utf-8").splitlines()[:most]
    return ["{title}\n{text}".format(**json.loads(line)) for line in lines]


def run(variant: tuple[str, str, int], texts: Path) -> dict[str, Any]:
    """Measure one variant in a process of its own."""
    runtime, precision, batch_tokens = variant
    arguments = {
        "runtime": runtime,
        "precision": precision,
        "batch_tokens": batch_tokens,
        "texts": str(texts),
    }
    command = [sys.executable, __file__, CHILD, json.dumps(arguments)]
    environment = os.environ | {"DO_NOT_TRACK": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def be_variant(runtime: str, precision: str, batch_tokens: int, texts: str) -> None:
    """Embed the texts in this process, and print what that took."""
    from ingestion_pipeline.settings import (
        PACKAGED_MODEL,
        EmbeddingPrecision,
        EmbeddingRuntime,
        hold_little_memory,
    )

    hold_little_memory()
    import numpy as np

    from ingestion_pipeline.control import NoControl
    from ingestion_pipeline.embedding import Running, load_embedder

    place, control = Path(texts), NoControl()
    running = Running(
        EmbeddingRuntime(runtime), EmbeddingPrecision(precision), batch_tokens, place.parent
    )
    began = time.perf_counter()
    embedder = load_embedder(PACKAGED_MODEL, running)
    embedder.load()
    loaded = time.perf_counter() - began
    some = json.loads(place.read_text())
    tokens = sum(min(count, embedder.max_tokens) for count in embedder.tokenizer.counts(some))
    embedder.encode(some[:40], control)
    began, cpu = time.perf_counter(), time.process_time()
    vectors = embedder.encode(some, control)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    np.save(place.parent / f"{runtime}-{precision}-{batch_tokens}.npy", vectors)
    questions = []
    for _ in range(QUESTIONS):
        began = time.perf_counter()
        embedder.encode([QUESTION], control)
        questions.append(time.perf_counter() - began)
    answer = {
        "load": loaded,
        "texts": len(some) / seconds,
        "tokens": tokens / seconds,
        "cpu": tokens / cpu,
        "peak": peak(),
        "question": statistics.median(questions) * 1000,
    }
    print(json.dumps(answer))


def peak() -> float:
    """Return the most memory that this process has held, in MiB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def table(found: dict[tuple[str, str, int], list[dict[str, Any]]], folder: Path) -> str:
    """Render medians as Markdown."""
    import numpy as np

    columns = ("load", "texts", "tokens", "cpu", "peak", "question")
    digits = (1, 0, 0, 0, 0, 1)
    head = (
        "| runtime | tokens in a batch | loaded after, s | texts/s | tokens/s | tokens/s of CPU "
        "| peak, MiB | a question, ms | least cosine |"
    )
    lines = [head, "|---|---|---|---|---|---|---|---|---|"]
    names = ["-".join(map(str, variant)) for variant in found]
    reference = np.load(folder / f"{names[0]}.npy")
    for name, ((runtime, precision, most), measured) in zip(names, found.items(), strict=True):
        medians = [statistics.median(each[column] for each in measured) for column in columns]
        cells = [f"{value:,.{places}f}" for value, places in zip(medians, digits, strict=True)]
        cosine = (np.load(folder / f"{name}.npy") * reference).sum(axis=1).min()
        lines.append(f"| {runtime} {precision} | {most:,} | {' | '.join(cells)} | {cosine:.5f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
