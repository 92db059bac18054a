from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.repository_definition import RepositoryDefinition
from dagster._core.execution.build_resources import wrap_resource_for_execution

from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.operations import schedules
from ingestion_pipeline.model.collections import Collection, CollectionConfig, CollectionName
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import opened


def tick(
    services: FakeServices,
    repository: RepositoryDefinition,
    instance: dg.DagsterInstance,
    name: str = "nightly_reindex_schedule",
) -> tuple[list[dg.RunRequest], str | None]:
    """Evaluate the schedule as the daemon does."""
    schedule = repository.get_schedule_def(name)
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2025, 3, 9, 2, tzinfo=UTC),
        repository_def=repository,
        resources={"services": opened(services)},
    ) as context:
        data = schedule.evaluate_tick(context)
    return list(data.run_requests or ()), data.skip_message


def test_a_night_with_nothing_stale_is_skipped_with_the_reason(
    services: FakeServices,
    repository: RepositoryDefinition,
    instance: dg.DagsterInstance,
    papers: Collection,
) -> None:
    assert tick(services, repository, instance) == ([], "no document is stale")


def test_each_collection_with_stale_documents_gets_one_run(
    services: FakeServices,
    repository: RepositoryDefinition,
    instance: dg.DagsterInstance,
    papers: Collection,
    report: Path,
) -> None:
    registry = services.registry.collections
    notes = registry.create(CollectionName("acme", "notes"), CollectionConfig())
    registry.create(CollectionName("default", "empty"), CollectionConfig())
    for collection in (papers, notes):
        submit(services, collection, [report], Priority.NORMAL, {})

    requests, skipped = tick(services, repository, instance)

    assert skipped is None
    assert [
        (
            request.partition_key,
            request.run_key,
            request.job_name,
            request.tags["ingestion/stale_documents"],
        )
        for request in requests
    ] == [
        ("acme/notes", "2025-03-09T02:00-acme/notes", None, "1"),
        ("papers", "2025-03-09T02:00-papers", None, "1"),
    ]


def test_a_collection_with_a_schedule_of_its_own_is_reindexed_by_that_alone(
    services: FakeServices, instance: dg.DagsterInstance, papers: Collection, report: Path
) -> None:
    other, _ = services.registry.collections.ensure(CollectionName("default", "other"))
    for collection in (papers, other):
        submit(services, collection, [report], Priority.NORMAL, {})
    own = schedules.reindex_schedule(papers.name, "30 3 * * *", "Europe/Berlin")
    repository = dg.Definitions.merge(
        build_defs(opened(services)), dg.Definitions(schedules=[own])
    ).get_repository_def()

    nightly, _ = tick(services, repository, instance)
    its_own, _ = tick(services, repository, instance, "papers_reindex_schedule")

    assert [request.partition_key for request in nightly] == ["other"]
    assert [request.partition_key for request in its_own] == ["papers"]
    assert own.execution_timezone == "Europe/Berlin"


def test_what_is_being_reindexed_is_not_reindexed_twice(
    services: FakeServices,
    repository: RepositoryDefinition,
    instance: dg.DagsterInstance,
    papers: Collection,
    report: Path,
) -> None:
    submit(services, papers, [report], Priority.NORMAL, {})
    instance.create_run_for_job(
        repository.get_job("reindex_job"),
        tags={"dagster/partition": papers.key},
        status=dg.DagsterRunStatus.STARTED,
    )

    assert tick(services, repository, instance) == (
        [],
        "what is stale is being reindexed already",
    )


class Clock:
    """Looks of the sensor at times that a test names, one after the other."""

    def __init__(
        self,
        services: FakeServices,
        instance: dg.DagsterInstance,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.services = services
        self.instance = instance
        self.cursor: str | None = None
        self._patch = monkeypatch

    def look(
        self, *at: int, own: Sequence[dg.ScheduleDefinition] = ()
    ) -> tuple[list[str | None], str | None]:
        """Return the run keys asked for at a time of UTC, or why there are none."""
        repository = dg.Definitions.merge(
            build_defs(opened(self.services)), dg.Definitions(schedules=own)
        ).get_repository_def()
        now = datetime(2025, 3, *at, tzinfo=UTC).timestamp()  # type: ignore[arg-type]
        self._patch.setattr(schedules.time, "time", lambda: now)
        # What `build_sensor_context` makes cannot see the instance's partitions.
        context = dg.SensorEvaluationContext(
            instance_ref=self.instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=self.cursor,
            log_key=None,
            repository_name=repository.name,
            repository_def=repository,
            sensor_name="reindex_sensor",
            resources={"services": wrap_resource_for_execution(opened(self.services))},
        )
        with context:
            data = repository.get_sensor_def("reindex_sensor").evaluate_tick(context)
        self.cursor = data.cursor
        return [each.run_key for each in data.run_requests or ()], data.skip_message


@pytest.fixture
def clock(
    services: FakeServices, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Clock:
    return Clock(services, instance, monkeypatch)


def test_a_schedule_that_was_set_by_command_is_kept_in_its_time_zone(
    services: FakeServices,
    repository: RepositoryDefinition,
    clock: Clock,
    papers: Collection,
    report: Path,
) -> None:
    submit(services, papers, [report], Priority.NORMAL, {})
    options = {"schedule": "30 3 * * *", "timezone": "Asia/Tokyo"}  # 18:30 in UTC
    services.registry.collections.configure(papers.key, options)

    assert clock.look(8, 18, 0) == ([], "no collection is due")
    assert clock.look(8, 18, 29, 59) == ([], "no collection is due")
    assert clock.look(8, 18, 30, 10) == (["2025-03-09T03:30-papers"], None)
    assert clock.look(8, 18, 30, 40) == ([], "no collection is due")
    assert tick(services, repository, clock.instance) == ([], "no collection is due")


def test_what_was_missed_is_made_up_for_once(
    services: FakeServices, clock: Clock, papers: Collection, report: Path
) -> None:
    submit(services, papers, [report], Priority.NORMAL, {})
    services.registry.collections.configure(papers.key, {"schedule": "0 * * * *"})

    clock.look(8, 18, 30)

    assert clock.look(10, 7, 30) == (["2025-03-10T07:00-papers"], None)
    assert clock.look(10, 7, 31) == ([], "no collection is due")


def test_a_time_zone_alone_is_that_of_the_night(
    services: FakeServices, clock: Clock, papers: Collection, report: Path
) -> None:
    submit(services, papers, [report], Priority.NORMAL, {})
    services.registry.collections.configure(papers.key, {"timezone": "Asia/Tokyo"})

    clock.look(8, 16, 59)

    assert clock.look(8, 17, 0, 1) == (["2025-03-09T02:00-papers"], None)


def test_a_schedule_among_the_definitions_goes_before_one_that_was_set(
    services: FakeServices, clock: Clock, papers: Collection, report: Path
) -> None:
    submit(services, papers, [report], Priority.NORMAL, {})
    services.registry.collections.configure(papers.key, {"schedule": "0 * * * *"})
    own = [schedules.reindex_schedule(papers.name, "0 * * * *", None)]

    clock.look(8, 18, 30, own=own)

    assert clock.look(8, 19, 30, own=own) == ([], "no collection is due")


def test_a_night_that_does_not_exist_in_spring_is_not_left_out(
    services: FakeServices, clock: Clock, papers: Collection, report: Path
) -> None:
    submit(services, papers, [report], Priority.NORMAL, {})
    services.registry.collections.configure(papers.key, {"timezone": "Europe/Berlin"})

    clock.look(30, 0, 30)  # 01:30; the next minute after 01:59 is 03:00

    assert len(clock.look(30, 1, 30)[0]) == 1


def test_the_night_begins_in_the_time_zone_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INGEST_TIMEZONE", "Asia/Tokyo")
    try:
        importlib.reload(schedules)
        for schedule in (
            schedules.nightly_reindex_schedule,
            schedules.nightly_maintenance_schedule,
        ):
            assert schedule.execution_timezone == "Asia/Tokyo"
    finally:
        monkeypatch.undo()
        importlib.reload(schedules)
