"""What a batch of documents costs when there are many others already: registry, index, Redis.

The registry is filled to each size with rows as a finished ingestion leaves them, and the index
with as many chunks; then whole batches go through: accepted, claimed, announced, recorded; and
committed. Everything is measured on the size before it grows, so that one run shows how costs grow.

    python benchmarks/scaling.py                          # half an hour; writes docs/scaling.md
    python benchmarks/scaling.py --rows 10000             # a quick look; writes nothing
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa
from pages import inserted

from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.indexing.schema import IndexedDocument
from ingestion_pipeline.model.chunks import Chunk, chunk_id
from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.model.documents import STAGES
from ingestion_pipeline.model.tasks import Backend, Priority, TaskType
from ingestion_pipeline.registry import schema
from ingestion_pipeline.registry.acceptance import NewTask
from ingestion_pipeline.registry.arrivals import NewDocument
from ingestion_pipeline.registry.claims import Claim, Wanted
from ingestion_pipeline.registry.registry import Registry, open_registry
from ingestion_pipeline.registry.results import DocumentResult
from ingestion_pipeline.registry.stage_records import StageResult
from ingestion_pipeline.streams.connection import connect
from ingestion_pipeline.streams.embedded import EmbeddedRedis

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
SIZES = (10_000, 100_000, 1_000_000)
BATCH = 64
CHUNKS_PER_DOCUMENT = 4
DIMENSION = 384
ROWS_AT_ONCE = 5_000
NAME = CollectionName("default", "scaling")
RECIPE = "r" * 64
T = TypeVar("T")


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--batches", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
        tables = [redis_table(Path(folder)), index_table(arguments.rows, arguments.batches, folder)]
        file = Path(folder) / "registry.db"
        with registries(file) as named:
            tables += [
                registry_table(name, registry, file, arguments.rows, arguments.batches)
                for name, registry in named
            ]
    report = "\n".join(tables)
    print(report)
    if tuple(arguments.rows) == SIZES:
        PAGE.write_text(inserted(PAGE.read_text(), "scaling", report))
    return 0


@contextmanager
def registries(file: Path) -> Iterator[list[tuple[str, Registry]]]:
    """An empty registry on SQLite, and one on a PostgreSQL server of its own."""
    from ingestion_pipeline_tests.servers import new_database, postgres

    with postgres() as server:
        yield [
            ("SQLite", open_registry(f"sqlite:///{file}")),
            ("PostgreSQL", open_registry(new_database(server))),
        ]


def registry_table(
    name: str, registry: Registry, file: Path, sizes: Sequence[int], batches: int
) -> str:
    """Render what a batch costs in a registry of each size."""
    registry.collections.create(NAME, CollectionConfig())
    rows = []
    filled = 0
    for size in sizes:
        began = time.perf_counter()
        fill(registry, filled, size)
        filled = size
        print(
            f"{name}: {size} documents after {time.perf_counter() - began:.0f} s", file=sys.stderr
        )
        measured = [batch(registry) for _ in range(batches)]
        costs = [statistics.median(column) * 1000 for column in zip(*measured, strict=True)]
        backlog = timed(registry.documents.backlog)[0] * 1000
        shown = " | ".join(f"{cost / BATCH:.2f}" for cost in costs)
        rows.append(
            f"| {name}, {size:,} | {shown} | {sum(costs) / BATCH:.2f} | {backlog:.1f} | "
            f"{stored_bytes(registry, file) / size / 1024:.1f} |"
        )
    head = (
        "| registry, documents | accept | claim | announce | record | all | "
        "look for work, ms | KiB for each |\n|---|---|---|---|---|---|---|---|\n"
    )
    return (
        f"Milliseconds for each document of a batch of {BATCH}:\n\n{head}" + "\n".join(rows) + "\n"
    )


def stored_bytes(registry: Registry, file: Path) -> int:
    """Return how large the database is; ``file`` is SQLite's."""
    if registry.database.is_sqlite:
        return sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))
    with registry.database.read() as connection:
        size = sa.func.pg_database_size(sa.func.current_database())
        return int(connection.scalar(sa.select(size)) or 0)


def fill(registry: Registry, start: int, end: int) -> None:
    """Insert documents as they are after ingestion, with versions, stages and tasks."""
    now = time.time()
    for first in range(start, end, ROWS_AT_ONCE):
        numbers = range(first, min(first + ROWS_AT_ONCE, end))
        ids = [f"filled-{number:09}" for number in numbers]
        digest = "0" * 64
        parts: list[tuple[sa.Table, list[dict[str, Any]]]] = [
            (schema.documents, [_document_row(each, digest, now) for each in ids]),
            (
                schema.document_versions,
                [
                    {"document_id": each, "sha256": digest, "object_key": each, "created_at": now}
                    for each in ids
                ],
            ),
            (
                schema.document_stages,
                [
                    {
                        "document_id": each,
                        "stage": stage.value,
                        "version": digest,
                        "recipe": RECIPE,
                        "fingerprint": digest,
                        "updated_at": now,
                    }
                    for each in ids
                    for stage in STAGES
                ],
            ),
            (schema.tasks, [_task_row(each, now) for each in ids]),
            (
                schema.task_documents,
                [
                    {"task_id": f"task-{each}", "document_id": each, "outcome": "succeeded"}
                    for each in ids
                ],
            ),
        ]
        with registry.database.write() as connection:
            for table, rows in parts:
                connection.execute(table.insert(), rows)
    if not registry.database.is_sqlite:
        # A server that is filled over months has statistics; here they would come in the middle.
        with registry.database.write() as connection:
            connection.execute(sa.text("ANALYZE"))


def _document_row(document_id: str, digest: str, now: float) -> dict[str, Any]:
    return {
        "document_id": document_id,
        "collection_key": NAME.key,
        "name": f"{document_id}.pdf",
        "uri": f"object:{document_id}",
        "state": "indexed",
        "sha256": digest,
        "object_key": document_id,
        "fetch": False,
        "media_type": "application/pdf",
        "bytes": 100_000,
        "pages": 3,
        "chunks": 12,
        "tokens": 1500,
        "index_table": "scaling.G0000000000000000",
        "attempts": 0,
        "not_before": 0.0,
        "priority": 0,
        "requested_at": now,
        "force": False,
        "created_at": now,
        "updated_at": now,
    }


def _task_row(document_id: str, now: float) -> dict[str, Any]:
    return {
        "task_id": f"task-{document_id}",
        "type": "ingest",
        "collection": NAME.name,
        "tenant": NAME.tenant,
        "document_id": document_id,
        "priority": 0,
        "options": {},
        "state": "succeeded",
        "progress": 1.0,
        "attempts": 1,
        "tokens": 1500,
        "created_at": now,
        "finished_at": now,
    }


def batch(registry: Registry) -> tuple[float, float, float, float]:
    """Take a batch of new documents through the registry; return the seconds of each step."""
    ids = [uuid.uuid4().hex for _ in range(BATCH)]
    tasks = [
        NewTask(
            task_id=f"task-{each}",
            type=TaskType.INGEST,
            collection=NAME.name,
            tenant=NAME.tenant,
            priority=Priority.NORMAL,
            recipe=RECIPE,
            document=NewDocument(
                each, f"{each}.pdf", f"object:{each}", False, each * 2, each, 100_000
            ),
        )
        for each in ids
    ]
    accepting, _ = timed(lambda: registry.tasks.accept(tasks))
    claiming, (claim, _) = timed(lambda: _take(registry))
    assert claim is not None
    assert {document.document_id for document in claim.documents} == set(ids)
    announcing, _ = timed(lambda: registry.publications.announce(claim.claim_id, ids))
    results = [
        DocumentResult(
            each,
            each * 2,
            {stage: StageResult(RECIPE, each * 2) for stage in STAGES},
            object_key=each,
            chunks=12,
            tokens=1500,
            index_table="scaling.G0000000000000000",
        )
        for each in ids
    ]
    recording, _ = timed(
        lambda: registry.claims.record(claim, results, input_timeout_seconds=3600.0)
    )
    registry.claims.release(claim.claim_id)
    return accepting, claiming, announcing, recording


def _take(registry: Registry) -> tuple[Claim | None, Any]:
    return registry.claims.take(
        NAME.key,
        Wanted(dict.fromkeys(STAGES, RECIPE), STAGES, whole=True),
        run_id=uuid.uuid4().hex,
        backend=Backend.IN_PROCESS,
        lease_seconds=600.0,
        task_timeout_seconds=3600.0,
        max_documents=BATCH,
        max_bytes=2**40,
    )


def index_table(sizes: Sequence[int], batches: int, folder: str) -> str:
    """Render what a commit of a batch costs in an index of each size, in chunks."""
    index = CollectionIndex(str(Path(folder) / "lancedb"), NAME.table, "scaling")
    generator = np.random.default_rng(1)
    rows = []
    filled = 0
    for size in sizes:
        began = time.perf_counter()
        while filled < size:
            chunks = min(size - filled, 50_000)
            index.publish([document(generator, chunks)])
            filled += chunks
        seconds, _ = timed(lambda: index.maintain(thorough=True))
        print(f"index: {size} chunks after {time.perf_counter() - began:.0f} s", file=sys.stderr)
        costs = [
            timed(
                lambda: index.publish(
                    [document(generator, CHUNKS_PER_DOCUMENT) for _ in range(BATCH)]
                )
            )[0]
            for _ in range(batches)
        ]
        on_disk = sum(
            path.stat().st_size for path in Path(folder, "lancedb").rglob("*") if path.is_file()
        )
        rows.append(
            f"| {size:,} | {statistics.median(costs) * 1000:.0f} | {seconds:.1f} | "
            f"{on_disk / size / 1024:.1f} |"
        )
    head = (
        "| chunks in the index | commit, ms | upkeep of the index, s | KiB for each chunk |\n"
        "|---|---|---|---|\n"
    )
    made = BATCH * CHUNKS_PER_DOCUMENT
    return f"A commit of {BATCH} documents with {made} chunks:\n\n{head}" + "\n".join(rows) + "\n"


def document(generator: np.random.Generator, chunks: int) -> IndexedDocument:
    """Make a document of random words and vectors."""
    document_id = uuid.uuid4().hex
    words = generator.integers(0, 30_000, (chunks, 90))
    texts = [" ".join(f"w{word}" for word in row) for row in words]
    vectors = generator.standard_normal((chunks, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return IndexedDocument(
        document_id=document_id,
        version="0" * 64,
        fence=1,
        name=f"{document_id}.txt",
        uri=f"object:{document_id}",
        media_type="text/plain",
        chunks=[
            Chunk(chunk_id(document_id, text, 0), document_id, number, text, 128, 0, len(text))
            for number, text in enumerate(texts)
        ],
        vectors=vectors,
    )


def redis_table(folder: Path) -> str:
    """Render what a message costs on the stream, with the embedded server's append-only file."""
    state = folder / "redis"
    state.mkdir()
    with EmbeddedRedis(state):
        client = connect(f"unix://{state / 'redis.sock'}")
        message = {"message": "m" * 300}
        client.xgroup_create("bench", "group", mkstream=True)
        adding, _ = timed(lambda: [client.xadd("bench", message) for _ in range(1000)])

        def read() -> None:
            while found := client.xreadgroup("group", "one", {"bench": ">"}, count=100):
                client.xack("bench", "group", *(entry for entry, _ in found[0][1]))

        reading, _ = timed(read)
    return (
        f"Redis, one producer and one consumer: {1000 / adding:,.0f} messages a second added one "
        f"by one, {1000 / reading:,.0f} read and acknowledged in hundreds.\n"
    )


def timed(action: Callable[[], T]) -> tuple[float, T]:
    """Do something; return the seconds it took, and its result."""
    began = time.perf_counter()
    result = action()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    sys.exit(main())
