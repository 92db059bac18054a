"""What a month of work leaves behind, and what maintenance takes away of it.

    .venv/bin/python benchmarks/month.py --tasks 10000 --runs 500

Fills a state folder of its own as a month does that has no nightly maintenance: text files that are
added, edited and deleted, in batches, each followed by a run of the real jobs on a real Dagster
instance, some of which fail. After each simulated day everything is made a day older: rows of the
registry and of Dagster's databases, files. Then `maintenance_job` runs twice: as it is set up, and
as it would be with INGEST_HISTORY_DAYS=7. Vectors are made up, since embedding is not what grows;
ticks are one real one per sensor, copied as often as Dagster keeps them. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.storage.compute_log_manager import ComputeIOType

from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
from ingestion_pipeline.embedding import Tokenizer, model_folder
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.indexing.connection import connect
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.registry.schema import metadata
from ingestion_pipeline.resources.services import ServicesResource
from ingestion_pipeline.settings import (
    PACKAGED_MODEL,
    EmbeddingPrecision,
    EmbeddingRuntime,
    Settings,
    project_dir,
)
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline.tasks.services import Services
from ingestion_pipeline.tasks.submission import submit, submit_deletion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingestion_pipeline.control import Control
    from ingestion_pipeline.embedding import Embedder

DAYS = 30
DAY_SECONDS = 86_400
COLLECTIONS = ("contracts", "manuals", "minutes", "papers", "tickets")
WITHDRAWN = "withdrawn"
"""A partition whose collection is gone: runs of it fail."""
EDITED, DELETED = 0.3, 0.1
"""Shares of the tasks; all others bring a new document."""
REINDEX_EVERY, FAILURE_EVERY = 25, 50
READERS_HOURS = 0.0001
"""The month takes minutes: what is older than a run is older than an hour of it."""
WORDS_ON_A_PAGE = 300
SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "ren",
    "tas",
    "vor",
    "bel",
    "dun",
    "fi",
    "gra",
    "hol",
    "jen",
    "pra",
    "qui",
    "sto",
    "tru",
    "wen",
    "zal",
]
SENSOR_SECONDS = {"task_stream_sensor": 7, "reconcile_sensor": 7, "build_sensor": 7}
"""How often a tick is, as seen; 30 s for all others."""
LOGGED_TICK = (
    "INFO - sensor - 20 messages accepted, 0 put aside; 20 documents wait; 1 runs planned\n"
)


class MadeUpEmbedder:
    """Turns a text into a vector of the packaged model's length that depends on nothing else."""

    name = fingerprint = "made-up"
    dimension = 384
    max_tokens = 256
    languages: frozenset[str] | None = frozenset({"en"})
    runtime = EmbeddingRuntime.TORCH
    precision = EmbeddingPrecision.FLOAT32

    def __init__(self) -> None:
        self.tokenizer = Tokenizer(model_folder(PACKAGED_MODEL))

    def encode(self, texts: Sequence[str], control: Control) -> NDArray[np.float32]:
        """Return one vector of length 1 for each text."""
        import numpy as np

        control.check()
        seeds = [hashlib.sha256(text.encode()).digest()[:8] for text in texts]
        rows = [
            np.random.default_rng(int.from_bytes(seed, "big")).standard_normal(self.dimension)
            for seed in seeds
        ]
        vectors = np.array(rows, dtype=np.float32).reshape(len(texts), self.dimension)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return cast("NDArray[np.float32]", vectors / lengths)


class MonthServices(Services):
    """The real services but for the embedding model."""

    made_up = None

    def embedder(self, collection: Collection) -> Embedder:  # noqa: ARG002
        """Return the one there is."""
        self.made_up = self.made_up or MadeUpEmbedder()
        return cast("Embedder", self.made_up)

    def configured_model(self, collection: Collection) -> str:  # noqa: ARG002
        """Return its name."""
        return MadeUpEmbedder.name


@dataclass(frozen=True)
class Opened:
    """A resource of services that are open already."""

    services: Services

    def get(self) -> Services:
        """Return them."""
        return self.services


class Month:
    """Thirty days of one installation."""

    def __init__(self, services: Services, instance: dg.DagsterInstance, folder: Path) -> None:
        self.services = services
        self.instance = instance
        self.folder = folder
        self.random = random.Random(8)
        self.files: dict[str, list[Path]] = {name: [] for name in COLLECTIONS}
        self.defs = definitions(services)
        for name in COLLECTIONS:
            services.registry.collections.ensure(CollectionName("default", name))
        instance.add_dynamic_partitions(PARTITIONS_NAME, [*COLLECTIONS, WITHDRAWN])

    def pass_by(self, tasks: int, runs: int) -> None:
        """Submit, edit and delete documents, with a run after each batch."""
        day = submitted = 0
        for number in range(runs):
            batch = tasks * (number + 1) // runs - submitted
            submitted += batch
            self._work(number, batch)
            if (number + 1) * DAYS // runs > day:
                day += 1
                self._say(f"day {day}: {submitted} tasks, {number + 1} runs")
                make_older(self.services, DAY_SECONDS)

    def _work(self, number: int, batch: int) -> None:
        name = self.random.choice(COLLECTIONS)
        collection = self.services.registry.collections.get(name)
        deleted = min(round(batch * DELETED), len(self.files[name]))
        for _ in range(deleted):
            self._delete(collection)
        edited = min(round(batch * EDITED), len(self.files[name]))
        paths = self.random.sample(self.files[name], edited)
        new = [
            self.folder / f"{name}-{number}-{each}.txt" for each in range(batch - deleted - edited)
        ]
        self.files[name] += new
        for path in (*paths, *new):
            path.write_text(self._page(path.stem), encoding="utf-8")
        submit(self.services, collection, [*paths, *new], Priority.NORMAL, {})
        job = "reindex_job" if number % REINDEX_EVERY == REINDEX_EVERY - 1 else "ingest_job"
        self._run(job, WITHDRAWN if number % FAILURE_EVERY == FAILURE_EVERY - 2 else name)

    def _delete(self, collection: Collection) -> None:
        files = self.files[collection.name.name]
        path = files.pop(self.random.randrange(len(files)))
        found = self.services.registry.documents.find(collection.key)
        ids = [document.document_id for document in found if document.name == path.name]
        submit_deletion(self.services, collection, ids, purge=False)

    def _run(self, job: str, partition: str) -> None:
        self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, partition_key=partition, raise_on_error=False
        )

    def _page(self, title: str) -> str:
        words = [
            "".join(self.random.choices(SYLLABLES, k=self.random.randint(1, 3)))
            for _ in range(WORDS_ON_A_PAGE)
        ]
        sentences = [" ".join(words[start : start + 12]) for start in range(0, len(words), 12)]
        return f"{title}\n\n" + ".\n".join(sentences)

    def _say(self, what: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def definitions(services: Services) -> dg.Definitions:
    """Return the real definitions over these services."""
    return build_defs(cast("ServicesResource", Opened(services)))


def make_older(services: Services, seconds: float) -> None:
    """Make everything that has been recorded and stored so much older."""
    with services.registry.database.write() as connection:
        for table in metadata.sorted_tables:
            times = [column for column in table.columns if isinstance(column.type, sa.Double)]
            changes = {each.name: each - seconds for each in times if each.name != "progress"}
            changes.pop("seconds", None)
            if changes:
                connection.execute(table.update().values(changes))
    state = services.settings.state
    history = state / "dagster" / "history"
    for path in (history / "history" / "runs.db", history / "history" / "runs" / "index.db"):
        _make_rows_older(path, seconds)
    _make_rows_older(history / "schedules" / "schedules.db", seconds)
    for part in (state / "storage", state / "dagster" / "compute_logs", history):
        for folder, _, names in os.walk(part):
            for name in names:
                path = Path(folder, name)
                modified = path.stat().st_mtime - seconds
                os.utime(path, (modified, modified))


def _make_rows_older(database: Path, seconds: float) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for _, column, kind, *_ in connection.execute(
                f'PRAGMA table_info("{table}")'
            ).fetchall():
                if kind in {"TIMESTAMP", "DATETIME"}:
                    older = f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-{seconds} seconds')"
                elif kind == "FLOAT":
                    older = f"{column} - {seconds}"
                else:
                    continue
                connection.execute(f'UPDATE "{table}" SET {column} = {older}')


def add_ticks(services: Services, instance: dg.DagsterInstance, runs: int) -> None:
    """Leave the ticks that Dagster keeps: skipped ones of a day, those with runs of a week.

    And what ticks printed, which it keeps for ever.
    """
    repository = definitions(services).get_repository_def()
    copies: list[tuple[int, int, int]] = []
    for sensor in repository.sensor_defs:
        every = SENSOR_SECONDS.get(sensor.name, 30)
        copies.append(
            (_tick(instance, sensor.name, TickStatus.SKIPPED), DAY_SECONDS // every, every)
        )
    started = max(1, runs * 7 // DAYS)
    tick = _tick(instance, "task_stream_sensor", TickStatus.SUCCESS)
    copies.append((tick, started, 7 * DAY_SECONDS // started))
    path = services.settings.state / "dagster" / "history" / "schedules" / "schedules.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(job_ticks)")][1:]
        listed = ", ".join(columns)
        older = listed.replace(
            "timestamp", "strftime('%Y-%m-%d %H:%M:%f', timestamp, '-' || n * ? || ' seconds')", 1
        )
        for tick, number, every in copies:
            connection.execute(
                f"INSERT INTO job_ticks ({listed}) WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL "
                f"SELECT n + 1 FROM c WHERE n < ?) SELECT {older} FROM job_ticks, c WHERE id = ?",
                (number, every, tick),
            )
    for number in range(runs):
        key = ["__repository__", "task_stream_sensor", str(1_000_000 + number)]
        with instance.compute_log_manager.open_log_stream(key, ComputeIOType.STDERR) as stream:
            if stream:
                stream.write(LOGGED_TICK)
        days = (number + 1) * DAYS / runs
        said = services.settings.state.joinpath("dagster", "compute_logs", *key).with_suffix(".err")
        os.utime(said, (time.time() - days * DAY_SECONDS,) * 2)


def _tick(instance: dg.DagsterInstance, sensor: str, status: TickStatus) -> int:
    skipped = status is TickStatus.SKIPPED
    tick = instance.create_tick(
        TickData(
            instigator_origin_id=hashlib.sha1(sensor.encode()).hexdigest(),
            instigator_name=sensor,
            instigator_type=InstigatorType.SENSOR,
            status=status,
            timestamp=time.time(),
            end_timestamp=time.time(),
            selector_id=hashlib.sha1(sensor.encode()).hexdigest(),
            skip_reason="no messages; 0 documents wait; 0 runs planned" if skipped else None,
            run_ids=[] if skipped else ["0" * 36],
            run_keys=[],
            cursor="1" * 200,
        )
    )
    return int(tick.tick_id)


@dataclass(frozen=True)
class Figures:
    """How much there is."""

    seconds: float
    runs: int
    state_bytes: int
    event_log_bytes: int
    run_and_tick_bytes: int
    registry_bytes: int
    artifacts: int
    artifact_bytes: int
    objects: int
    object_bytes: int
    lancedb_bytes: int
    lancedb_versions: int


def figures(services: Services, instance: dg.DagsterInstance, seconds: float = 0) -> Figures:
    """Look at what there is."""
    state = services.settings.state
    history = state / "dagster" / "history"
    artifacts, objects = (
        list(_sizes(state / "storage" / kind)) for kind in ("artifacts", "objects")
    )
    database = connect(services.settings.lancedb_address)
    tables = [database.open_table(name) for name in database.list_tables().tables]
    return Figures(
        seconds=seconds,
        runs=instance.get_runs_count(),
        state_bytes=sum(_sizes(state)),
        event_log_bytes=sum(_sizes(history / "history" / "runs")),
        run_and_tick_bytes=sum(_sizes(history, "runs.db*", "schedules.db*")),
        registry_bytes=sum(_sizes(state, "registry.db*")),
        artifacts=len(artifacts),
        artifact_bytes=sum(artifacts),
        objects=len(objects),
        object_bytes=sum(objects),
        lancedb_bytes=sum(_sizes(state / "lancedb")),
        lancedb_versions=sum(len(table.list_versions()) for table in tables),
    )


def _sizes(folder: Path, *patterns: str) -> Iterator[int]:
    for pattern in patterns or ("*",):
        for path in folder.rglob(pattern):
            with suppress(FileNotFoundError):
                if path.is_file():
                    yield path.stat().st_size


def table(columns: Sequence[tuple[str, Figures]]) -> str:
    """Return a Markdown table."""
    megabytes: Callable[[float], str] = lambda value: f"{value / 1e6:.1f} MB"  # noqa: E731
    number: Callable[[float], str] = "{:,.0f}".format
    seconds: Callable[[float], str] = lambda value: f"{value:.1f} s" if value else ""  # noqa: E731
    rows = [
        ("state folder", "state_bytes", megabytes),
        ("Dagster: runs kept", "runs", number),
        ("Dagster: event log", "event_log_bytes", megabytes),
        ("Dagster: runs and ticks", "run_and_tick_bytes", megabytes),
        ("registry", "registry_bytes", megabytes),
        ("artifacts", "artifacts", number),
        ("artifacts, size", "artifact_bytes", megabytes),
        ("objects", "objects", number),
        ("objects, size", "object_bytes", megabytes),
        ("LanceDB", "lancedb_bytes", megabytes),
        ("LanceDB: versions", "lancedb_versions", number),
        ("maintenance took", "seconds", seconds),
    ]
    lines = [
        f"| | {' | '.join(title for title, _ in columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for title, name, shown in rows:
        cells = [shown(getattr(each, name)) for _, each in columns]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def maintain(settings: Settings, instance: dg.DagsterInstance) -> Figures:
    """Run the job; show what each op says."""
    with closing(MonthServices(settings)) as services:
        began = time.perf_counter()
        job = definitions(services).resolve_job_def("maintenance_job")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        seconds = time.perf_counter() - began
        for event in result.all_events:
            if event.event_type is dg.DagsterEventType.STEP_OUTPUT:
                told = event.step_output_data.metadata
                plain = {
                    name: value.value
                    for name, value in told.items()
                    if not isinstance(value, dg.TableMetadataValue)
                }
                print(f"{event.step_key}: {plain}")
            elif event.is_step_failure:
                print(f"{event.step_key} FAILED: {event.step_failure_data.error_display_string}")
        return figures(services, instance, seconds)


def main() -> None:
    """Fill a state folder, measure, maintain, measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--folder", type=Path, help="to keep it; by default it is removed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ing") as temporary:
        folder = arguments.folder or Path(temporary)
        sources, state = folder / "sources", folder / "state"
        sources.mkdir(parents=True, exist_ok=True)
        state.mkdir(exist_ok=True)
        os.environ |= {"INGEST_STATE_DIR": str(state), "DAGSTER_HOME": str(project_dir())}
        with EmbeddedRedis(state) as redis, open_instance() as instance:
            settings = Settings(
                state_dir=state,
                redis_url=f"unix://{redis.socket}",
                source_roots=(sources,),
            ).model_copy(update={"index_versions_hours": READERS_HOURS})
            with closing(MonthServices(settings)) as services:
                began = time.perf_counter()
                Month(services, instance, sources).pass_by(arguments.tasks, arguments.runs)
                add_ticks(services, instance, arguments.runs)
                print(f"the month took {time.perf_counter() - began:.0f} s")
                before = figures(services, instance)
            columns = [
                ("before", before),
                ("after", maintain(settings, instance)),
                (
                    "after, 7 days of history",
                    maintain(settings.model_copy(update={"history_days": 7.0}), instance),
                ),
            ]
        print(table(columns))


if __name__ == "__main__":
    main()
