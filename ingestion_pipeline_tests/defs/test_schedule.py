from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.repository_definition import RepositoryDefinition

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
