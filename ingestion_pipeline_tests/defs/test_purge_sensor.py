from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.repository_definition import RepositoryDefinition
from dagster._core.test_utils import create_run_for_test

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.tasks import Backend, Priority
from ingestion_pipeline.tasks import deletion, purge
from ingestion_pipeline.tasks.submission import submit, submit_deletion
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import opened


def tick(
    services: FakeServices, repository: RepositoryDefinition, instance: dg.DagsterInstance
) -> tuple[int, str | None]:
    """Evaluate the sensor as the daemon does; return how many runs it asks for."""
    with dg.build_sensor_context(
        instance=instance,
        repository_def=repository,
        resources={"services": opened(services)},
    ) as context:
        data = repository.get_sensor_def("purge_sensor").evaluate_tick(context)
    return len(data.run_requests or ()), data.skip_message


@pytest.fixture
def _to_purge(
    services: FakeServices, papers: Collection, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that its client could not have purged."""

    def busy(*_: object, **__: object) -> None:
        raise TransientError(ErrorKind.UNAVAILABLE, "other writers came first")

    submit(services, papers, [report], Priority.NORMAL, {})
    run(services, papers, WorkRequest("run", Backend.IN_PROCESS))
    ids = [each.document_id for each in services.registry.documents.find("papers")]
    with monkeypatch.context() as patch:
        patch.setattr(purge, "purge_collection", busy)
        submit_deletion(services, papers, ids, purge=True)


def test_without_anything_to_purge_the_tick_is_skipped(
    services: FakeServices, repository: RepositoryDefinition, instance: dg.DagsterInstance
) -> None:
    assert tick(services, repository, instance) == (0, "nothing waits to be purged")


@pytest.mark.usefixtures("_to_purge")
def test_a_client_is_given_time_before_a_run_is_started(
    services: FakeServices,
    repository: RepositoryDefinition,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tick(services, repository, instance) == (0, "nothing waits to be purged")
    monkeypatch.setattr(deletion, "CLIENT_SECONDS", -1.0)
    assert tick(services, repository, instance) == (1, None)


@pytest.mark.usefixtures("_to_purge")
def test_one_run_is_started_at_a_time(
    services: FakeServices,
    repository: RepositoryDefinition,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deletion, "CLIENT_SECONDS", -1.0)
    create_run_for_test(instance, job_name="purge_job", status=dg.DagsterRunStatus.STARTED)

    assert tick(services, repository, instance) == (0, "a run purges already")
