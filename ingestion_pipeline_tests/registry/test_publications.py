"""Where index and registry may differ."""

from __future__ import annotations

import pytest

from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import DocumentState, Stage
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.registry.publications import WATCH_SECONDS, Doubts
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.schema import publications
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    delete,
    done,
    doubts,
    failed,
    find,
    finish_deletion,
    id_of,
    index,
    lapse,
    names,
    record,
    record_only,
    state,
    submit,
    take,
    taken,
    task_state,
    work_off,
)


def announce(registry: Registry, claim: Claim) -> set[str]:
    return registry.publications.announce(
        claim.claim_id, [each.document_id for each in claim.documents]
    )


def hold(registry: Registry) -> Doubts:
    held = registry.publications.hold_doubtful(KEY, "settle", 60)
    assert held is not None
    return held


def let_time_pass(registry: Registry, seconds: float) -> None:
    with registry.database.write() as connection:
        connection.execute(
            publications.update().values(announced_at=publications.c.announced_at - seconds)
        )


@pytest.fixture
def doubtful(registry: Registry) -> Registry:
    """A published document whose next publication was announced by a run that then died."""
    index(registry, "a.txt")
    submit(registry, "a.txt", version="2")
    announce(registry, taken(registry))
    registry.tasks.cancel([each.task_id for each in registry.tasks.find()])
    registry.claims.release_runs(["run"])
    return registry


def test_what_is_recorded_leaves_no_doubt(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt")
    claim = taken(registry)
    assert announce(registry, claim) == {id_of("a.txt"), id_of("b.txt")}
    assert doubts(registry) == {"a.txt", "b.txt"}

    record(registry, claim, *map(done, claim.documents))

    assert doubts(registry) == set()
    assert registry.publications.doubtful_collections() == []


def test_what_is_announced_by_a_run_that_works_is_not_doubtful(registry: Registry) -> None:
    submit(registry, "a.txt")
    announce(registry, taken(registry))

    assert registry.publications.doubtful_collections() == []
    assert registry.publications.hold_doubtful(KEY, "settle", 60) is None


@pytest.mark.parametrize("how", ["lapsed", "given back"])
def test_announcing_without_a_lease_is_refused(registry: Registry, how: str) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    lapse(registry, claim) if how == "lapsed" else registry.claims.release(claim.claim_id)

    with pytest.raises(LeaseLostError):
        announce(registry, claim)

    assert doubts(registry) == set()


def test_only_what_is_still_owned_may_be_committed(registry: Registry) -> None:
    first, _, _ = submit(registry, "a.txt", "b.txt", "c.txt")
    claim = taken(registry)
    registry.tasks.cancel([first])
    delete(registry, "b.txt")

    assert announce(registry, claim) == {id_of("c.txt")}
    assert registry.publications.announce(claim.claim_id, [id_of("a.txt")]) == set()


def test_each_attempt_announces_anew(registry: Registry) -> None:
    first, _ = submit(registry, "a.txt", "b.txt")
    claim = taken(registry)
    announce(registry, claim)
    registry.tasks.cancel([first])

    assert announce(registry, claim) == {id_of("b.txt")}

    assert doubts(registry) == {"a.txt", "b.txt"}, "what was lost may be in another index by now"


def test_a_claim_released_between_announcing_and_recording_leaves_a_doubt(
    registry: Registry,
) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    announce(registry, claim)
    registry.claims.give_back_crashed(["run"])

    assert registry.publications.doubtful_collections() == [KEY]
    _, lost = record_only(registry, claim, done(claim.documents[0]))
    assert lost == [id_of("a.txt")]
    assert doubts(registry) == {"a.txt"}


@pytest.mark.parametrize("what", ["canceled", "deleted", "failed"])
def test_a_document_announced_and_not_recorded_as_published_is_doubtful(
    registry: Registry, what: str
) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry)
    announce(registry, claim)
    if what == "canceled":
        registry.tasks.cancel([task_id])
    if what == "deleted":
        delete(registry, "a.txt")
    result = failed(claim.documents[0]) if what == "failed" else done(claim.documents[0])

    record(registry, claim, result)

    held = hold(registry)
    assert held.document_ids == (id_of("a.txt"),)
    registry.publications.settle(held, agreeing=held.document_ids)
    assert doubts(registry) == set(), "the publisher is through with it"


def test_a_document_that_a_run_has_or_that_waits_for_one_is_not_held(registry: Registry) -> None:
    submit(registry, "a.txt")
    announce(registry, taken(registry))
    registry.claims.give_back_crashed(["run"])
    assert registry.publications.doubtful_collections() == [KEY]
    assert registry.publications.hold_doubtful(KEY, "settle", 60) is None

    claim = taken(registry)
    assert registry.publications.hold_doubtful(KEY, "settle", 60) is None
    record(registry, claim, done(claim.documents[0]))

    assert hold(registry).document_ids == (id_of("a.txt"),), "its first publisher may wake up"


def test_what_was_deleted_is_held_although_it_waits_for_a_run_again(registry: Registry) -> None:
    index(registry, "a.txt")
    delete(registry, "a.txt")
    (task_id,) = submit(registry, "a.txt")

    held = hold(registry)

    assert held.document_ids == (id_of("a.txt"),)
    assert take(registry) is None, "no run publishes it while its old rows are removed"
    registry.publications.settle(held, agreeing=held.document_ids)
    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, task_id) is TaskState.SUCCEEDED


def test_held_documents_are_held_by_one_only_and_claimed_by_nobody(doubtful: Registry) -> None:
    held = hold(doubtful)

    assert doubtful.publications.hold_doubtful(KEY, "second", 60) is None
    doubtful.claims.check(held.claim_id)
    submit(doubtful, "a.txt", version="3")
    assert take(doubtful) is None

    doubtful.claims.release(held.claim_id)
    assert names(take(doubtful)) == ["a.txt"]


def test_doubts_are_those_of_one_collection(doubtful: Registry) -> None:
    doubtful.collections.ensure(CollectionName("default", "other"))

    assert doubtful.publications.hold_doubtful("other", "settle", 60) is None
    assert doubtful.publications.doubtful_collections() == [KEY]


def test_a_publisher_that_has_not_returned_is_watched_until_it_can_be_taken_for_dead(
    doubtful: Registry,
) -> None:
    for passed in (0.0, WATCH_SECONDS - 60):
        let_time_pass(doubtful, passed)
        held = hold(doubtful)
        doubtful.publications.settle(held, agreeing=held.document_ids)
        assert doubts(doubtful) == {"a.txt"}
    let_time_pass(doubtful, 120)

    held = hold(doubtful)
    doubtful.publications.settle(held, agreeing=held.document_ids)

    assert doubts(doubtful) == set()
    assert doubtful.publications.doubtful_collections() == []


def test_what_differs_is_published_once_more(doubtful: Registry) -> None:
    before = doubtful.collections.data_version(KEY, Stage.INDEXED)
    version = find(doubtful, "a.txt").sha256
    held = hold(doubtful)

    doubtful.publications.settle(held, republish=held.document_ids)

    document = find(doubtful, "a.txt")
    assert document.state is DocumentState.PENDING
    assert Stage.INDEXED not in document.stages
    assert Stage.EMBEDDED in document.stages, "what was made of it is used again"
    assert doubtful.collections.data_version(KEY, Stage.INDEXED).startswith("0-")
    assert doubtful.publications.hold_doubtful(KEY, "settle", 60) is None
    assert work_off(doubtful) == ["a.txt"]
    assert find(doubtful, "a.txt").sha256 == version
    assert doubtful.collections.data_version(KEY, Stage.INDEXED) == before
    assert hold(doubtful).document_ids == (id_of("a.txt"),), "it is compared once more"


def test_letting_go_without_a_comparison_keeps_the_doubt(doubtful: Registry) -> None:
    doubtful.claims.release(hold(doubtful).claim_id)

    assert hold(doubtful).document_ids == (id_of("a.txt"),)


def test_a_document_deleted_during_the_comparison_stays_in_doubt(doubtful: Registry) -> None:
    held = hold(doubtful)
    deletion = delete(doubtful, "a.txt")

    doubtful.publications.settle(held, agreeing=held.document_ids)

    assert doubts(doubtful) == {"a.txt"}
    assert doubtful.tasks.finish_deletion(deletion) == []
    let_time_pass(doubtful, WATCH_SECONDS + 60)
    finish_deletion(doubtful, deletion)
    assert task_state(doubtful, deletion) is TaskState.SUCCEEDED


@pytest.mark.parametrize("agrees", [True, False])
def test_a_comparison_whose_lease_lapsed_settles_nothing(doubtful: Registry, agrees: bool) -> None:
    let_time_pass(doubtful, WATCH_SECONDS + 60)
    held = hold(doubtful)
    doubtful.claims.give_back_crashed(["settle"])
    before = find(doubtful, "a.txt")

    doubtful.publications.settle(
        held,
        agreeing=held.document_ids if agrees else [],
        republish=[] if agrees else held.document_ids,
    )

    assert find(doubtful, "a.txt") == before
    assert doubts(doubtful) == {"a.txt"}


def test_a_run_that_died_while_it_compared_costs_no_document_a_crash(doubtful: Registry) -> None:
    for _ in range(5):
        hold(doubtful)
        doubtful.claims.give_back_crashed(["settle"])

    assert state(doubtful, "a.txt") is DocumentState.INDEXED


def test_a_crash_between_commit_and_record_costs_nothing_but_time(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    announce(registry, taken(registry))
    registry.claims.give_back_crashed(["run"])

    assert work_off(registry) == ["a.txt"]

    assert task_state(registry, task_id) is TaskState.SUCCEEDED
    assert hold(registry).document_ids == (id_of("a.txt"),)


def test_what_failed_instead_of_being_published_again_does_not_count_as_published(
    doubtful: Registry,
) -> None:
    held = hold(doubtful)
    doubtful.publications.settle(held, republish=held.document_ids)
    (task_id,) = submit(doubtful, "a.txt", version="3")
    claim = taken(doubtful)
    record(doubtful, claim, failed(claim.documents[0]))
    assert task_state(doubtful, task_id) is TaskState.FAILED
    held = hold(doubtful)

    doubtful.publications.settle(held, agreeing=held.document_ids)

    assert doubtful.documents.totals(KEY).documents == 0
    assert state(doubtful, "a.txt") is DocumentState.FAILED
