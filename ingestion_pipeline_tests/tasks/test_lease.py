from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from ingestion_pipeline.errors import ErrorKind, LeaseLostError, TransientError
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import STAGES, Stage
from ingestion_pipeline.model.tasks import Backend, Priority, TaskState
from ingestion_pipeline.registry.arrivals import Attached
from ingestion_pipeline.registry.claims import Claim, Wanted
from ingestion_pipeline.tasks import lease
from ingestion_pipeline.tasks.lease import LeaseKeeper
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline_tests.fakes import FakeServices

LEASE_SECONDS = 0.4


@pytest.fixture
def task_id(services: FakeServices, collection: Collection, write: Any) -> str:
    return submit(services, collection, [write("a.txt")], Priority.NORMAL, {}).task_ids[0]


@pytest.fixture
def claim(services: FakeServices, collection: Collection, task_id: str) -> Claim:
    wanted = Wanted(services.recipes(collection), STAGES, whole=True)
    claim, _ = services.registry.claims.take(
        "docs",
        wanted,
        run_id="run",
        backend=Backend.IN_PROCESS,
        lease_seconds=LEASE_SECONDS,
        task_timeout_seconds=60,
        max_documents=1,
        max_bytes=1,
    )
    assert claim is not None
    return claim


@pytest.fixture
def keeper(services: FakeServices, collection: Collection) -> LeaseKeeper:
    return LeaseKeeper(
        services.registry,
        services.events,
        "run",
        collection.key,
        LEASE_SECONDS,
    )


def silent(services: FakeServices) -> bool:
    (run,) = services.registry.runs.find()
    return run.silent


def test_leases_of_run_and_batch_are_kept_while_the_main_thread_is_busy(
    services: FakeServices, claim: Claim, keeper: LeaseKeeper
) -> None:
    with keeper, keeper.hold(claim) as batch:
        end = time.monotonic() + 2 * LEASE_SECONDS
        while time.monotonic() < end:
            sum(range(1000))  # holds the interpreter, as a long computation does
        batch.check()
        services.registry.claims.check(claim.claim_id)
        assert not silent(services)
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]


def test_a_lease_is_not_renewed_after_the_work(
    services: FakeServices, claim: Claim, keeper: LeaseKeeper
) -> None:
    with keeper, keeper.hold(claim):
        pass
    time.sleep(1.2 * LEASE_SECONDS)

    assert silent(services)
    with pytest.raises(LeaseLostError):
        services.registry.claims.check(claim.claim_id)


def test_a_run_that_ended_is_known_no_more(services: FakeServices, keeper: LeaseKeeper) -> None:
    with keeper:
        assert [run.run_id for run in services.registry.runs.find()] == ["run"]
    assert services.registry.runs.find() == []


def test_a_lost_lease_shows_at_the_next_check(
    services: FakeServices, claim: Claim, keeper: LeaseKeeper
) -> None:
    with keeper, keeper.hold(claim) as batch:
        batch.check()
        services.registry.claims.release(claim.claim_id)
        with pytest.raises(LeaseLostError):
            batch.announce(
                dict.fromkeys((each.document_id for each in claim.documents), Attached())
            )
        _wait_until_raised(batch.check)


def test_a_canceled_document_is_withdrawn_within_a_second(
    services: FakeServices, claim: Claim, keeper: LeaseKeeper, task_id: str
) -> None:
    (document,) = claim.documents
    with keeper, keeper.hold(claim) as batch:
        assert batch.withdrawn() == set()
        services.registry.tasks.cancel([task_id])
        end = time.monotonic() + 1
        while not batch.withdrawn() and time.monotonic() < end:
            time.sleep(0.01)
        assert batch.withdrawn() == {document.document_id}
        assert batch.announce({document.document_id: Attached()}) == set()
        batch.check()


def test_tasks_run_out_of_time_although_nobody_else_looks(
    services: FakeServices, collection: Collection, keeper: LeaseKeeper, task_id: str
) -> None:
    claim, _ = services.registry.claims.take(
        "docs",
        Wanted(services.recipes(collection), STAGES, whole=True),
        run_id="run",
        backend=Backend.IN_PROCESS,
        lease_seconds=LEASE_SECONDS,
        task_timeout_seconds=0.1,
        max_documents=1,
        max_bytes=1,
    )
    assert claim is not None
    with keeper, keeper.hold(claim) as batch:
        end = time.monotonic() + 2
        while not batch.withdrawn() and time.monotonic() < end:
            time.sleep(0.01)
    task = services.registry.tasks.get(task_id)
    assert task.state is TaskState.TIMEOUT
    assert task.error is not None
    assert task.error.kind is ErrorKind.TIMEOUT


def test_a_renewal_that_does_not_get_through_is_tried_again(
    services: FakeServices, claim: Claim, keeper: LeaseKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, failures = services.registry.claims.renew, []

    def sometimes(claim_id: int, lease_seconds: float) -> None:
        if len(failures) < 1:
            failures.append(1)
            raise TransientError(ErrorKind.UNAVAILABLE, "busy")
        renew(claim_id, lease_seconds)

    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(services.registry.claims, "renew", sometimes)
    with keeper, keeper.hold(claim) as batch:
        time.sleep(1.5 * LEASE_SECONDS)
        batch.check()
        services.registry.claims.check(claim.claim_id)

    assert len(failures) == 1


def test_progress_is_written_in_batches_and_told(
    services: FakeServices,
    claim: Claim,
    keeper: LeaseKeeper,
    task_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document_id = claim.documents[0].document_id
    with keeper, keeper.hold(claim) as batch:
        batch.progress(document_id, Stage.CHUNKED, 0.5, "Chunked.")
        batch.check()
        assert services.registry.tasks.get(task_id).progress == 0, "it is too early to write"

        monkeypatch.setattr(lease, "FLUSH_SECONDS", 0)
        batch.check()
        assert services.registry.tasks.get(task_id).progress == 0.5

        batch.progress(document_id, Stage.EMBEDDED, 0.9, "Embedded.")
        batch.flush()
        batch.flush()
    assert services.registry.tasks.get(task_id).progress == 0.9
    events = services.events.read(task_id)
    assert [(event.stage, event.message) for event in events][-2:] == [
        (Stage.CHUNKED, "Chunked."),
        (Stage.EMBEDDED, "Embedded."),
    ]


def _wait_until_raised(check: Any) -> None:
    end = time.monotonic() + 10

    def keep_checking() -> None:
        while time.monotonic() < end:
            check()
            time.sleep(0.01)

    with pytest.raises(LeaseLostError):
        keep_checking()
