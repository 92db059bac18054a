from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest

from ingestion_pipeline.errors import ErrorKind
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import STAGES, Document, DocumentState
from ingestion_pipeline.model.tasks import Backend, Priority, Task, TaskState
from ingestion_pipeline.registry.claims import CRASHES_BEFORE_ALONE, Claim, Wanted
from ingestion_pipeline.registry.runs import RunRecord
from ingestion_pipeline.tasks.reconciliation import Standing, Verdict, reconcile, verdict
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices


@dataclass
class FakeRuns:
    """What Dagster says of runs, and what it was told to stop."""

    known: dict[str, Standing] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)

    def standings(self, run_ids: Sequence[str]) -> Mapping[str, Standing]:
        return {run_id: self.known[run_id] for run_id in run_ids if run_id in self.known}

    def report_stopped(self, run_id: str, reason: str) -> None:
        assert reason
        self.stopped.append(run_id)


@dataclass
class Scene:
    services: FakeServices
    collection: Collection
    write: Any
    runs: FakeRuns = field(default_factory=FakeRuns)

    def submit(self, *names: str) -> tuple[str, ...]:
        paths = [self.write(name, f"Some words in {name}.") for name in names]
        return submit(self.services, self.collection, paths, Priority.NORMAL, {}).task_ids

    def claim(self, run_id: str, *, lease_seconds: float = 60, most: int = 10) -> Claim | None:
        self.services.registry.runs.begin(
            run_id, self.collection.key, "elsewhere:1:1", lease_seconds
        )
        claim, _ = self.services.registry.claims.take(
            self.collection.key,
            Wanted(self.services.recipes(self.collection), STAGES, whole=True),
            run_id=run_id,
            backend=Backend.DAGSTER,
            lease_seconds=lease_seconds,
            task_timeout_seconds=60,
            max_documents=most,
            max_bytes=10**9,
        )
        return claim

    def work(self) -> None:
        run(self.services, self.collection, WorkRequest("worker", Backend.IN_PROCESS))

    def task(self, task_id: str) -> Task:
        return self.services.registry.tasks.get(task_id)

    def document(self, name: str) -> Document:
        found = self.services.registry.documents.find(self.collection.key)
        return next(document for document in found if document.name == name)

    def reconcile(self) -> Any:
        return reconcile(self.services, self.runs)


@pytest.fixture
def scene(services: FakeServices, collection: Collection, write: Any) -> Scene:
    return Scene(services, collection, write)


def record(*, silent: bool, reason: str | None = None) -> RunRecord:
    return RunRecord("run", "elsewhere:1:1", silent, reason)


@pytest.mark.parametrize(("silent", "reason"), [*product((False, True), (None, "lease lapsed"))])
def test_a_batch_is_left_to_dagsters_retry_while_that_is_due(
    silent: bool, reason: str | None
) -> None:
    assert verdict(record(silent=silent, reason=reason), Standing.RETRY_DUE) is Verdict.LEAVE


@pytest.mark.parametrize("silent", [False, True])
def test_a_run_canceled_without_a_reason_was_stopped_by_a_person(silent: bool) -> None:
    assert verdict(record(silent=silent), Standing.CANCELED) is Verdict.CANCEL
    told = record(silent=silent, reason="its lease lapsed")
    assert verdict(told, Standing.CANCELED) is Verdict.GIVE_BACK


@pytest.mark.parametrize("silent", [False, True])
def test_the_batch_of_a_run_that_ended_is_given_back_at_once(silent: bool) -> None:
    assert verdict(record(silent=silent), Standing.ENDED) is Verdict.GIVE_BACK


def test_a_silent_run_is_stopped_first_if_dagster_takes_it_for_alive() -> None:
    assert verdict(record(silent=True), Standing.ACTIVE) is Verdict.STOP_AND_GIVE_BACK
    assert verdict(record(silent=True), Standing.UNKNOWN) is Verdict.GIVE_BACK


def test_a_process_that_is_gone_need_not_be_waited_for_if_dagster_does_not_know_it() -> None:
    assert verdict(record(silent=False), Standing.UNKNOWN, gone=True) is Verdict.GIVE_BACK
    assert verdict(record(silent=False), Standing.ACTIVE, gone=True) is Verdict.LEAVE


@pytest.mark.parametrize("standing", [Standing.ACTIVE, Standing.UNKNOWN])
def test_a_run_that_renews_its_lease_is_left_alone(standing: Standing) -> None:
    assert verdict(record(silent=False), standing) is Verdict.LEAVE


def test_what_a_dead_run_held_is_done_by_another_one(scene: Scene) -> None:
    (task_id,) = scene.submit("a.txt")
    scene.claim("dead")
    scene.runs.known["dead"] = Standing.ENDED

    assert scene.reconcile().given_back == 1
    assert scene.services.registry.runs.find() == []
    assert scene.document("a.txt").state is DocumentState.PENDING
    scene.work()

    task = scene.task(task_id)
    assert (task.state, task.attempts) == (TaskState.SUCCEEDED, 2)


def test_a_reason_is_written_before_a_silent_run_is_stopped(scene: Scene) -> None:
    scene.submit("a.txt")
    scene.claim("silent", lease_seconds=-1)
    scene.runs.known["silent"] = Standing.ACTIVE
    reasons: list[str | None] = []

    def stop(run_id: str, _reason: str) -> None:
        reasons.append(scene.services.registry.runs.reason(run_id))

    scene.runs.report_stopped = stop  # type: ignore[method-assign]
    scene.reconcile()

    assert reasons
    assert reasons[0] is not None


def test_stopping_a_run_is_gone_on_with_if_reconciliation_itself_dies(scene: Scene) -> None:
    (task_id,) = scene.submit("a.txt")
    scene.claim("silent", lease_seconds=-1)
    scene.runs.known["silent"] = Standing.ACTIVE

    def die(_run_id: str, _reason: str) -> None:
        scene.runs.known["silent"] = Standing.CANCELED
        raise KeyboardInterrupt

    stop, scene.runs.report_stopped = scene.runs.report_stopped, die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        scene.reconcile()
    scene.runs.report_stopped = stop  # type: ignore[method-assign]
    scene.reconcile()

    assert scene.task(task_id).state is TaskState.RUNNING, "no person canceled it"
    assert scene.document("a.txt").state is DocumentState.PENDING


def test_tasks_of_a_run_that_a_person_stopped_are_canceled(scene: Scene) -> None:
    stopped, waiting = scene.submit("a.txt", "b.txt")
    scene.claim("stopped", most=1)
    first = scene.services.registry.runs.find()[0].run_id
    scene.runs.known[first] = Standing.CANCELED

    assert scene.reconcile().canceled == 1

    states = {scene.task(stopped).state, scene.task(waiting).state}
    assert states == {TaskState.CANCELED, TaskState.WAITING}
    scene.work()
    assert {scene.task(each).state for each in (stopped, waiting)} == {
        TaskState.CANCELED,
        TaskState.SUCCEEDED,
    }


def test_a_document_that_kills_its_runs_is_tried_alone_and_then_left(scene: Scene) -> None:
    poison, neighbour = scene.submit("a.txt", "b.txt")
    for attempt in range(CRASHES_BEFORE_ALONE):
        claim = scene.claim(f"run {attempt}")
        assert claim is not None
        assert len(claim.documents) == 2
        scene.runs.known[f"run {attempt}"] = Standing.ENDED
        scene.reconcile()

    alone = scene.claim("alone")
    assert alone is not None
    assert [document.name for document in alone.documents] == ["a.txt"]
    scene.runs.known["alone"] = Standing.ENDED
    scene.reconcile()
    scene.work()

    failed = scene.task(poison)
    assert failed.state is TaskState.FAILED
    assert failed.error is not None
    assert failed.error.kind is ErrorKind.QUARANTINED
    assert scene.task(neighbour).state is TaskState.SUCCEEDED


def test_a_person_may_have_a_quarantined_document_tried_again(scene: Scene) -> None:
    (task_id,) = scene.submit("a.txt")
    for attempt in range(CRASHES_BEFORE_ALONE + 1):
        scene.claim(f"run {attempt}")
        scene.runs.known[f"run {attempt}"] = Standing.ENDED
        scene.reconcile()
    assert scene.task(task_id).state is TaskState.FAILED

    scene.services.registry.tasks.retry([task_id])
    scene.work()

    task = scene.task(task_id)
    assert (task.state, task.error) == (TaskState.SUCCEEDED, None)


def test_a_run_that_only_fell_silent_cannot_publish_any_more(scene: Scene) -> None:
    scene.submit("a.txt")
    claim = scene.claim("silent", lease_seconds=-1)
    assert claim is not None
    scene.runs.known["silent"] = Standing.ACTIVE
    scene.reconcile()

    assert scene.runs.stopped == ["silent"]
    with pytest.raises(Exception, match="lapsed"):
        scene.services.registry.publications.announce(
            claim.claim_id, [document.document_id for document in claim.documents]
        )
