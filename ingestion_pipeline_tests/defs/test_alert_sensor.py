"""The sensor on runs of a real instance: what it tells of, and what it does not."""

from __future__ import annotations

import logging
import time

import dagster as dg
import pytest
from dagster._core.definitions.repository_definition import RepositoryDefinition
from dagster._core.storage.tags import WILL_RETRY_TAG

from ingestion_pipeline.execution import finished
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import opened

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


class Lookout:
    """The sensor, tick after tick."""

    def __init__(
        self,
        services: FakeServices,
        repository: RepositoryDefinition,
        instance: dg.DagsterInstance,
        log: pytest.LogCaptureFixture,
    ) -> None:
        self.services = services
        self.repository = repository
        self.instance = instance
        self.cursor: str | None = None
        self._log = log

    def heard(self) -> list[str]:
        """Tick once; return the alerts in the log."""
        self._log.clear()
        with dg.build_sensor_context(
            instance=self.instance,
            repository_def=self.repository,
            resources={"services": opened(self.services)},
            cursor=self.cursor,
        ) as context:
            sensor = self.repository.get_sensor_def("alert_sensor")
            data = sensor.evaluate_tick(context)
            self.cursor = data.cursor
        said = [record.getMessage() for record in self._log.records]
        return [line for line in said if line.startswith("alert (")]

    def put_document(self, state: str) -> None:
        """Have a document in the registry that was asked for in 1970."""
        with self.services.registry.database.write() as connection:
            connection.exec_driver_sql(
                "INSERT INTO documents (document_id, collection_key, name, uri, state, fetch, "
                "attempts, not_before, priority, requested_at, force, created_at, updated_at) "
                f"VALUES ('a', 'papers', 'a', 'file:///a', '{state}', 0, 0, 0, 0, 0, 0, 0, 0)"
            )

    def run(self, severity: dg.AssetCheckSeverity, *, passed: bool, fails: bool = False) -> None:
        """Materialise an asset with a check."""

        @dg.asset(name="rows")
        def rows() -> None:
            if fails:
                raise dg.Failure("no")

        @dg.asset_check(asset=rows)
        def rows_are_right() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=passed, severity=severity, description="two differ")

        dg.materialize([rows, rows_are_right], instance=self.instance, raise_on_error=False)


@pytest.fixture
def lookout(
    services: FakeServices,
    repository: RepositoryDefinition,
    instance: dg.DagsterInstance,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Lookout:
    monkeypatch.setattr(finished, "SETTLED_SECONDS", 0.0)
    caplog.set_level(logging.WARNING)
    made = Lookout(services, repository, instance, caplog)
    assert made.heard() == []
    return made


def test_a_check_that_fails_is_told_of_once_until_it_was_good(lookout: Lookout) -> None:
    heard = []
    for passed in (False, False, True, False):
        lookout.run(ERROR, passed=passed)
        heard.append(lookout.heard())

    line = "alert (check_failed): check rows_are_right of rows failed: two differ"
    assert heard == [[line], [], [], [line]]


def test_a_warning_is_not_told_of(lookout: Lookout) -> None:
    lookout.run(WARN, passed=False)

    assert lookout.heard() == []


def test_a_run_that_failed_is_told_of_unless_dagster_retries_it(lookout: Lookout) -> None:
    lookout.run(ERROR, passed=True, fails=True)
    (told,) = lookout.heard()
    assert told.startswith("alert (run_failed): run ")
    assert lookout.heard() == []

    lookout.run(ERROR, passed=True, fails=True)
    newest = lookout.instance.get_runs(limit=1)[0]
    lookout.instance.add_run_tags(newest.run_id, {WILL_RETRY_TAG: "true"})
    assert lookout.heard() == []


def test_what_happened_before_the_first_look_is_history(lookout: Lookout) -> None:
    lookout.run(ERROR, passed=False, fails=True)
    time.sleep(0.01)
    lookout.cursor = None

    assert lookout.heard() == []


def test_failed_documents_are_told_of(lookout: Lookout, papers: Collection) -> None:
    registry = lookout.services.registry
    registry.collections.configure(papers.key, {"alerts.failed_documents": 1})
    assert lookout.heard() == []
    lookout.put_document("failed")

    (told,) = lookout.heard()
    assert told.startswith("alert (documents_failed): collection papers: 1 of 1 documents failed")
    assert lookout.heard() == []


def test_documents_that_wait_for_long_are_told_of(lookout: Lookout, papers: Collection) -> None:
    registry = lookout.services.registry
    lookout.put_document("pending")
    assert lookout.heard() == []
    registry.collections.configure(papers.key, {"alerts.waiting_seconds": 600})

    (told,) = lookout.heard()
    assert told.startswith("alert (documents_waiting): collection papers: a document waits for ")
    assert lookout.heard() == []
