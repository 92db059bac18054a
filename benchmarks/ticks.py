"""How long ticks of sensors and schedules take with many collections.

    .venv/bin/python benchmarks/ticks.py --collections 1000

Makes collections with documents that are all indexed, in a registry of its own under a temporary
folder, then evaluates every sensor and schedule as the daemon does. Nothing waits, so what is
measured is what an idle system costs. Times are seconds, CPU seconds in brackets.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.execution.build_resources import wrap_resource_for_execution

from ingestion_pipeline.components import Collection, FolderSource
from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.model.documents import DocumentState, Stage
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.schema import document_stages, documents, stage_versions
from ingestion_pipeline.resources import services as resource
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline.tasks import tick
from ingestion_pipeline.tasks.services import Services

TICKS = 5


def fill(services: Services, collections: int, each: int) -> None:
    """Make collections that are up to date; every other one has a schedule of its own."""
    registry: Registry = services.registry
    for number in range(collections):
        config = CollectionConfig(schedule="30 3 * * 1-5" if number % 2 else None)
        registry.collections.create(CollectionName("default", f"c{number:05}"), config)
    known = registry.collections.all()
    recipe = services.recipes(known[0])[Stage.INDEXED]
    with registry.database.write() as connection:
        for collection in known:
            ids = [f"{collection.key}-{number}" for number in range(each)]
            connection.execute(documents.insert(), [_document(collection.key, id_) for id_ in ids])
            connection.execute(document_stages.insert(), [_stage(id_, recipe) for id_ in ids])
            connection.execute(
                stage_versions.insert().values(
                    collection_key=collection.key,
                    stage=Stage.INDEXED,
                    multiset="0" * 64,
                    documents=each,
                    changed_at=time.time(),
                )
            )


def _document(key: str, document_id: str) -> dict[str, object]:
    return {
        "document_id": document_id,
        "collection_key": key,
        "name": f"{document_id}.txt",
        "uri": f"file:///{document_id}.txt",
        "state": DocumentState.INDEXED,
        "sha256": "1",
        "fetch": False,
        "index_table": "t",
        "attempts": 0,
        "not_before": 0.0,
        "priority": 0,
        "requested_at": 0.0,
        "force": False,
        "created_at": 0.0,
        "updated_at": 0.0,
    }


def _stage(document_id: str, recipe: str) -> dict[str, object]:
    return {
        "document_id": document_id,
        "stage": Stage.INDEXED,
        "version": "1",
        "recipe": recipe,
        "fingerprint": "f",
        "updated_at": 0.0,
    }


def declared(folder: Path) -> dg.Definitions:
    """Return what users declare: one of each kind that needs no network."""
    folder.mkdir()
    for number in range(200):
        (folder / f"{number}.txt").write_text("words")
    return dg.Definitions.merge(
        dg.build_defs_for_component(
            FolderSource(name="inbox", collection="c00000", folder=str(folder))
        ),
        dg.build_defs_for_component(Collection(name="c00001", schedule="0 3 * * *")),
    )


def measure(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> None:
    """Print what a tick of each sensor and schedule takes, the median of some."""
    for sensor in repository.sensor_defs:
        took = []
        for _ in range(TICKS):
            context = dg.SensorEvaluationContext(
                instance_ref=instance.get_ref(),
                last_tick_completion_time=None,
                last_run_key=None,
                cursor=None,
                repository_name=repository.name,
                repository_def=repository,
                sensor_name=sensor.name,
                resources={"services": wrap_resource_for_execution(resource.ServicesResource())},
            )
            with context:
                took.append(_timed(lambda: sensor.evaluate_tick(context)))  # noqa: B023
        _say(sensor.name, took)
    for schedule in repository.schedule_defs:
        took = []
        for _ in range(TICKS):
            with dg.build_schedule_context(
                instance=instance,
                repository_def=repository,
                scheduled_execution_time=datetime.now(UTC),
                resources={"services": resource.ServicesResource()},
            ) as at:
                took.append(_timed(lambda: schedule.evaluate_tick(at)))  # noqa: B023
        _say(schedule.name, took)


def _timed(act: Callable[[], object]) -> tuple[float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - began, time.process_time() - cpu


def _say(name: str, took: list[tuple[float, float]]) -> None:
    seconds, cpu = (statistics.median(column) for column in zip(*took, strict=True))
    print(f"{name:34} {seconds:6.3f} ({cpu:.3f})")


def main() -> None:
    """Fill a registry and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collections", type=int, default=1000)
    parser.add_argument("--documents", type=int, default=20, help="in each collection")
    arguments = parser.parse_args()
    tick.IDLE_POLL_SECONDS = tick.BUSY_POLL_SECONDS = 0.0  # waiting for a message is no work
    with tempfile.TemporaryDirectory(prefix="ing") as path, EmbeddedRedis(Path(path)) as redis:
        settings = Settings(
            state_dir=Path(path) / "state",
            redis_url=f"unix://{redis.socket}",
            source_roots=(Path(path),),
        )
        services = Services(settings)
        resource.Settings = lambda: settings  # type: ignore[assignment, misc]
        fill(services, arguments.collections, arguments.documents)
        definitions = dg.Definitions.merge(build_defs(), declared(Path(path) / "inbox"))
        with dg.instance_for_test() as instance:
            keys = [each.key for each in services.registry.collections.all()]
            for start in range(0, len(keys), 500):
                instance.add_dynamic_partitions(PARTITIONS_NAME, keys[start : start + 500])
            print(f"{arguments.collections} collections, {arguments.documents} documents each")
            measure(instance, definitions.get_repository_def())


if __name__ == "__main__":
    main()
