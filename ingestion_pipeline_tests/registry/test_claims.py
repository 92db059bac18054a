from __future__ import annotations

import time
from dataclasses import replace

import pytest
import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, LeaseLostError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import STAGES, DocumentState, Stage
from ingestion_pipeline.model.tasks import Priority, TaskState
from ingestion_pipeline.registry.claims import HEAD_START_SECONDS
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.schema import claims, documents
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    column,
    done,
    failed,
    find,
    id_of,
    lapse,
    let_retries_be_due,
    names,
    new_task,
    put_back,
    record,
    record_only,
    state,
    submit,
    submit_reindex,
    take,
    taken,
    task_state,
    work_off,
)


def test_nothing_is_claimed_where_nothing_waits(registry: Registry) -> None:
    assert take(registry) is None
    assert registry.claims.live_runs() == {}


def test_a_claimed_document_is_claimed_by_nobody_else(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt")

    first = taken(registry, max_documents=1)
    second = taken(registry, max_documents=1)

    assert sorted([*names(first), *names(second)]) == ["a.txt", "b.txt"]
    assert take(registry) is None
    assert first.claim_id < second.claim_id


def test_documents_are_claimed_in_the_order_in_which_they_were_asked_for(
    registry: Registry,
) -> None:
    for name in ("c.txt", "a.txt", "b.txt"):
        submit(registry, name)
        time.sleep(0.002)

    assert work_off(registry, max_documents=1) == ["c.txt", "a.txt", "b.txt"]


def test_a_batch_is_bounded_in_number(registry: Registry) -> None:
    submit(registry, *(f"{number}.txt" for number in range(5)))

    assert len(names(taken(registry, max_documents=3))) == 3


def test_a_batch_is_bounded_in_bytes(registry: Registry) -> None:
    submit(registry, *(f"{number}.txt" for number in range(5)), size=40)

    assert len(names(taken(registry, max_bytes=100))) == 2


def test_a_batch_holds_at_least_one_document_however_large(registry: Registry) -> None:
    submit(registry, "large.txt", "small.txt", size=1000)

    assert len(names(taken(registry, max_bytes=100))) == 1


@pytest.mark.parametrize("max_documents", [1, 2, 8])
def test_urgent_documents_go_first(registry: Registry, max_documents: int) -> None:
    submit(registry, *(f"normal-{number}.txt" for number in range(10)))
    submit(registry, "urgent.txt", priority=Priority.HIGH)

    assert "urgent.txt" in names(taken(registry, max_documents=max_documents))


@pytest.mark.parametrize(
    "bounds", [{"max_documents": 1}, {"max_documents": 8}, {"max_bytes": 1000}, {"max_bytes": 1}]
)
def test_normal_documents_do_not_starve_while_urgent_ones_never_end(
    registry: Registry, bounds: dict[str, int]
) -> None:
    submit(registry, *(f"u{number}.txt" for number in range(9)), priority=Priority.HIGH, size=400)
    submit(registry, "normal.txt", size=900)
    assert "normal.txt" not in names(taken(registry, **bounds))
    put_back(registry, "normal.txt", HEAD_START_SECONDS + 60)

    assert "normal.txt" in names(taken(registry, **bounds))


def test_only_named_documents_are_claimed_if_some_are_named(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt", "c.txt")

    assert names(take(registry, document_ids=(id_of("b.txt"),))) == ["b.txt"]
    assert take(registry, document_ids=(id_of("b.txt"),)) is None


def test_documents_of_another_collection_are_not_claimed(registry: Registry) -> None:
    registry.collections.ensure(CollectionName("default", "other"))
    submit(registry, "a.txt")

    assert take(registry, key="other") is None


def test_a_lease_lapses_by_the_clock_of_the_database(registry: Registry) -> None:
    submit(registry, "a.txt")
    lost = taken(registry, run_id="slow", lease_seconds=0.5)
    assert registry.claims.live_runs() == {KEY: {"slow"}}
    time.sleep(0.6)
    assert registry.claims.live_runs() == {}
    assert take(registry) is None, "nobody takes it before it was given back"

    registry.claims.give_back_crashed(["slow"])
    second = taken(registry, run_id="quick")

    assert names(second) == ["a.txt"]
    assert second.claim_id > lost.claim_id
    assert registry.claims.live_runs() == {KEY: {"quick"}}


def test_a_lease_that_holds_can_be_checked_and_renewed(registry: Registry) -> None:
    submit(registry, "a.txt")
    claim = taken(registry, lease_seconds=0.2)

    registry.claims.check(claim.claim_id)
    registry.claims.renew(claim.claim_id, 60)
    time.sleep(0.25)

    registry.claims.check(claim.claim_id)
    assert take(registry) is None


def test_a_lapsed_lease_fails_the_check_but_can_be_renewed_until_it_is_given_back(
    registry: Registry,
) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    lapse(registry, claim)

    with pytest.raises(LeaseLostError):
        registry.claims.check(claim.claim_id)
    registry.claims.renew(claim.claim_id, 60)

    registry.claims.check(claim.claim_id)


def test_a_claim_that_was_given_back_can_be_neither_checked_nor_renewed(registry: Registry) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    registry.claims.release(claim.claim_id)

    with pytest.raises(LeaseLostError):
        registry.claims.check(claim.claim_id)
    with pytest.raises(LeaseLostError):
        registry.claims.renew(claim.claim_id, 60)


def test_what_a_dead_run_held_is_given_back_to_be_planned_again(registry: Registry) -> None:
    submit(registry, "a.txt")
    taken(registry, run_id="dead")

    assert registry.claims.give_back_crashed(["dead", "unheard of"]) == []

    assert state(registry, "a.txt") is DocumentState.PENDING
    assert [waiting.documents for waiting in registry.documents.backlog()] == [1]


def test_the_claims_of_runs_that_ended_are_given_back(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt", "c.txt")
    for run_id in ("one", "one", "other"):
        taken(registry, run_id=run_id, max_documents=1)

    registry.claims.release_runs(["one", "unheard of"])

    assert registry.claims.live_runs() == {KEY: {"other"}}
    assert registry.documents.counts(KEY) == {
        DocumentState.PENDING: 2,
        DocumentState.PROCESSING: 1,
    }


def test_giving_back_twice_is_harmless(registry: Registry) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)

    registry.claims.release(claim.claim_id)
    registry.claims.release(claim.claim_id)

    assert names(take(registry)) == ["a.txt"]


def test_a_fencing_token_never_comes_again(registry: Registry) -> None:
    submit(registry, "a.txt")
    tokens = []
    for _ in range(3):
        claim = taken(registry)
        registry.claims.release(claim.claim_id)
        tokens.append(claim.claim_id)

    assert tokens == sorted(set(tokens))


def test_a_run_whose_documents_were_taken_over_records_nothing(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    lost = taken(registry, run_id="slow")
    registry.claims.give_back_crashed(["slow"])
    second = taken(registry, run_id="quick")

    updates, not_recorded = record_only(registry, lost, done(lost.documents[0]))

    assert updates == []
    assert not_recorded == [id_of("a.txt")]
    assert state(registry, "a.txt") is DocumentState.PROCESSING
    assert find(registry, "a.txt").stages == {}
    assert registry.collections.data_version(KEY, Stage.INDEXED).startswith("0-")
    assert task_state(registry, task_id) is TaskState.RUNNING

    record(registry, second, done(second.documents[0]))
    assert task_state(registry, task_id) is TaskState.SUCCEEDED


def test_of_a_claim_only_what_it_still_holds_is_recorded(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt")
    claim = taken(registry)
    record(registry, claim, done(claim.documents[0]))

    _, not_recorded = record_only(registry, claim, *map(done, claim.documents))

    assert not_recorded == [each.document_id for each in claim.documents]
    assert state(registry, "b.txt") is DocumentState.PENDING


def test_success_is_recorded_with_what_was_learned(registry: Registry) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    result = done(claim.documents[0], chunks=3)
    result.pages, result.media_type, result.index_table = 7, "text/plain", "docs.G1"

    record(registry, claim, result)

    document = find(registry, "a.txt")
    assert document.state is DocumentState.INDEXED
    assert (document.chunks, document.tokens, document.pages) == (3, 30, 7)
    assert document.media_type == "text/plain"
    assert set(document.stages) == set(STAGES)
    published = registry.documents.published(KEY, "docs.G1")
    assert published == {id_of("a.txt"): (document.sha256, 3)}
    assert registry.documents.published_elsewhere(KEY, "docs.G1") == 0
    assert registry.documents.published_elsewhere(KEY, "docs.G2") == 1


def test_fetched_bytes_become_the_version(registry: Registry) -> None:
    submit(registry, "a.txt", version="old")
    claim = taken(registry)
    result = done(claim.documents[0])
    result.version, result.object_key, result.bytes = "f" * 64, "objects/f", 99

    record(registry, claim, result)

    document = find(registry, "a.txt")
    assert (document.sha256, document.object_key, document.bytes) == ("f" * 64, "objects/f", 99)
    assert not document.fetch


def test_a_permanent_error_fails_the_document_at_once(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry)

    record(registry, claim, failed(claim.documents[0], ErrorKind.ENCRYPTED))

    document = find(registry, "a.txt")
    assert document.state is DocumentState.FAILED
    assert document.error is not None
    assert document.error.kind is ErrorKind.ENCRYPTED
    task = registry.tasks.get(task_id)
    assert task.state is TaskState.FAILED
    assert task.error == document.error
    assert take(registry) is None


def test_a_transient_error_is_tried_again_after_a_pause_and_fails_at_the_third_time(
    registry: Registry,
) -> None:
    (task_id,) = submit(registry, "a.txt")
    for _ in range(2):
        claim = taken(registry)
        record(registry, claim, failed(claim.documents[0], transient=True))
        assert state(registry, "a.txt") is DocumentState.PENDING
        assert task_state(registry, task_id) is TaskState.RUNNING
        assert take(registry) is None, "it is not tried again before the pause is over"
        assert registry.documents.backlog() == []
        let_retries_be_due(registry)
    claim = taken(registry)

    record(registry, claim, failed(claim.documents[0], transient=True))

    assert state(registry, "a.txt") is DocumentState.FAILED
    assert registry.tasks.get(task_id).attempts == 3
    assert task_state(registry, task_id) is TaskState.FAILED


def test_the_pause_before_another_try_gets_longer(registry: Registry) -> None:
    submit(registry, "a.txt")
    pauses = []
    for _ in range(2):
        claim = taken(registry)
        before = time.time()
        record(registry, claim, failed(claim.documents[0], transient=True))
        pauses.append(column(registry, "a.txt", "not_before") - before)
        let_retries_be_due(registry)

    assert pauses == [pytest.approx(5, abs=2), pytest.approx(10, abs=3)]


def test_success_after_a_transient_error_succeeds(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry)
    record(registry, claim, failed(claim.documents[0], transient=True))
    let_retries_be_due(registry)

    work_off(registry)

    assert find(registry, "a.txt").error is None
    assert task_state(registry, task_id) is TaskState.SUCCEEDED


def test_a_request_while_a_document_is_worked_on_has_it_worked_on_once_more(
    registry: Registry,
) -> None:
    (first,) = submit(registry, "a.txt")
    claim = taken(registry)
    (second,) = submit(registry, "a.txt", force=True)
    assert state(registry, "a.txt") is DocumentState.PROCESSING

    record(registry, claim, done(claim.documents[0]))

    assert task_state(registry, first) is TaskState.SUCCEEDED
    assert task_state(registry, second) is TaskState.WAITING
    assert find(registry, "a.txt").force
    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, second) is TaskState.SUCCEEDED
    assert not find(registry, "a.txt").force


@pytest.mark.parametrize("transient", [False, True])
def test_a_request_while_a_document_fails_has_it_tried_once_more(
    registry: Registry, transient: bool
) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    (second,) = submit(registry, "a.txt", version="mended")

    record(registry, claim, failed(claim.documents[0], transient=transient))
    let_retries_be_due(registry)

    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, second) is TaskState.SUCCEEDED


def test_a_version_submitted_meanwhile_is_not_overwritten(registry: Registry) -> None:
    submit(registry, "a.txt", version="1")
    claim = taken(registry)
    (second,) = submit(registry, "a.txt", version="2")
    newest = find(registry, "a.txt").sha256
    result = done(claim.documents[0])
    result.object_key, result.bytes = "objects/old", 1

    record(registry, claim, result)

    document = find(registry, "a.txt")
    assert document.sha256 == newest != result.version
    assert document.object_key != "objects/old"
    assert document.state is DocumentState.PENDING
    assert task_state(registry, second) is TaskState.WAITING


def test_a_request_in_the_same_instant_as_the_claim_is_not_lost(registry: Registry) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    (second,) = submit(registry, "a.txt", version="2")
    with registry.database.write() as connection:
        claimed_at = sa.select(claims.c.created_at).scalar_subquery()
        connection.execute(documents.update().values(requested_at=claimed_at))

    record(registry, claim, done(claim.documents[0]))

    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, second) is TaskState.SUCCEEDED


def test_a_fetch_asked_for_meanwhile_is_not_forgotten(registry: Registry) -> None:
    task = new_task("a.txt")
    assert task.document is not None
    remote = replace(task, document=replace(task.document, fetch=True))
    registry.tasks.accept([remote])
    claim = taken(registry)
    assert claim.documents[0].fetch
    registry.tasks.accept([replace(remote, task_id="again")])
    result = done(replace(claim.documents[0], sha256="e" * 64))
    result.object_key, result.bytes = "objects/e", 1

    record(registry, claim, result)

    assert find(registry, "a.txt").fetch
    assert state(registry, "a.txt") is DocumentState.PENDING


class TestSomeStages:
    """Runs that select some of the stages."""

    def test_they_claim_what_is_stale_while_its_upstream_is_current(
        self, registry: Registry
    ) -> None:
        submit(registry, "a.txt", "b.txt", "c.txt")
        claim = taken(registry, stages=(Stage.SOURCED, Stage.PARSED), max_documents=2)
        record(registry, claim, *(done(each, stages=STAGES[:2]) for each in claim.documents))

        assert len(names(taken(registry, stages=(Stage.CHUNKED,)))) == 2
        assert len(names(taken(registry, stages=(Stage.SOURCED,)))) == 1

    def test_another_recipe_makes_documents_stale_from_that_stage_on(
        self, registry: Registry
    ) -> None:
        submit(registry, "a.txt")
        work_off(registry)

        assert take(registry, stages=(Stage.CHUNKED,), edition="2") is None, "parsed is stale too"
        assert names(take(registry, stages=(Stage.SOURCED,), edition="2")) == ["a.txt"]

    def test_nothing_is_claimed_when_the_selected_stages_are_current(
        self, registry: Registry
    ) -> None:
        submit(registry, "a.txt")
        work_off(registry)

        for stage in STAGES:
            assert take(registry, stages=(stage,)) is None

    def test_one_stage_after_the_other_becomes_ready(self, registry: Registry) -> None:
        submit(registry, "a.txt")
        assert take(registry, stages=(Stage.CHUNKED,)) is None, "it is not parsed yet"
        for stage in STAGES:
            claim = taken(registry, stages=(stage,))
            record(registry, claim, done(claim.documents[0], stages=(stage,)))
            assert take(registry, stages=(stage,)) is None

    def test_a_forced_document_is_claimed_although_current(self, registry: Registry) -> None:
        submit(registry, "a.txt", "b.txt")
        work_off(registry)
        registry.documents.force(KEY, [id_of("a.txt")])

        claim = taken(registry, stages=(Stage.PARSED,))
        assert names(claim) == ["a.txt"]
        record(registry, claim, done(claim.documents[0], stages=(Stage.PARSED,)))

        assert take(registry, stages=(Stage.PARSED,)) is None

    def test_an_indexed_document_stays_indexed_while_worked_on_and_when_given_back(
        self, registry: Registry
    ) -> None:
        submit(registry, "a.txt")
        work_off(registry)
        registry.documents.force(KEY, [])

        claim = taken(registry, stages=(Stage.PARSED,))
        assert state(registry, "a.txt") is DocumentState.INDEXED
        registry.claims.release(claim.claim_id)

        assert state(registry, "a.txt") is DocumentState.INDEXED

    @pytest.mark.parametrize("outcome", ["done", "given back"])
    def test_a_request_meanwhile_is_not_lost(self, registry: Registry, outcome: str) -> None:
        submit(registry, "a.txt")
        work_off(registry)
        registry.documents.force(KEY, [])
        claim = taken(registry, stages=(Stage.PARSED,))
        (task_id,) = submit(registry, "a.txt", version="2")

        if outcome == "done":
            record(registry, claim, done(claim.documents[0], stages=(Stage.PARSED,)))
        else:
            registry.claims.release(claim.claim_id)

        assert work_off(registry) == ["a.txt"]
        assert task_state(registry, task_id) is TaskState.SUCCEEDED

    def test_reaching_the_index_stage_by_stage_ends_the_tasks_that_wait_for_it(
        self, registry: Registry
    ) -> None:
        (task_id,) = submit(registry, "a.txt")
        for stage in STAGES:
            assert not task_state(registry, task_id).final
            claim = taken(registry, stages=(stage,))
            record(registry, claim, done(claim.documents[0], stages=(stage,)))

        assert state(registry, "a.txt") is DocumentState.INDEXED
        assert task_state(registry, task_id) is TaskState.SUCCEEDED

    def test_failing_in_one_stage_ends_the_tasks_that_wait(self, registry: Registry) -> None:
        (task_id,) = submit(registry, "a.txt")
        claim = taken(registry, stages=(Stage.SOURCED, Stage.PARSED))
        record(registry, claim, failed(claim.documents[0]))

        assert state(registry, "a.txt") is DocumentState.FAILED
        assert task_state(registry, task_id) is TaskState.FAILED

    def test_a_failed_document_is_not_claimed(self, registry: Registry) -> None:
        submit(registry, "a.txt")
        claim = taken(registry)
        record(registry, claim, failed(claim.documents[0]))

        assert take(registry, stages=(Stage.SOURCED,)) is None

    def test_chunks_count_once_they_are_published(self, registry: Registry) -> None:
        submit(registry, "a.txt")
        work_off(registry)
        registry.documents.force(KEY, [])
        claim = taken(registry, stages=(Stage.CHUNKED,))

        record(registry, claim, done(claim.documents[0], stages=(Stage.CHUNKED,), chunks=9))

        assert (find(registry, "a.txt").chunks, find(registry, "a.txt").tokens) == (2, 20)

    def test_a_reindex_asked_for_before_is_done_afterwards(self, registry: Registry) -> None:
        submit(registry, "a.txt")
        work_off(registry)
        task_id = submit_reindex(registry)
        claim = taken(registry, stages=(Stage.PARSED,), document_ids=(id_of("a.txt"),))
        record(registry, claim, done(claim.documents[0], stages=(Stage.PARSED,)))
        assert not task_state(registry, task_id).final

        assert work_off(registry) == ["a.txt"]
        assert task_state(registry, task_id) is TaskState.SUCCEEDED
