"""Whether a document costs the same however many there are: time, processor time, memory, room.

Makes text files of one chunk each, submits them as one folder and does the work, all stages, in a
process of its own with a state folder of its own for each number of documents, and searches in the
end. Vectors are made up unless ``--model packaged``: the model takes the same time for each chunk,
and would hide the rest. Prints a Markdown table; with the numbers of the default it also goes into
docs/performance.md.

    python benchmarks/scale.py [--documents 1000 10000 100000] [--model free|packaged]
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
from typing import TYPE_CHECKING

from incremental import write
from memory import MIB, _convert, _encoding
from pages import inserted

if TYPE_CHECKING:
    from ingestion_pipeline import IngestionClient

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
SIZES = (1_000, 10_000, 100_000)
RUN_ARGUMENT = "--be-the-run"
COLLECTION = "scale"
QUESTIONS = 30


def main() -> None:
    """Measure each size, and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, nargs="+", default=SIZES)
    parser.add_argument("--model", choices=["free", "packaged"], default="free")
    parser.add_argument(RUN_ARGUMENT, type=Path, dest="run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        ingest(options.run, options.model)
        return
    with tempfile.TemporaryDirectory(prefix="scale-") as models:
        os.environ["INGEST_CONVERTED_MODELS_DIR"] = models
        _convert()
        rows = [measured(size, options.model) for size in options.documents]
    head = (
        "| documents | seconds | ms each | processor ms each | peak, MiB | KiB stored each | "
        "search, ms |\n|---|---|---|---|---|---|---|"
    )
    report = "\n".join([head, *rows, ""])
    print(report)
    if tuple(options.documents) == SIZES and options.model == "free":
        PAGE.write_text(inserted(PAGE.read_text(), "scale", report))


def measured(size: int, model: str) -> str:
    """Ingest so many documents in another process; return the row of the table."""
    with tempfile.TemporaryDirectory(prefix="scale-") as place:
        folder, state = Path(place) / "files", Path(place) / "state"
        write(folder, size)
        command = [sys.executable, __file__, RUN_ARGUMENT, str(folder), "--model", model]
        environment = os.environ | {"INGEST_STATE_DIR": str(state), "DO_NOT_TRACK": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
            assert run.stdout is not None
            said = run.stdout.read()
            _, status, used = os.wait4(run.pid, 0)  # its parser children, which ended, included
            run.returncode = os.waitstatus_to_exitcode(status)
        if run.returncode:
            raise SystemExit(f"the run ended with exit code {run.returncode}")
        told = json.loads(said.splitlines()[-1])
        stored = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
        seconds, spent = told["seconds"], used.ru_utime + used.ru_stime
        return (
            f"| {size:,} | {seconds:.1f} | {seconds / size * 1000:.1f} | "
            f"{spent / size * 1000:.1f} | {used.ru_maxrss * 1024 / MIB:.0f} | "
            f"{stored / size / 1024:.1f} | {told['search_ms']:.0f} |"
        )


def ingest(folder: Path, model: str) -> None:
    """Ingest a folder in this process, search, and print what it took as JSON."""
    from ingestion_pipeline.settings import hold_little_memory

    hold_little_memory()
    from ingestion_pipeline import IngestionClient
    from ingestion_pipeline.embedding import Embedder
    from ingestion_pipeline.model.collections import CollectionName

    client = IngestionClient()
    if model == "free":
        Embedder.encode = _encoding(Embedder, sampled=False)  # type: ignore[method-assign]
    known, _ = client.services.registry.collections.ensure(CollectionName("default", COLLECTION))
    client.services.embedder(known).load()
    began = time.perf_counter()
    batch = client.launch_tasks([folder], collection=COLLECTION)
    [report] = client.work_here(batch.task_ids)
    seconds = time.perf_counter() - began
    if report.failed:
        raise SystemExit(f"{report.failed} documents failed")
    found = [timed_search(client, f"file {number}") for number in range(QUESTIONS)]
    print(json.dumps({"seconds": seconds, "search_ms": statistics.median(found) * 1000}))


def timed_search(client: IngestionClient, question: str) -> float:
    """Return the seconds that a hybrid search takes."""
    from ingestion_pipeline.model.search import SearchMode

    began = time.perf_counter()
    client.search(question, collection=COLLECTION, mode=SearchMode.HYBRID)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
