"""Two workers on two hosts: how they share one collection, and what follows when one is killed.

The hosts are state folders on this machine, with the services of deploy/compose.yaml as processes;
PostgreSQL, a bucket store and Redis are real servers. Each worker has one process and one core.
Three batches go into one collection: on both workers; on both until one is killed; on the one that
is left. What the index holds is compared with what one process builds of the same files in a folder
of its own.

    python benchmarks/hosts.py                  # writes docs/performance.md
    python benchmarks/hosts.py --documents 50   # a quick look; writes nothing
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from documents import write_page
from numpy.typing import NDArray
from pages import inserted

from ingestion_pipeline.client import Batch
from ingestion_pipeline.execution.workers import live_workers
from ingestion_pipeline.model.tasks import Task, TaskState
from ingestion_pipeline.tasks.inspection import compare_index_with_registry
from ingestion_pipeline.tasks.services import Services
from ingestion_pipeline_tests.deploy.cluster import Cluster, Host, cluster
from ingestion_pipeline_tests.faults.clean import CleanBuilds, content
from ingestion_pipeline_tests.servers import bucket_store, postgres

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
COLLECTION = "hosts"
FULL = 500
DOCUMENTS_IN_A_CLAIM = 16
"""Few, so that there is enough for both."""
KILLED_AFTER = 0.25
"""The part of the second batch that is done when a worker is killed."""
LONGEST_SECONDS = 1800.0
POLL_SECONDS = 0.5
SMALLEST_COSINE = 0.999


@dataclass(frozen=True)
class Ingested:
    """What became of one batch."""

    tasks: Sequence[Task]
    seconds: float
    shares: Counter[str]
    """Documents by worker."""

    @property
    def rate(self) -> str:
        """Documents per second."""
        return f"{len(self.tasks) / self.seconds:.1f} documents/s"

    @property
    def failed(self) -> int:
        """How many tasks ended otherwise than they should."""
        return sum(task.state is not TaskState.SUCCEEDED for task in self.tasks)


@dataclass(frozen=True)
class Comparison:
    """An index beside the registry, and beside what one process builds."""

    chunks: int
    missing: int
    surplus: int
    """Rows that should not be there, or are there twice."""
    cosine: float
    """The smallest one between the two vectors of a chunk."""
    differences: int
    """Between index and registry."""

    @property
    def is_equal(self) -> bool:
        """Whether nothing is wrong."""
        wrong = self.missing or self.surplus or self.differences
        return not wrong and self.cosine >= SMALLEST_COSINE

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.chunks} chunks: {self.missing} missing, {self.surplus} too many, vectors alike "
            f"to a cosine of {self.cosine:.5f}; {self.differences} differences to the registry"
        )


def main() -> int:
    """Measure, compare and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=FULL, help="in each of three batches")
    parser.add_argument("--timeline", action="store_true", help="print Dagster's events, too")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ing", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
        postgres() as postgres_url,
        bucket_store() as store,
    ):
        patch.setenv("OMP_NUM_THREADS", "1")
        clean = CleanBuilds(Path(folder) / "clean")  # its settings know of no servers yet
        with (
            closing(clean.services),
            cluster(postgres_url, store, INGEST_DOC_BULK_SIZE=str(DOCUMENTS_IN_A_CLAIM)) as hosts,
        ):
            report, is_good = measure(hosts, clean, Path(folder), arguments.documents)
            if arguments.timeline:
                print("\n".join(hosts.timeline()))
    print(report)
    if arguments.documents >= FULL and is_good and PAGE.exists():
        PAGE.write_text(inserted(PAGE.read_text(), "hosts", report))
    return 0 if is_good else 1


def measure(hosts: Cluster, clean: CleanBuilds, folder: Path, documents: int) -> tuple[str, bool]:
    """Ingest the three batches; return the table, and whether all is as it should be."""
    generator = random.Random(1)

    def batch(size: int) -> list[Path]:
        return [write_page(folder, generator) for _ in range(size)]

    hosts.collection(COLLECTION, max_parallel_runs=2)
    warm_up(hosts, batch)
    first, second, third = batch(documents), batch(documents), batch(documents)

    both = ingested(hosts, first)
    memory = max(beat.memory_bytes for beat in live_workers())
    index_of_both = compared(hosts.services, clean, first)

    halved, killed_at = ingested_by_the_other(hosts, second)
    index_after = compared(hosts.services, clean, second)

    alone = ingested(hosts, third)

    lines = [
        f"| {documents} documents of one page | |",
        "|---|---|",
        f"| two workers | {both.rate}; {shares(both)} |",
        f"| one worker | {alone.rate} |",
        f"| memory of a worker, at most | {memory / 2**20:.0f} MiB |",
        f"| index of both, beside that of one process | {index_of_both} |",
        f"| one of two killed | {recovery(halved, killed_at)} |",
        f"| index then, beside that of one process | {index_after} |",
    ]
    is_good = (
        both.shares.keys() == hosts.workers.keys()
        and not any(each.failed for each in (both, halved, alone))
        and index_of_both.is_equal
        and index_after.is_equal
    )
    return "\n".join(lines) + "\n", is_good


def warm_up(hosts: Cluster, batch: Callable[[int], list[Path]]) -> None:
    """Have each worker load the model."""
    names = [f"warm-{number}" for number in range(len(hosts.workers))]
    warm: set[str] = set()
    while not warm.issuperset(hosts.workers):
        launched = [hosts.client.launch_tasks([*batch(2)], collection=name) for name in names]
        tasks = [task for each in launched for task in each.wait(timeout=LONGEST_SECONDS)]
        warm.update(hosts.documents_by_worker(tasks))


def ingested(hosts: Cluster, paths: Sequence[Path]) -> Ingested:
    """Ingest a batch."""
    began = time.time()
    batch = hosts.client.launch_tasks([*paths], collection=COLLECTION)
    return _ended(hosts, batch, began)


def ingested_by_the_other(hosts: Cluster, paths: Sequence[Path]) -> tuple[Ingested, float]:
    """Ingest a batch, and kill a worker when it is at work on it; return when that was, too."""
    began = time.time()
    batch = hosts.client.launch_tasks([*paths], collection=COLLECTION)
    while batch.progress() < KILLED_AFTER or not (victim := _at_work(hosts)):
        if batch.progress() == 1.0:
            raise RuntimeError("the batch was done before a worker could be killed: use more")
        time.sleep(POLL_SECONDS)
    victim.kill()
    killed_at = time.time()
    return _ended(hosts, batch, began), killed_at


def _at_work(hosts: Cluster) -> Host | None:
    """Return a worker whose run holds documents."""
    runs = hosts.services.registry.claims.live_runs().get(COLLECTION, set())
    for beat in live_workers():
        if runs.intersection(beat.current):
            return hosts.at_work(beat.pid)
    return None


def _ended(hosts: Cluster, batch: Batch, began: float) -> Ingested:
    tasks = batch.wait(timeout=LONGEST_SECONDS)
    seconds = max(task.finished_at or 0 for task in tasks) - began
    return Ingested(tasks, seconds, hosts.documents_by_worker(tasks))


def compared(services: Services, clean: CleanBuilds, paths: Sequence[Path]) -> Comparison:
    """Build the same in one process, and compare."""
    expected = clean.build(COLLECTION, paths).rows
    found = content(services, COLLECTION).rows
    vectors, others = _vectors(services), _vectors(clean.services)
    cosines = [float(vectors[key] @ others[key]) for key in vectors.keys() & others.keys()]
    return Comparison(
        chunks=found.total(),
        missing=(expected - found).total(),
        surplus=(found - expected).total(),
        cosine=min(cosines),
        differences=len(compare_index_with_registry(services, COLLECTION).differences),
    )


def _vectors(services: Services) -> dict[str, NDArray[np.float64]]:
    """Return the vector of each chunk, of length one."""
    index = services.index(services.registry.collections.get(COLLECTION))
    rows = index.snapshot()._columns(["chunk_id", "vector"])  # noqa: SLF001 - no reader needs them
    ids, vectors = rows["chunk_id"].to_pylist(), np.array(rows["vector"].to_pylist())
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return dict(zip(ids, units, strict=True))


def shares(batch: Ingested) -> str:
    """Say who has processed how many documents."""
    return ", ".join(f"{documents} by {name}" for name, documents in sorted(batch.shares.items()))


def recovery(batch: Ingested, killed_at: float) -> str:
    """Say what became of the documents that a killed worker was at."""
    again = [task.finished_at or 0 for task in batch.tasks if task.attempts > 1]
    seconds = f", the last {max(again) - killed_at:.1f} s after the kill" if again else ""
    return f"{batch.failed} failed; {len(again)} taken up again{seconds}; {shares(batch)}"


if __name__ == "__main__":
    sys.exit(main())
