"""Runs that die, and runs that a person stops."""

from __future__ import annotations

import pytest

from ingestion_pipeline.errors import ErrorKind
from ingestion_pipeline.model.documents import STAGES, DocumentState
from ingestion_pipeline.model.tasks import ReindexOnly, TaskState
from ingestion_pipeline.registry.claims import CRASHES_BEFORE_ALONE
from ingestion_pipeline.registry.documents import Selection
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    column,
    crash,
    done,
    fail,
    failed,
    find,
    id_of,
    index,
    names,
    recipes,
    record,
    state,
    submit,
    submit_reindex,
    take,
    taken,
    task_state,
    work_off,
)


def request(registry: Registry, run_id: str, *names: str) -> int:
    """Ask for documents as a run does by itself, for no task."""
    ids = tuple(id_of(name) for name in names)
    selection = Selection(ReindexOnly.ALL, recipes()[STAGES[-1]], document_ids=ids)
    return registry.documents.request(KEY, selection, run_id)


def test_a_document_that_kills_its_runs_is_tried_alone_and_then_left_alone(
    registry: Registry,
) -> None:
    poison, *others = submit(registry, "poison.txt", "a.txt", "b.txt")
    for _ in range(CRASHES_BEFORE_ALONE):
        assert len(crash(registry)) == 3
        assert task_state(registry, poison) is TaskState.RUNNING
    alone = [crash(registry, document_ids=(id_of("poison.txt"),))]

    assert alone == [["poison.txt"]]
    document, task = find(registry, "poison.txt"), registry.tasks.get(poison)
    assert document.state is DocumentState.FAILED
    assert document.error is not None
    assert document.error.kind is ErrorKind.QUARANTINED
    assert (task.state, task.error) == (TaskState.FAILED, document.error)
    assert task.attempts == CRASHES_BEFORE_ALONE + 1
    seen = [taken(registry), taken(registry)]
    assert sorted(name for claim in seen for name in names(claim)) == ["a.txt", "b.txt"]
    assert [len(claim.documents) for claim in seen] == [1, 1], "they are suspects too"
    for claim in seen:
        record(registry, claim, done(claim.documents[0]))
    assert {task_state(registry, each) for each in others} == {TaskState.SUCCEEDED}
    assert take(registry) is None


def test_a_suspect_does_not_hold_up_the_others(registry: Registry) -> None:
    submit(registry, "poison.txt")
    for _ in range(CRASHES_BEFORE_ALONE):
        crash(registry)
    submit(registry, "a.txt", "b.txt")

    batches = [names(taken(registry)), names(taken(registry))]

    assert batches == [["poison.txt"], ["a.txt", "b.txt"]]


@pytest.mark.parametrize("outcome", ["success", "permanent error", "transient error"])
def test_what_does_not_kill_its_run_is_no_suspect_any_more(
    registry: Registry, outcome: str
) -> None:
    submit(registry, "a.txt")
    for _ in range(CRASHES_BEFORE_ALONE):
        crash(registry)
    claim = taken(registry)
    (document,) = claim.documents
    results = {
        "success": done(document),
        "permanent error": failed(document),
        "transient error": failed(document, transient=True),
    }

    record(registry, claim, results[outcome])

    assert column(registry, "a.txt", "crashes") == 0


@pytest.mark.parametrize("while_claimed", [True, False])
def test_asking_again_for_a_suspect_forgets_its_crashes(
    registry: Registry, while_claimed: bool
) -> None:
    submit(registry, "a.txt")
    for _ in range(CRASHES_BEFORE_ALONE):
        crash(registry)
    if while_claimed:
        claim = taken(registry)
        submit(registry, "a.txt", version="2")
        registry.claims.give_back_crashed([claim.run_id])
    else:
        submit(registry, "a.txt", version="2")

    assert state(registry, "a.txt") is DocumentState.PENDING
    assert column(registry, "a.txt", "crashes") == int(while_claimed)


def test_what_was_quarantined_can_be_retried(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    for _ in range(CRASHES_BEFORE_ALONE + 1):
        crash(registry)
    assert task_state(registry, task_id) is TaskState.FAILED

    registry.tasks.retry([task_id])

    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, task_id) is TaskState.SUCCEEDED


def test_what_was_published_of_a_quarantined_document_stays(registry: Registry) -> None:
    index(registry, "a.txt")
    submit(registry, "a.txt", version="2")
    for _ in range(CRASHES_BEFORE_ALONE + 1):
        crash(registry)

    assert state(registry, "a.txt") is DocumentState.FAILED
    assert registry.documents.totals(KEY).documents == 1


def test_runs_that_end_in_good_order_count_no_crash(registry: Registry) -> None:
    submit(registry, "a.txt")
    for _ in range(CRASHES_BEFORE_ALONE + 2):
        taken(registry)
        registry.claims.release_runs(["run"])

    assert column(registry, "a.txt", "crashes") == 0


def test_giving_back_a_dead_run_twice_counts_one_crash(registry: Registry) -> None:
    submit(registry, "a.txt")
    crash(registry)

    registry.claims.give_back_crashed(["run"])

    assert column(registry, "a.txt", "crashes") == 1


def test_only_what_the_dead_run_held_is_given_back(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt")
    taken(registry, run_id="dead", document_ids=(id_of("a.txt"),))
    alive = taken(registry, run_id="alive", document_ids=(id_of("b.txt"),))

    registry.claims.give_back_crashed(["dead"])

    assert registry.claims.owned(alive.claim_id) == {id_of("b.txt")}
    assert column(registry, "b.txt", "crashes") == 0
    assert state(registry, "a.txt") is DocumentState.PENDING


class TestStoppedByAPerson:
    """What becomes of the work of a run that a person stopped."""

    def test_the_tasks_of_its_batch_are_canceled_and_no_others(self, registry: Registry) -> None:
        index(registry, "a.txt")
        before = find(registry, "a.txt")
        mine, waiting = submit(registry, "a.txt", "b.txt", version="2")
        claim = taken(registry, run_id="stopped", document_ids=(id_of("a.txt"),))

        (update,) = registry.claims.cancel_runs(["stopped"])

        assert (update.task_id, update.state) == (mine, TaskState.CANCELED)
        assert "stopped by a person" in update.message
        assert (state(registry, "a.txt"), find(registry, "a.txt").sha256) == (
            DocumentState.INDEXED,
            before.sha256,
        )
        assert task_state(registry, waiting) is TaskState.WAITING
        assert registry.claims.live_runs() == {}
        assert work_off(registry) == ["b.txt"]
        assert claim.run_id == "stopped"

    def test_what_it_asked_for_by_itself_is_withdrawn_also_what_still_waits(
        self, registry: Registry
    ) -> None:
        index(registry, "a.txt", "b.txt", "c.txt")
        fail(registry, "d.txt")
        before = {each.name: each.state for each in registry.documents.find(KEY)}
        assert request(registry, "stopped") == 4
        taken(registry, run_id="stopped", max_documents=2)

        assert registry.claims.cancel_runs(["stopped"]) == []

        documents = registry.documents.find(KEY)
        assert {each.name: each.state for each in documents} == before
        assert not any(each.force for each in documents)
        assert take(registry) is None

    def test_what_a_task_wants_too_stays_wanted(self, registry: Registry) -> None:
        index(registry, "a.txt", "b.txt")
        request(registry, "stopped")
        (task_id,) = submit(registry, "a.txt", version="2")

        registry.claims.cancel_runs(["stopped"])

        assert work_off(registry) == ["a.txt"]
        assert task_state(registry, task_id) is TaskState.SUCCEEDED

    def test_what_another_run_asked_for_stays_wanted(self, registry: Registry) -> None:
        index(registry, "a.txt", "b.txt")
        request(registry, "stopped", "a.txt")
        request(registry, "other", "b.txt")

        registry.claims.cancel_runs(["stopped"])

        assert work_off(registry) == ["b.txt"]

    def test_a_task_asked_for_while_it_worked_goes_on(self, registry: Registry) -> None:
        (mine,) = submit(registry, "a.txt")
        taken(registry, run_id="stopped")
        (later,) = submit(registry, "a.txt", version="2")

        registry.claims.cancel_runs(["stopped"])

        assert task_state(registry, mine) is TaskState.CANCELED
        assert work_off(registry) == ["a.txt"]
        assert task_state(registry, later) is TaskState.SUCCEEDED

    def test_a_reindex_it_worked_on_is_canceled_with_all_its_documents(
        self, registry: Registry
    ) -> None:
        index(registry, "a.txt", "b.txt")
        task_id = submit_reindex(registry)
        taken(registry, run_id="stopped", max_documents=1)
        other = taken(registry, run_id="other", max_documents=1)

        registry.claims.cancel_runs(["stopped"])

        assert task_state(registry, task_id) is TaskState.CANCELED
        assert registry.claims.owned(other.claim_id) == set()
        assert registry.documents.counts(KEY) == {DocumentState.INDEXED: 2}
