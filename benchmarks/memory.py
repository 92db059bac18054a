"""How much memory one large document takes on its way through all stages.

Makes a CSV file (or takes a file), ingests it in a process of its own with a state folder of its
own, set up as the command ``ingest`` is, and looks every 10 ms at how much memory that process and
its parser child hold. Prints a Markdown table: seconds, seconds of processor time that both took,
and peaks by stage. ``--model packaged`` runs the model on every text, which takes most of an hour;
``sampled`` on every 64th, with vectors that cost nothing for all others, so that the model holds
what it would; ``free`` not at all. The model is converted before the clock runs.

    python benchmarks/memory.py [--megabytes 100] [--file FILE] [--model sampled|packaged|free]
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingestion_pipeline.control import Control
    from ingestion_pipeline.embedding import Embedder

PROJECT = Path(__file__).resolve().parents[1]
INTERVAL_SECONDS = 0.01
MIB = 1024**2
RUN_ARGUMENT = "--be-the-run"
SAMPLED = 64
"""Of so many texts one goes through the model."""
COLUMNS = (
    "id",
    "date",
    "customer",
    "city",
    "product",
    "quantity",
    "price",
    "rating",
    "email",
    "remark",
)
CITIES = ("Lisbon", "Osaka", "São Paulo", "Kraków", "Nairobi", "Montréal", "Zürich", "Hanoi")


def main() -> None:
    """Make the file if none is given, ingest it beside the sampler, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--model", choices=["sampled", "packaged", "free"], default="sampled")
    parser.add_argument(RUN_ARGUMENT, type=Path, dest="run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        ingest(options.run, options.model)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = options.file or make_csv(Path(folder) / "orders.csv", options.megabytes * 10**6)
        measured = measure(file, options.model, Path(folder) / "state")
        print(f"{file.name}, {file.stat().st_size / 10**6:.0f} MB, model: {options.model}\n")
    print(table(measured))


# The file


def make_csv(path: Path, size: int) -> Path:
    """Write a table of orders, about ``size`` bytes: numbers, names, and remarks in prose."""
    chance = random.Random(0)
    remarks = sentences()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        number = 0
        while number % 1000 or file.tell() < size:
            number += 1
            name = f"{chance.choice(remarks).split()[0]} {chance.randrange(10_000)}"
            writer.writerow(
                [
                    number,
                    f"20{chance.randrange(10, 26)}-{chance.randrange(1, 13):02}",
                    name,
                    chance.choice(CITIES),
                    f"P-{chance.randrange(10**6):06}",
                    chance.randrange(1, 500),
                    f"{chance.uniform(1, 2000):.2f}",
                    f"{chance.uniform(1, 5):.1f}",
                    f"customer{chance.randrange(10**5)}@example.org",
                    " ".join(chance.sample(remarks, chance.randrange(1, 4))),
                ]
            )
    return path


def sentences() -> list[str]:
    """Return pieces of prose: lines of the licence, which does not change."""
    lines = (PROJECT / "LICENSE").read_text(encoding="utf-8").splitlines()
    return [line.strip().replace('"', "") for line in lines if len(line.split()) > 4]


# The run


def ingest(file: Path, model: str) -> None:
    """Ingest a file in this process, and print when each stage begins."""
    from ingestion_pipeline.settings import hold_little_memory

    hold_little_memory()
    from ingestion_pipeline import IngestionClient
    from ingestion_pipeline.embedding import Embedder
    from ingestion_pipeline.indexing import CollectionIndex
    from ingestion_pipeline.model.tasks import TaskState
    from ingestion_pipeline.stages import chunked, embedded, enriched, indexed, parsed, sourced

    if model != "packaged":
        Embedder.encode = _encoding(Embedder, sampled=model == "sampled")  # type: ignore[method-assign]
    for module in (sourced, parsed, chunked, enriched, embedded, indexed):
        _announced(module, "run", module.__name__.rpartition(".")[2])
    _announced(CollectionIndex, "maintain", "index upkeep")
    client = IngestionClient()
    if model != "free":
        _convert()
    _say("submitted")
    task = client.launch_task(file, collection="memory")
    _say("claimed")
    client.work_here([task.task_id])
    _say("end")
    ended = client.get_task(task.task_id)
    if ended.state is not TaskState.SUCCEEDED:
        raise SystemExit(f"{file.name}: {ended.error}")
    [document] = client.services.registry.documents.find("memory")
    print(f"{document.chunks:,} chunks, {document.tokens:,} tokens", file=sys.stderr)


def _convert() -> None:
    """Have the model converted, in a process that ends: it is loaded here when it is needed."""
    code = (
        "from ingestion_pipeline.settings import Settings; settings = Settings()\n"
        "from ingestion_pipeline.tasks.services import embedder_named\n"
        "embedder_named(settings.embedding_model, settings).load()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def _encoding(embedder: type[Embedder], *, sampled: bool) -> Callable[..., NDArray[np.float32]]:
    """Return a method that gives vectors of length 1, all or most of which mean nothing."""
    encode = embedder.encode

    def vectors_of(self: Embedder, texts: Sequence[str], control: Control) -> NDArray[np.float32]:
        import numpy as np

        control.check()
        chance = np.random.default_rng(0)
        vectors = chance.standard_normal((len(texts), self.dimension), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        if sampled:
            vectors[::SAMPLED] = encode(self, texts[::SAMPLED], control)
        return vectors

    return vectors_of


def _announced(owner: object, name: str, stage: str) -> None:
    function = getattr(owner, name)

    def announced(*arguments: object, **options: object) -> object:
        _say(stage)
        return function(*arguments, **options)

    setattr(owner, name, announced)


def _say(stage: str) -> None:
    print(f"{time.monotonic()} {stage}", flush=True)


# The sampler


@dataclass
class Measured:
    """What was seen: stages with their beginnings, and memory in bytes with its times."""

    stages: list[tuple[float, str]] = field(default_factory=list)
    samples: list[tuple[float, float, int, int, int]] = field(default_factory=list)
    """When, processor time of all, memory of the process, of its largest child, and of all."""


def measure(file: Path, model: str, state: Path) -> Measured:
    """Ingest a file in another process and watch its memory."""
    command = [sys.executable, __file__, RUN_ARGUMENT, str(file), "--model", model]
    environment = os.environ | {"INGEST_STATE_DIR": str(state), "DO_NOT_TRACK": "1"}
    measured = Measured()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        watcher = threading.Thread(target=watch, args=(run, measured))
        watcher.start()
        for line in run.stdout or ():
            moment, _, stage = line.strip().partition(" ")
            measured.stages.append((float(moment), stage))
        watcher.join()
    if run.returncode:
        raise SystemExit(f"the run ended with exit code {run.returncode}")
    return measured


def watch(run: subprocess.Popen[str], measured: Measured) -> None:
    """Take samples until the process ends."""
    import psutil

    process = psutil.Process(run.pid)
    while run.poll() is None:
        try:
            below = process.children(recursive=True)
            own = process.memory_info().rss
            children = [child.memory_info().rss for child in below]
            # Of its own, what ended children took is a part.
            spent = sum(process.cpu_times()[:4]) + sum(sum(c.cpu_times()[:2]) for c in below)
        except psutil.NoSuchProcess:
            continue
        together = own + sum(children)
        measured.samples.append((time.monotonic(), spent, own, max(children, default=0), together))
        time.sleep(INTERVAL_SECONDS)


def table(measured: Measured) -> str:
    """Render seconds and peaks by stage as Markdown."""
    rows = list(_rows(measured))
    lines = [_line(*row) for row in rows]
    stages = zip(*rows, strict=True)
    _, seconds, spent, peaks = (list(column) for column in stages)
    highest = [max(column) for column in zip(*peaks, strict=True)]
    head = (
        "| stage | seconds | CPU s | peak, MiB | of a child, MiB | together, MiB |\n"
        "|---|---|---|---|---|---|"
    )
    return "\n".join([head, *lines, _line("**all**", sum(seconds), sum(spent), highest)])


def _line(stage: str, seconds: float, spent: float, peaks: Sequence[int]) -> str:
    return f"| {stage} | {seconds:.1f} | {spent:.1f} | {' | '.join(map(str, peaks))} |"


def _rows(measured: Measured) -> Iterator[tuple[str, float, float, list[int]]]:
    start = measured.stages[0][0]
    before = max((spent for moment, spent, *_ in measured.samples if moment < start), default=0.0)
    for (begin, stage), (end, _) in pairwise(measured.stages):
        within = [sample[1:] for sample in measured.samples if begin <= sample[0] <= end]
        spent, *memory = zip(*within, strict=True) if within else ((before,), (0,), (0,), (0,))
        yield stage, end - begin, max(spent) - before, [max(each) // MIB for each in memory]
        before = max(spent)


if __name__ == "__main__":
    main()
