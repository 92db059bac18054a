"""What becomes of documents whose tasks were canceled or ran out of time."""

from __future__ import annotations

import pytest

from ingestion_pipeline.errors import ErrorKind
from ingestion_pipeline.model.documents import STAGES, DocumentState, Stage
from ingestion_pipeline.model.tasks import ReindexOnly, TaskState
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    ask,
    column,
    delete,
    done,
    doubts,
    fail,
    find,
    finish_deletion,
    id_of,
    index,
    let_deadline_pass,
    names,
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

STANDINGS = ["waiting", "claimed", "input"]


def bring_to(registry: Registry, standing: str, name: str) -> str:
    """Submit a second version of a document and bring its task there; return its id."""
    if standing == "input":
        return ask(registry, name)
    (task_id,) = submit(registry, name, version="2")
    if standing == "claimed":
        taken(registry, document_ids=(id_of(name),))
    return task_id


@pytest.mark.parametrize("standing", STANDINGS)
def test_canceling_brings_the_published_version_back(registry: Registry, standing: str) -> None:
    index(registry, "a.txt", version="0", size=99)
    before, version = find(registry, "a.txt"), registry.collections.data_version(KEY, Stage.INDEXED)
    task_id = bring_to(registry, standing, "a.txt")
    assert find(registry, "a.txt").sha256 != before.sha256

    (update,) = registry.tasks.cancel([task_id])

    after = find(registry, "a.txt")
    assert (update.state, task_state(registry, task_id)) == (TaskState.CANCELED,) * 2
    assert after.state is DocumentState.INDEXED
    assert (after.sha256, after.object_key, after.bytes) == (
        before.sha256,
        before.object_key,
        before.bytes,
    )
    assert after.stages == before.stages
    assert registry.collections.data_version(KEY, Stage.INDEXED) == version
    assert registry.documents.totals(KEY).documents == 1
    assert take(registry) is None


@pytest.mark.parametrize("standing", STANDINGS)
def test_canceling_hides_a_document_that_was_never_published(
    registry: Registry, standing: str
) -> None:
    task_id = bring_to(registry, standing, "a.txt")

    registry.tasks.cancel([task_id])

    assert state(registry, "a.txt") is DocumentState.DELETED
    assert registry.documents.find(KEY) == []
    assert list(registry.upkeep.purgeable(KEY)) == [id_of("a.txt")]
    assert take(registry) is None


def test_a_document_hidden_by_a_cancellation_counts_in_no_data_version(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry, stages=STAGES[:2])
    record(registry, claim, done(claim.documents[0], stages=STAGES[:2]))
    assert registry.collections.data_version(KEY, Stage.PARSED).startswith("1-")

    registry.tasks.cancel([task_id])

    assert find(registry, "a.txt").stages == {}
    for stage in STAGES:
        assert registry.collections.data_version(KEY, stage).startswith("0-")


def test_canceling_leaves_a_document_failed_that_had_failed_before(registry: Registry) -> None:
    fail(registry, "a.txt")
    error = find(registry, "a.txt").error
    task_id = bring_to(registry, "claimed", "a.txt")

    registry.tasks.cancel([task_id])

    assert state(registry, "a.txt") is DocumentState.FAILED
    assert find(registry, "a.txt").error == error


@pytest.mark.parametrize("standing", STANDINGS)
def test_a_document_that_another_open_task_wants_is_left_alone(
    registry: Registry, standing: str
) -> None:
    task_id = bring_to(registry, standing, "a.txt")
    (other,) = submit(registry, "a.txt", version="3")
    before = find(registry, "a.txt")

    registry.tasks.cancel([task_id])

    assert find(registry, "a.txt") == before
    registry.claims.release_runs(["run"])
    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, other) is TaskState.SUCCEEDED
    assert task_state(registry, task_id) is TaskState.CANCELED


def test_the_run_that_holds_a_canceled_document_loses_it_and_only_it(registry: Registry) -> None:
    tasks = submit(registry, "a.txt", "b.txt", "c.txt", batch_id="batch")
    claim = taken(registry)
    ids = [each.document_id for each in claim.documents]

    registry.tasks.cancel([tasks[1]])

    assert registry.claims.owned(claim.claim_id) == {ids[0], ids[2]}
    assert registry.publications.announce(claim.claim_id, ids) == {ids[0], ids[2]}
    updates, lost = record_only(registry, claim, *map(done, claim.documents))
    assert lost == [ids[1]]
    assert {update.task_id for update in updates} == {tasks[0], tasks[2]}
    assert [task_state(registry, each) for each in tasks] == [
        TaskState.SUCCEEDED,
        TaskState.CANCELED,
        TaskState.SUCCEEDED,
    ]
    assert state(registry, "b.txt") is DocumentState.DELETED
    assert doubts(registry) == set(), "it was never announced"


def test_progress_of_a_canceled_document_is_told_to_nobody(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry)
    registry.tasks.cancel([task_id])

    lines = [(id_of("a.txt"), Stage.PARSED, 0.5, "parsed")]

    assert registry.tasks.progress(claim.claim_id, lines) == []
    assert registry.tasks.get(task_id).progress == 0


def test_a_canceled_reindex_leaves_every_document_as_it_was(registry: Registry) -> None:
    index(registry, "a.txt", "b.txt", "c.txt")
    fail(registry, "d.txt")
    before = {each.name: each.state for each in registry.documents.find(KEY)}
    task_id = submit_reindex(registry)
    claim = taken(registry, document_ids=(id_of("a.txt"),))
    record(registry, claim, done(claim.documents[0]))
    taken(registry, max_documents=1)

    registry.tasks.cancel([task_id])

    documents = registry.documents.find(KEY)
    assert {each.name: each.state for each in documents} == before
    assert not any(each.force for each in documents)
    assert take(registry) is None


def test_what_was_resubmitted_while_its_deletion_is_under_way_can_be_canceled(
    registry: Registry,
) -> None:
    index(registry, "a.txt")
    deletion = delete(registry, "a.txt")
    (task_id,) = submit(registry, "a.txt")

    registry.tasks.cancel([task_id])

    assert state(registry, "a.txt") is DocumentState.DELETED
    assert take(registry) is None
    finish_deletion(registry, deletion)
    assert task_state(registry, deletion) is TaskState.SUCCEEDED


def test_canceling_what_is_to_be_published_once_more_after_a_crash_does_not_prevent_that(
    registry: Registry,
) -> None:
    index(registry, "a.txt")
    submit(registry, "a.txt", force=True)
    claim = taken(registry)
    registry.publications.announce(claim.claim_id, [id_of("a.txt")])
    registry.tasks.cancel([each.task_id for each in registry.tasks.find()])
    held = registry.publications.hold_doubtful(KEY, "settle", 60)
    assert held is not None
    registry.publications.settle(held, republish=held.document_ids)
    (task_id,) = submit(registry, "a.txt")

    registry.tasks.cancel([task_id])

    assert work_off(registry) == ["a.txt"]


class TestTimeouts:
    """Tasks whose time is over."""

    def test_a_task_whose_time_is_over_ends_and_its_document_has_failed(
        self, registry: Registry
    ) -> None:
        (task_id,) = index(registry, "a.txt")
        late, on_time = submit(registry, "a.txt", "b.txt", version="2")
        claim = taken(registry)
        let_deadline_pass(registry, late)

        (update,) = registry.tasks.expire()

        task, document = registry.tasks.get(late), find(registry, "a.txt")
        assert (update.task_id, update.state) == (late, TaskState.TIMEOUT)
        assert task.state is TaskState.TIMEOUT
        assert task.finished_at is not None
        assert task.error is not None
        assert task.error.kind is ErrorKind.TIMEOUT
        assert (document.state, document.error) == (DocumentState.FAILED, task.error)
        assert registry.claims.owned(claim.claim_id) == {id_of("b.txt")}
        assert registry.documents.totals(KEY).documents == 1, "the published version stays"
        assert task_state(registry, on_time) is TaskState.RUNNING
        assert task_state(registry, task_id) is TaskState.SUCCEEDED

    def test_a_question_that_nobody_answers_in_time_ends_its_task(self, registry: Registry) -> None:
        task_id = ask(registry, "a.txt")
        assert registry.tasks.expire() == []
        let_deadline_pass(registry, task_id)

        registry.tasks.expire()

        assert task_state(registry, task_id) is TaskState.TIMEOUT
        assert state(registry, "a.txt") is DocumentState.FAILED
        assert registry.tasks.get(task_id).question is None

    def test_it_ends_although_no_run_has_its_document_any_more(self, registry: Registry) -> None:
        (task_id,) = submit(registry, "a.txt")
        taken(registry)
        registry.claims.give_back_crashed(["run"])
        let_deadline_pass(registry, task_id)

        registry.tasks.expire()

        assert task_state(registry, task_id) is TaskState.TIMEOUT
        assert take(registry) is None

    def test_a_document_that_another_open_task_wants_does_not_fail(
        self, registry: Registry
    ) -> None:
        (late,) = submit(registry, "a.txt")
        taken(registry)
        (other,) = submit(registry, "a.txt", version="2")
        let_deadline_pass(registry, late)

        registry.tasks.expire()

        assert state(registry, "a.txt") is DocumentState.PROCESSING
        registry.claims.release_runs(["run"])
        work_off(registry)
        assert task_state(registry, other) is TaskState.SUCCEEDED
        assert task_state(registry, late) is TaskState.TIMEOUT

    def test_a_reindex_out_of_time_fails_what_it_did_not_reach(self, registry: Registry) -> None:
        index(registry, "a.txt", "b.txt")
        task_id = submit_reindex(registry, ReindexOnly.ALL)
        claim = taken(registry, max_documents=1)
        record(registry, claim, done(claim.documents[0]))
        (reached,) = names(claim)
        let_deadline_pass(registry, task_id)

        registry.tasks.expire()

        states = {each.name: each.state for each in registry.documents.find(KEY)}
        assert states.pop(reached) is DocumentState.INDEXED
        assert list(states.values()) == [DocumentState.FAILED]

    def test_withdrawing_leaves_no_trace_of_the_claim(self, registry: Registry) -> None:
        (task_id,) = submit(registry, "a.txt")
        taken(registry)
        let_deadline_pass(registry, task_id)

        registry.tasks.expire()

        assert column(registry, "a.txt", "claim_id") is None
