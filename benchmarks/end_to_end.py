"""From files to a LanceDB table: this project beside LlamaIndex, cocoindex and Haystack.

Each ingests the same text files with the same model and the same size of chunks, in a process of
its own, on new state, one tool after the other, and then all of them again; medians and ranges are
printed as Markdown. What is imported and loaded before the first file is not in the time. Peers
live in virtual environments that are made at the first use (some minutes, 1.5 GB each). Chunks
differ in size, so tokens embedded per second are what to compare.

    python benchmarks/end_to_end.py FOLDER [--documents 1000] [--repetitions 3] [--bfloat16]

FOLDER holds ``docs.jsonl`` (``id``, ``title``, ``text``). ``--bfloat16`` sets the peers to the
precision that ours chooses on a CPU that multiplies in it; without it they run as they come.
``service`` is this project as ``ingest up`` runs it: messages through Redis, a warm worker.
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
import uuid
import venv
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from systems import System, running

from ingestion_pipeline.embedding import Tokenizer, model_folder
from ingestion_pipeline.settings import PACKAGED_MODEL, project_dir

SCRIPTS = Path(__file__).parent / "peers"
ENVIRONMENTS = project_dir() / ".venv" / "peers"
MOST_TOKENS = 256
"""The model reads no more of a text."""
SERVICE = "service"
PEERS = {
    "llamaindex": (
        "llama-index-core==0.14.25",
        "llama-index-embeddings-huggingface==0.8.0",
        "llama-index-vector-stores-lancedb==0.6.0",
        "pandas>=2,<3",  # which it imports without asking for it
        "lancedb==0.40.0",
    ),
    "cocoindex_app": ("cocoindex==1.0.26", "sentence-transformers==6.2.0", "lancedb==0.40.0"),
    "haystack_pipeline": (
        "haystack-ai==3.4.0",
        "sentence-transformers-haystack==2.0.0",
        "lancedb-haystack==0.1.1",
        "lancedb==0.40.0",
    ),
}
TOOLS = ("ours", SERVICE, "limit", *PEERS)
LONGEST_SECONDS = 1800.0
LOOK_SECONDS = 0.5
"""Looking at a thousand tasks takes some 20 ms of the processor that is measured."""


@dataclass(frozen=True)
class Ingestion:
    """What one ingestion took, and what it stored."""

    load_seconds: float
    seconds: float
    cpu_seconds: float | None
    peak_mib: float
    chunks: int
    tokens: int
    lost: int
    """Tokens of chunks that the model did not read, as they were too many."""


def main() -> None:
    """Compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS)
    options = parser.parse_args()
    interpreters = {tool: interpreter(tool) for tool in options.tools}
    taken: dict[str, list[Ingestion]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ing") as folder:
        files = Path(folder) / "files"
        write_files(options.folder / "docs.jsonl", files, options.documents)
        for repetition in range(options.repetitions):
            for tool, python in interpreters.items():
                state = Path(folder) / f"{tool}-{repetition}"
                if tool == SERVICE:
                    ingestion = through_the_service(files)
                else:
                    ingestion = in_a_process(tool, python, files, state, options.bfloat16)
                print(tool, ingestion, file=sys.stderr)
                taken[tool].append(ingestion)
    print(table(taken, options.documents))


def interpreter(tool: str) -> Path:
    """Return the Python of a tool, in an environment that is made if need be."""
    if tool not in PEERS:
        return Path(sys.executable)
    folder = ENVIRONMENTS / tool
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        venv.create(folder, clear=True, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "torch==2.13.0", *PEERS[tool]]
        subprocess.run(install, check=True)
        (folder / "installed").touch()
    return python


def write_files(source: Path, target: Path, count: int) -> None:
    """Write the documents as text files named by their ids."""
    target.mkdir()
    for line in source.read_text(encoding="utf-8").splitlines()[:count]:
        document = json.loads(line)
        text = f"{document['title']}\n\n{document['text']}"
        (target / f"{document['id']}.txt").write_text(text, encoding="utf-8")


def in_a_process(tool: str, python: Path, files: Path, state: Path, bfloat16: bool) -> Ingestion:
    """Run a tool's script."""
    command: list[str | Path] = [python, SCRIPTS / f"{tool}.py", files, state]
    command.append(model_folder(PACKAGED_MODEL))
    if bfloat16:
        command.append("--bfloat16")
    quiet = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    environment = os.environ | quiet | {"DAGSTER_HOME": str(project_dir())}
    said = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=LONGEST_SECONDS,
        check=True,
    )
    report = json.loads(said.stdout.splitlines()[-1])
    database, name, column = (report.pop(key) for key in ("database", "table", "column"))
    return Ingestion(**report, **stored(database, name, column))


def through_the_service(files: Path) -> Ingestion:
    """Send messages to a running installation that has a worker, whose model is warm."""
    with running(1) as system:
        began = time.perf_counter()
        system.collection("warm")
        send(system, "warm", files, 20)
        loaded = time.perf_counter() - began
        system.collection("compared", title_weight=0)
        seconds = send(system, "compared", files, None)
        known = system.client.services.registry.collections.get("compared")
        index = system.client.services.index(known)
        peak = max(worker["memory_bytes"] for worker in system.workers()) / 2**20
        return Ingestion(loaded, seconds, None, peak, **stored(index.uri, index.name, "text"))


def send(system: System, collection: str, files: Path, count: int | None) -> float:
    """Send messages about files; return the seconds from the first until all are done."""
    copies = system.sources / collection
    copies.mkdir()
    paths = sorted(files.iterdir())[:count]
    for path in paths:
        (copies / path.name).write_bytes(path.read_bytes())
    began = time.perf_counter()
    ids = [uuid.uuid4().hex for _ in paths]
    for task_id, path in zip(ids, paths, strict=True):
        system.send(task_id, copies / path.name, collection)
    done = system.done(ids, LONGEST_SECONDS, look_every=LOOK_SECONDS)
    failed = [task.error for task in done if task.error]
    if failed:
        raise SystemExit(f"{len(failed)} tasks failed: {failed[0]}")
    return time.perf_counter() - began


def stored(database: str, name: str, column: str) -> dict[str, int]:
    """Count what is in a table, with the model's own tokenizer."""
    import lancedb

    rows = lancedb.connect(database).open_table(name).to_arrow()
    texts = [text for text in rows[column].to_pylist() if text]
    counts = Tokenizer(model_folder(PACKAGED_MODEL)).counts(texts)
    return {
        "chunks": len(texts),
        "tokens": sum(min(count, MOST_TOKENS) for count in counts),
        "lost": sum(max(count - MOST_TOKENS, 0) for count in counts),
    }


def table(taken: dict[str, list[Ingestion]], documents: int) -> str:
    """Render medians, with ranges of the time."""
    rates = {
        tool: median(all_of, lambda one: one.tokens / one.seconds) for tool, all_of in taken.items()
    }
    best = max((rate for tool, rate in rates.items() if tool in PEERS), default=None)
    columns = (
        f"{documents:,} documents",
        "seconds",
        "CPU seconds",
        "documents/s",
        "chunks",
        "tokens/s",
        "beside the best peer",
        "tokens not read",
        "peak, MiB",
        "loading, s",
    )
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for tool, all_of in taken.items():
        times = sorted(one.seconds for one in all_of)
        rate = rates[tool]
        cpu = [one.cpu_seconds for one in all_of if one.cpu_seconds is not None]
        lines.append(
            f"| {tool.partition('_')[0]} | {statistics.median(times):.1f} "
            f"({times[0]:.1f} to {times[-1]:.1f}) | "
            f"{f'{statistics.median(cpu):.0f}' if cpu else ''} | "
            f"{documents / statistics.median(times):.1f} | "
            f"{all_of[0].chunks:,} | {rate:,.0f} | {f'{rate / best:.2f}' if best else ''} | "
            f"{all_of[0].lost:,} | {median(all_of, lambda one: one.peak_mib):,.0f} | "
            f"{median(all_of, lambda one: one.load_seconds):.1f} |"
        )
    return "\n".join(lines)


def median(all_of: Sequence[Ingestion], value: Callable[[Ingestion], float]) -> float:
    """Return the median of a value over repetitions."""
    return statistics.median(value(one) for one in all_of)


if __name__ == "__main__":
    main()
