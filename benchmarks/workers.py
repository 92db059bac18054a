"""How many documents a minute come through, and what it costs in memory, with 0, 1 and 2 workers.

Each installation ingests the same files twice, in turns: the first time loads models, the second is
reported. Two collections share the work, so that two runs are at it at a time.

    python benchmarks/workers.py                    # 10 minutes; writes docs/performance.md
    python benchmarks/workers.py --documents 40     # a quick look; writes nothing
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from pathlib import Path

from pages import inserted
from systems import System, running

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
COLLECTIONS = ("left", "right")
SENTENCE = "Vessel {number} waits for pilot {other} at lock {third} until the tide has turned. "
SENTENCES = 30
DOCUMENTS = 400
LONGEST_SECONDS = 900.0


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    documents = parser.parse_args().documents
    rows = []
    for title, workers, slots in (
        ("a process per run, two at a time", 0, 2),
        ("one worker, one run at a time", 1, 1),
        ("one worker, two runs at a time", 1, 2),
        ("two workers, one run each", 2, 1),
    ):
        with running(workers, INGEST_WORKER_CONCURRENCY=str(slots)) as system:
            for collection in COLLECTIONS:
                system.collection(collection)
            ingest(system, max(8, documents // 10))
            seconds = ingest(system, documents)
            memory = [f"{each['memory_bytes'] / 2**20:,.0f}" for each in system.workers()]
            rows.append(
                f"| {title} | {documents / seconds * 60:,.0f} | {seconds:.0f} | "
                f"{' and '.join(memory) or 'not kept'} |"
            )
            print(rows[-1], file=sys.stderr)
    report = (
        f"| {documents} documents of {SENTENCES} sentences | a minute | seconds | "
        "MiB of each worker afterwards |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )
    print(report)
    if documents == DOCUMENTS:
        PAGE.write_text(inserted(PAGE.read_text(), "workers", report))
    return 0


def ingest(system: System, documents: int) -> float:
    """Send messages about new files to both collections; return the seconds until all are done."""
    paths = [write(system.sources, number) for number in range(documents)]
    began = time.monotonic()
    task_ids = []
    for number, path in enumerate(paths):
        task_ids.append(uuid.uuid4().hex)
        system.send(task_ids[-1], path, COLLECTIONS[number % 2])
    tasks = system.done(task_ids, LONGEST_SECONDS)
    failed = [task.error for task in tasks if task.error]
    if failed:
        raise RuntimeError(f"{len(failed)} tasks failed: {failed[0]}")
    return time.monotonic() - began


def write(folder: Path, number: int) -> Path:
    """Write a text of which no sentence occurs twice."""
    path = folder / f"{uuid.uuid4().hex}.txt"
    path.write_text(
        "".join(
            SENTENCE.format(number=number, other=uuid.uuid4().hex[:6], third=third)
            for third in range(SENTENCES)
        )
    )
    return path


if __name__ == "__main__":
    sys.exit(main())
