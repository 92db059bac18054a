from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from ingestion_pipeline.errors import ErrorKind, LeaseLostError, TransientError
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import STAGES, Stage
from ingestion_pipeline.model.tasks import Backend, Priority
from ingestion_pipeline.registry.claims import Claim, Wanted
from ingestion_pipeline.tasks import lease
from ingestion_pipeline.tasks.lease import BatchControl, LeaseKeeper
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
        max_documents=1,
        max_bytes=1,
    )
    assert claim is not None
    return claim


def test_a_lease_is_kept_while_the_main_thread_is_busy(
    services: FakeServices, claim: Claim
) -> None:
    with LeaseKeeper(services.registry, claim, LEASE_SECONDS) as kept:
        end = time.monotonic() + 2 * LEASE_SECONDS
        while time.monotonic() < end:
            sum(range(1000))  # holds the interpreter, as a long computation does
        kept.check()
        kept.check_now()
        assert services.registry.claims.release_lapsed() == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]


def test_a_lease_is_not_renewed_after_the_work(services: FakeServices, claim: Claim) -> None:
    with LeaseKeeper(services.registry, claim, LEASE_SECONDS):
        pass
    time.sleep(1.2 * LEASE_SECONDS)

    assert services.registry.claims.release_lapsed() == 1


def test_a_lost_lease_shows_at_the_next_check(services: FakeServices, claim: Claim) -> None:
    with LeaseKeeper(services.registry, claim, LEASE_SECONDS) as kept:
        services.registry.claims.release(claim.claim_id)
        with pytest.raises(LeaseLostError):
            kept.check_now()
        _wait_until_raised(kept.check)


def test_a_renewal_that_does_not_get_through_is_tried_again(
    services: FakeServices, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, failures = services.registry.claims.renew, []

    def sometimes(claim_id: int, lease_seconds: float) -> None:
        if len(failures) < 2:
            failures.append(1)
            raise TransientError(ErrorKind.UNAVAILABLE, "busy")
        renew(claim_id, lease_seconds)

    monkeypatch.setattr(services.registry.claims, "renew", sometimes)
    with LeaseKeeper(services.registry, claim, LEASE_SECONDS) as kept:
        time.sleep(1.5 * LEASE_SECONDS)
        kept.check()
        kept.check_now()

    assert len(failures) == 2


def test_progress_is_written_in_batches_and_told(
    services: FakeServices, claim: Claim, task_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = claim.documents[0].document_id
    with LeaseKeeper(services.registry, claim, LEASE_SECONDS) as kept:
        control = BatchControl(services.registry, services.events, claim, kept)
        control.progress(document_id, Stage.CHUNKED, 0.5, "Chunked.")
        control.check()
        assert services.registry.tasks.get(task_id).progress == 0, "it is too early to write"

        monkeypatch.setattr(lease, "FLUSH_SECONDS", 0)
        control.check()
        assert services.registry.tasks.get(task_id).progress == 0.5

        control.progress(document_id, Stage.EMBEDDED, 0.9, "Embedded.")
        control.flush()
        control.flush()
    assert services.registry.tasks.get(task_id).progress == 0.9
    events = services.events.read(task_id)
    assert [(event.stage, event.message) for event in events][-2:] == [
        (Stage.CHUNKED, "Chunked."),
        (Stage.EMBEDDED, "Embedded."),
    ]


def test_a_control_stops_the_work_when_the_lease_is_lost(
    services: FakeServices, claim: Claim
) -> None:
    with LeaseKeeper(services.registry, claim, LEASE_SECONDS) as kept:
        control = BatchControl(services.registry, services.events, claim, kept)
        control.check()
        services.registry.claims.release(claim.claim_id)
        _wait_until_raised(control.check)


def _wait_until_raised(check: Any) -> None:
    end = time.monotonic() + 10

    def keep_checking() -> None:
        while time.monotonic() < end:
            check()
            time.sleep(0.01)

    with pytest.raises(LeaseLostError):
        keep_checking()
