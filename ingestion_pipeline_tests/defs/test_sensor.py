"""The sensor by itself: what it asks Dagster for, given streams, registry and runs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.repository_definition import RepositoryDefinition
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.execution.build_resources import wrap_resource_for_execution

from ingestion_pipeline.model.collections import Collection, CollectionConfig, CollectionName
from ingestion_pipeline.model.documents import STAGES, Stage
from ingestion_pipeline.model.tasks import Backend, Priority, TaskState, TaskType
from ingestion_pipeline.registry import schema
from ingestion_pipeline.registry.claims import Wanted
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.submission import submit, submit_build
from ingestion_pipeline_tests.execution.runs import record_run
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import opened


class Sensor:
    """The sensor as the daemon evaluates it, tick after tick."""

    def __init__(
        self,
        services: FakeServices,
        repository: RepositoryDefinition,
        instance: dg.DagsterInstance,
    ) -> None:
        self._services = services
        self._repository = repository
        self._instance = instance

    def tick(self) -> tuple[list[dg.RunRequest], str | None]:
        """Return the runs that are asked for, or why there are none; add new partitions."""
        data = self._evaluate("task_stream_sensor")
        for request in data.dynamic_partitions_requests or ():
            self._instance.add_dynamic_partitions(
                request.partitions_def_name, request.partition_keys
            )
        return list(data.run_requests or ()), data.skip_message

    def build(self) -> tuple[list[dg.RunRequest], str | None]:
        """Return the builds that are asked for, or why there are none."""
        data = self._evaluate("build_sensor")
        return list(data.run_requests or ()), data.skip_message

    def reconcile(self) -> str:
        """Return what the other sensor did."""
        return self._evaluate("reconcile_sensor").skip_message or ""

    def _evaluate(self, name: str) -> SensorExecutionData:
        # What `build_sensor_context` makes cannot see the instance's partitions.
        context = dg.SensorEvaluationContext(
            instance_ref=self._instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=None,
            log_key=None,
            repository_name=self._repository.name,
            repository_def=self._repository,
            sensor_name=name,
            resources={"services": wrap_resource_for_execution(opened(self._services))},
        )
        with context:
            return self._repository.get_sensor_def(name).evaluate_tick(context)

    def queue(self, request: dg.RunRequest) -> None:
        """Do what the daemon does with a request."""
        record_run(
            self._instance,
            dg.DagsterRunStatus.QUEUED,
            request.partition_key,
            job=request.job_name or "ingest_job",
            tags=request.tags,
        )


@pytest.fixture
def sensor(
    services: FakeServices, repository: RepositoryDefinition, instance: dg.DagsterInstance
) -> Sensor:
    return Sensor(services, repository, instance)


def message(source: Path, **fields: object) -> str:
    """Return what a producer in any language would send."""
    return json.dumps(
        {
            "type": "ingest",
            "collection": "papers",
            "source": {"uri": source.as_uri()},
            **fields,
        }
    )


def states(services: FakeServices) -> list[TaskState]:
    return [task.state for task in services.registry.tasks.find()]


def test_a_message_becomes_a_run_of_its_collection(
    sensor: Sensor,
    services: FakeServices,
    instance: dg.DagsterInstance,
    papers: Collection,
    report: Path,
) -> None:
    services.streams.publish([message(report)], Priority.NORMAL)

    (request,), skipped = sensor.tick()

    assert skipped is None
    assert request.partition_key == "papers"
    assert request.run_key
    assert request.tags["dagster/priority"] == "0"
    assert request.tags["ingestion/tenant"] == "default"
    assert request.tags["ingestion/trigger"] == "stream"
    assert instance.get_dynamic_partitions("collections") == ["papers"]
    assert services.streams.status().length == 0


def test_an_urgent_message_makes_an_urgent_run(
    sensor: Sensor, services: FakeServices, papers: Collection, report: Path
) -> None:
    services.streams.publish([message(report, priority="high")], Priority.HIGH)

    (request,), _ = sensor.tick()

    assert request.tags["dagster/priority"] == "10"


def test_many_messages_for_a_collection_make_one_run(
    sensor: Sensor, services: FakeServices, papers: Collection, tmp_path: Path
) -> None:
    for number in range(5):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"Text number {number}.")
        services.streams.publish([message(path)], Priority.NORMAL)

    requests, _ = sensor.tick()

    assert len(requests) == 1
    assert states(services) == [TaskState.WAITING] * 5


def test_each_collection_gets_a_run_of_its_own(
    sensor: Sensor, services: FakeServices, papers: Collection, report: Path
) -> None:
    services.registry.collections.create(CollectionName("acme", "notes"), CollectionConfig())
    services.streams.publish([message(report)], Priority.NORMAL)
    services.streams.publish([message(report, collection="notes", tenant="acme")], Priority.NORMAL)

    requests, _ = sensor.tick()

    assert {(request.partition_key, request.tags["ingestion/tenant"]) for request in requests} == {
        ("papers", "default"),
        ("acme/notes", "acme"),
    }
    assert len({request.run_key for request in requests}) == 2


def test_while_a_run_of_the_collection_is_queued_no_second_one_is_planned(
    sensor: Sensor, services: FakeServices, papers: Collection, report: Path
) -> None:
    services.streams.publish([message(report)], Priority.NORMAL)
    (request,), _ = sensor.tick()
    sensor.queue(request)

    requests, skipped = sensor.tick()

    assert requests == []
    assert skipped is not None
    assert "1 documents wait; 0 runs planned" in skipped


def test_a_collection_may_have_as_many_runs_as_its_configuration_says(
    sensor: Sensor, services: FakeServices, papers: Collection, report: Path
) -> None:
    services.registry.collections.configure("papers", {"max_parallel_runs": 2})
    services.streams.publish([message(report)], Priority.NORMAL)
    for _ in range(2):
        (request,), _ = sensor.tick()
        sensor.queue(request)

    assert sensor.tick()[0] == []


def test_a_message_that_comes_twice_is_one_task(
    sensor: Sensor, services: FakeServices, papers: Collection, report: Path
) -> None:
    for _ in range(2):
        services.streams.publish([message(report, task_id="t-1")], Priority.NORMAL)
    (request,), _ = sensor.tick()
    sensor.queue(request)
    services.streams.publish([message(report, task_id="t-1")], Priority.NORMAL)

    assert sensor.tick()[0] == []
    assert [task.task_id for task in services.registry.tasks.find()] == ["t-1"]


def test_a_task_whose_message_was_lost_is_planned_anyway(
    sensor: Sensor, services: FakeServices, papers: Collection, report: Path
) -> None:
    submit(services, papers, [report], Priority.NORMAL, {})
    services.redis.flushall()

    requests, _ = sensor.tick()

    assert [request.partition_key for request in requests] == ["papers"]


def test_a_collection_without_work_becomes_a_partition_so_that_people_can_run_it(
    sensor: Sensor, instance: dg.DagsterInstance, papers: Collection
) -> None:
    requests, skipped = sensor.tick()

    assert requests == []
    assert skipped is not None
    assert skipped.endswith("0 documents wait; 0 runs planned")
    assert instance.get_dynamic_partitions("collections") == ["papers"]


def test_a_tick_with_nothing_to_do_says_so(sensor: Sensor) -> None:
    assert sensor.tick() == (
        [],
        "0 messages accepted, 0 put aside; 0 documents wait; 0 runs planned",
    )


def test_what_cannot_be_read_is_put_aside_and_stops_nothing(
    sensor: Sensor, services: FakeServices, papers: Collection, report: Path
) -> None:
    services.streams.publish(["{"], Priority.NORMAL)
    services.streams.publish([message(report)], Priority.NORMAL)

    requests, _ = sensor.tick()

    assert len(requests) == 1
    (letter,) = services.streams.dead_letters()
    assert letter.message == "{"
    assert "not JSON" in letter.reason


class TestRedisAway:
    """The registry goes on without it."""

    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        return settings.model_copy(update={"redis_url": f"unix://{tmp_path / 'none.sock'}"})

    def test_the_tick_is_skipped_with_the_reason(
        self, sensor: Sensor, services: FakeServices
    ) -> None:
        requests, skipped = sensor.tick()

        assert requests == []
        assert skipped is not None
        assert skipped.startswith("Redis does not answer at ")
        assert "start it with `ingest up` or set INGEST_REDIS_URL" in skipped

    def test_accepted_tasks_are_planned_all_the_same(
        self, sensor: Sensor, services: FakeServices, papers: Collection, report: Path
    ) -> None:
        submit(services, papers, [report], Priority.NORMAL, {})

        requests, _ = sensor.tick()

        assert [request.partition_key for request in requests] == ["papers"]


def test_what_a_canceled_run_held_is_canceled_and_what_a_dead_one_held_given_back(
    sensor: Sensor,
    services: FakeServices,
    instance: dg.DagsterInstance,
    tmp_path: Path,
) -> None:
    collection, _ = services.registry.collections.ensure(CollectionName("default", "papers"))
    paths = [tmp_path / name for name in ("a.txt", "b.txt")]
    for path in paths:
        path.write_text(f"Words of {path.name}.")
    submit(services, collection, paths, Priority.NORMAL, {})
    for status in (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE):
        run = record_run(instance, status)
        services.registry.claims.take(
            "papers",
            Wanted(services.recipes(collection), STAGES, whole=True),
            run_id=run.run_id,
            backend=Backend.DAGSTER,
            lease_seconds=60,
            task_timeout_seconds=60,
            max_documents=1,
            max_bytes=10**9,
        )

    assert sensor.reconcile().startswith("1 runs' batches given back, 1 stopped by a person")

    assert sorted(states(services)) == [TaskState.CANCELED, TaskState.RUNNING]
    requests, _ = sensor.tick()
    assert [request.partition_key for request in requests] == ["papers"]


def test_a_build_that_somebody_asks_for_becomes_a_run_of_its_job(
    sensor: Sensor, services: FakeServices, instance: dg.DagsterInstance, papers: Collection
) -> None:
    assert sensor.build() == ([], "nothing is to be built")
    submit_build(services, papers, TaskType.RAPTOR)

    (request,), _ = sensor.build()

    assert (request.job_name, request.partition_key) == ("raptor_job", "papers")
    assert request.tags["dagster/priority"] == "-1"
    assert request.tags["ingestion/tenant"] == "default"
    assert instance.get_dynamic_partitions("collections") == ["papers"]
    sensor.queue(request)
    assert sensor.build() == ([], "nothing is to be built")


def test_a_build_keeps_no_documents_waiting(
    sensor: Sensor, services: FakeServices, papers: Collection, report: Path
) -> None:
    submit_build(services, papers, TaskType.RAPTOR)
    (build,), _ = sensor.build()
    sensor.queue(build)
    services.streams.publish([message(report)], Priority.NORMAL)

    (request,), _ = sensor.tick()

    assert request.partition_key == "papers"


def test_a_thousand_collections_take_the_build_sensor_under_a_second(
    sensor: Sensor, services: FakeServices, report: Path
) -> None:
    with services.registry.database.write() as connection:
        for number in range(1000):
            key = f"c{number:04}"
            config = {"raptor": {"enabled": True}, "mindmap": {"enabled": True}}
            connection.execute(
                schema.collections.insert().values(
                    key=key, tenant="default", name=key, config=config, created_at=0.0
                )
            )
            connection.execute(
                schema.stage_versions.insert().values(
                    collection_key=key,
                    stage=Stage.INDEXED,
                    multiset=f"{number:064x}",
                    documents=1,
                    changed_at=time.time(),
                )
            )
    sensor.build()

    began = time.process_time()  # what other processes take of the machine does not count
    assert sensor.build() == ([], "nothing is to be built")
    assert time.process_time() - began < 1
