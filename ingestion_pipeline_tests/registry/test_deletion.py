"""Documents that are deleted, and what of them is purged."""

from __future__ import annotations

import random

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import STAGES, DocumentState
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.schema import document_versions
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    ask,
    delete,
    digest,
    done,
    doubts,
    fail,
    failed,
    find,
    finish_deletion,
    id_of,
    index,
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


def data_versions(registry: Registry) -> list[str]:
    return [registry.collections.data_version(KEY, stage) for stage in STAGES]


def test_a_deleted_document_is_gone_for_all_who_list_count_or_ask_for_it(
    registry: Registry,
) -> None:
    index(registry, "a.txt", "b.txt")

    delete(registry, "a.txt")

    assert [each.name for each in registry.documents.find(KEY)] == ["b.txt"]
    assert registry.documents.totals(KEY).documents == 1
    assert set(registry.documents.published(KEY, "docs.G1")) == {id_of("b.txt")}
    assert find(registry, "a.txt").stages == {}
    assert take(registry) is None
    with pytest.raises(PermanentError) as raised:
        registry.documents.require(KEY, [id_of("a.txt")])
    assert raised.value.kind is ErrorKind.NOT_FOUND


def test_what_is_known_of_its_stages_is_forgotten(registry: Registry) -> None:
    index(registry, "b.txt")
    expected = data_versions(registry)
    index(registry, "a.txt")
    assert data_versions(registry) != expected

    delete(registry, "a.txt")

    assert data_versions(registry) == expected


def test_it_ends_when_nothing_is_left_in_the_index_and_not_before(registry: Registry) -> None:
    index(registry, "a.txt", "b.txt")
    task_id = delete(registry, "a.txt", "b.txt")
    assert [task.task_id for task in registry.tasks.deletions()] == [task_id]
    assert set(registry.tasks.documents_of(task_id)) == {id_of("a.txt"), id_of("b.txt")}
    assert doubts(registry) == {"a.txt", "b.txt"}
    held = registry.publications.hold_doubtful(KEY, "settle", 60)
    assert held is not None
    registry.publications.settle(held, agreeing=[id_of("a.txt")])
    registry.tasks.finish_deletion(task_id)
    assert task_state(registry, task_id) is TaskState.WAITING

    finish_deletion(registry, task_id)

    task = registry.tasks.get(task_id)
    assert (task.state, task.progress) == (TaskState.SUCCEEDED, 1)
    assert task.messages[-1].endswith("Task done: 2 documents deleted.")
    assert registry.tasks.deletions() == []


@pytest.mark.parametrize("standing", ["waiting", "claimed", "input", "failed"])
def test_open_tasks_of_a_deleted_document_are_canceled(registry: Registry, standing: str) -> None:
    if standing == "input":
        task_id = ask(registry, "a.txt")
    elif standing == "failed":
        task_id = fail(registry, "a.txt")
        registry.tasks.retry([task_id])
    else:
        (task_id,) = submit(registry, "a.txt")
    if standing == "claimed":
        taken(registry)

    deletion = delete(registry, "a.txt")

    task = registry.tasks.get(task_id)
    assert task.state is TaskState.CANCELED
    assert task.messages[-1].endswith("Its documents were deleted meanwhile.")
    assert (state(registry, "a.txt"), find(registry, "a.txt").error) == (
        DocumentState.DELETED,
        None,
    )
    finish_deletion(registry, deletion)
    assert task_state(registry, deletion) is TaskState.SUCCEEDED


def test_the_run_that_works_on_it_loses_it_and_only_it(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt")
    claim = taken(registry)
    ids = [each.document_id for each in claim.documents]
    registry.publications.announce(claim.claim_id, ids)
    delete(registry, "a.txt")

    assert registry.claims.owned(claim.claim_id) == {id_of("b.txt")}
    _, lost = record_only(registry, claim, *map(done, claim.documents))

    assert lost == [id_of("a.txt")]
    assert state(registry, "a.txt") is DocumentState.DELETED
    assert state(registry, "b.txt") is DocumentState.INDEXED
    assert doubts(registry) == {"a.txt"}


def test_a_reindex_of_several_documents_goes_on_without_the_deleted_one(
    registry: Registry,
) -> None:
    index(registry, "a.txt", "b.txt")
    task_id = submit_reindex(registry)

    delete(registry, "a.txt")

    assert not task_state(registry, task_id).final
    assert work_off(registry) == ["b.txt"]
    assert task_state(registry, task_id) is TaskState.SUCCEEDED


def test_a_reindex_none_of_whose_documents_is_left_is_canceled(registry: Registry) -> None:
    index(registry, "a.txt", "b.txt")
    task_id = submit_reindex(registry)

    delete(registry, "a.txt", "b.txt")

    assert task_state(registry, task_id) is TaskState.CANCELED


def test_deleting_an_unknown_document_fails_and_deletes_none(registry: Registry) -> None:
    index(registry, "a.txt")

    task_id = delete(registry, "a.txt", "unheard-of.txt")

    task = registry.tasks.get(task_id)
    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert task.error.kind is ErrorKind.NOT_FOUND
    assert state(registry, "a.txt") is DocumentState.INDEXED
    assert doubts(registry) == set()


def test_deleting_twice_is_harmless(registry: Registry) -> None:
    index(registry, "a.txt")
    tasks = [delete(registry, "a.txt"), delete(registry, "a.txt")]
    held = registry.publications.hold_doubtful(KEY, "settle", 60)
    assert held is not None
    registry.publications.settle(held, agreeing=held.document_ids)

    for task_id in tasks:
        registry.tasks.finish_deletion(task_id)

    assert {task_state(registry, each) for each in tasks} == {TaskState.SUCCEEDED}


@pytest.mark.parametrize("outcome", ["done", "failed", "stopped", "out of time"])
def test_what_becomes_of_a_resubmitted_document_does_not_end_its_deletion(
    registry: Registry, outcome: str
) -> None:
    index(registry, "a.txt")
    deletion = delete(registry, "a.txt")
    (task_id,) = submit(registry, "a.txt", version="2")
    claim = taken(registry)
    if outcome == "stopped":
        registry.claims.cancel_runs(["run"])
    elif outcome == "out of time":
        registry.tasks.cancel([task_id])
    else:
        record(registry, claim, (done if outcome == "done" else failed)(claim.documents[0]))

    assert task_state(registry, deletion) is TaskState.WAITING
    assert doubts(registry) == {"a.txt"}
    finish_deletion(registry, deletion)
    assert task_state(registry, deletion) is TaskState.SUCCEEDED


def test_a_deleted_document_comes_back_when_it_is_submitted_again(registry: Registry) -> None:
    index(registry, "a.txt")
    expected = data_versions(registry)
    finish_deletion(registry, delete(registry, "a.txt"))

    (task_id,) = submit(registry, "a.txt")

    assert task_state(registry, task_id) is TaskState.WAITING, "it is not unchanged"
    assert work_off(registry) == ["a.txt"]
    assert data_versions(registry) == expected
    assert registry.upkeep.purgeable(KEY) == {}


def test_data_versions_after_deletions_equal_those_of_a_rebuilt_registry(
    registry: Registry,
) -> None:
    chance = random.Random(3)
    everything = [f"{number}.txt" for number in range(6)]
    for number in range(40):
        name = chance.choice(everything)
        step = chance.choice(["submit", "submit", "delete", "cancel", "crash", "work"])
        if step == "submit":
            submit(registry, name, version=str(number % 3))
        elif step == "delete":
            delete(registry, name)  # an unknown one fails
        elif step == "cancel":
            registry.tasks.cancel([task.task_id for task in registry.tasks.find(limit=2)])
        elif (claim := take(registry, max_documents=2)) is not None:
            registry.publications.announce(
                claim.claim_id, [each.document_id for each in claim.documents]
            )
            if step == "crash":
                registry.claims.give_back_crashed(["run"])
            else:
                record(registry, claim, *map(done, claim.documents))
    work_off(registry)
    left = registry.documents.find(KEY)
    expected = data_versions(registry)
    assert 0 < len(left) <= len(everything)

    collection = CollectionName("default", KEY)
    registry.collections.delete(collection)
    registry.collections.ensure(collection)
    for document in left:
        versions = {digest(document.name, version): version for version in "012"}
        submit(registry, document.name, version=versions[document.sha256 or ""])
    work_off(registry)

    assert data_versions(registry) == expected


class TestPurging:
    """What is removed for good."""

    def test_only_deleted_documents_that_are_in_no_doubt_are_purgeable(
        self, registry: Registry
    ) -> None:
        index(registry, "a.txt", "b.txt", "c.txt")
        deletion = delete(registry, "a.txt")
        assert registry.upkeep.purgeable(KEY) == {}
        finish_deletion(registry, deletion)
        delete(registry, "b.txt")

        assert list(registry.upkeep.purgeable(KEY)) == [id_of("a.txt")]
        assert registry.upkeep.purgeable(KEY, [id_of("b.txt"), id_of("c.txt")]) == {}
        assert registry.upkeep.purgeable(KEY, []) == {}

    def test_the_bytes_of_all_its_versions_go(self, registry: Registry) -> None:
        for version in ("1", "2", "3"):
            index(registry, "a.txt", version=version)
        finish_deletion(registry, delete(registry, "a.txt"))

        (keys,) = registry.upkeep.purgeable(KEY).values()

        assert sorted(keys) == sorted(f"objects/{digest('a.txt', each)}" for each in "123")

    def test_bytes_that_another_document_has_too_stay(self, registry: Registry) -> None:
        index(registry, "a.txt", "b.txt")
        with registry.database.write() as connection:
            connection.execute(document_versions.update().values(object_key="objects/shared"))

        finish_deletion(registry, delete(registry, "a.txt"))
        assert registry.upkeep.purgeable(KEY) == {id_of("a.txt"): []}

        finish_deletion(registry, delete(registry, "b.txt"))
        assert registry.upkeep.purgeable(KEY) == {
            id_of("a.txt"): ["objects/shared"],
            id_of("b.txt"): ["objects/shared"],
        }

    def test_what_was_purged_is_forgotten_and_can_be_submitted_anew(
        self, registry: Registry
    ) -> None:
        index(registry, "a.txt", "b.txt")
        finish_deletion(registry, delete(registry, "a.txt"))

        registry.upkeep.forget_deleted(KEY, [id_of("a.txt"), id_of("b.txt")])

        assert registry.documents.find(KEY, [id_of("a.txt")]) == []
        assert state(registry, "b.txt") is DocumentState.INDEXED
        index(registry, "a.txt")
        assert state(registry, "a.txt") is DocumentState.INDEXED

    @pytest.mark.parametrize("deleted_again", [False, True])
    def test_what_was_submitted_again_meanwhile_is_not_forgotten(
        self, registry: Registry, deleted_again: bool
    ) -> None:
        index(registry, "a.txt")
        finish_deletion(registry, delete(registry, "a.txt"))
        assert list(registry.upkeep.purgeable(KEY)) == [id_of("a.txt")]
        index(registry, "a.txt")
        if deleted_again:
            delete(registry, "a.txt")

        registry.upkeep.forget_deleted(KEY, [id_of("a.txt")])

        expected = DocumentState.DELETED if deleted_again else DocumentState.INDEXED
        assert state(registry, "a.txt") is expected

    def test_what_a_cancellation_hid_is_purged_too(self, registry: Registry) -> None:
        (task_id,) = submit(registry, "a.txt")
        registry.tasks.cancel([task_id])

        registry.upkeep.forget_deleted(KEY, list(registry.upkeep.purgeable(KEY)))

        assert registry.documents.find(KEY, [id_of("a.txt")]) == []
