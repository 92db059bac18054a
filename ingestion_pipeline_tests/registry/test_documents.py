from __future__ import annotations

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import DocumentState, Stage
from ingestion_pipeline.model.tasks import Priority, ReindexOnly, TaskState
from ingestion_pipeline.registry.documents import Selection
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    ask,
    delete,
    done,
    failed,
    id_of,
    names,
    put_back,
    recipes,
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


@pytest.fixture
def mixed(registry: Registry) -> Registry:
    """Documents of every kind: indexed, made by an old recipe, failed, of a newer version."""
    submit(registry, "old.txt")
    work_off(registry, edition="0")
    submit(registry, "failed.txt", "current.txt", "newer.txt")
    claim = taken(registry)
    for each in claim.documents:
        result = failed(each) if each.name == "failed.txt" else done(each)
        record_only(registry, claim, result)
    registry.claims.release(claim.claim_id)
    submit(registry, "newer.txt", version="2")
    return registry


def selection(only: ReindexOnly, **changes: object) -> Selection:
    return Selection(only, recipes()[Stage.INDEXED], **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        (ReindexOnly.STALE, {"old.txt", "newer.txt"}),
        (ReindexOnly.FAILED, {"failed.txt"}),
        (ReindexOnly.ALL, {"old.txt", "newer.txt", "failed.txt", "current.txt"}),
    ],
)
def test_a_reindex_takes_what_its_selection_says(
    mixed: Registry, only: ReindexOnly, chosen: set[str]
) -> None:
    assert mixed.documents.request(KEY, selection(only), "run") == len(chosen)

    assert set(work_off(mixed)) == chosen | {"newer.txt"}


def test_named_documents_are_taken_whatever_their_state(mixed: Registry) -> None:
    ids = (id_of("failed.txt"), id_of("current.txt"))

    assert mixed.documents.request(KEY, selection(ReindexOnly.STALE, document_ids=ids), "run") == 2

    assert set(work_off(mixed)) == {"failed.txt", "current.txt", "newer.txt"}


def test_force_takes_unchanged_documents_and_says_so(mixed: Registry) -> None:
    mixed.documents.request(KEY, selection(ReindexOnly.STALE, force=True), "run")

    claim = taken(mixed)

    assert len(claim.documents) == 4
    assert all(document.force for document in claim.documents)


def test_only_all_and_force_have_unchanged_documents_processed_again(mixed: Registry) -> None:
    mixed.documents.request(KEY, selection(ReindexOnly.FAILED), "run")
    assert not any(document.force for document in mixed.documents.find(KEY))

    mixed.documents.request(KEY, selection(ReindexOnly.ALL), "run")
    assert all(document.force for document in mixed.documents.find(KEY))


def test_stale_documents_are_counted_without_being_asked_for(mixed: Registry) -> None:
    assert mixed.documents.count_stale(KEY, recipes()[Stage.INDEXED]) == 2
    work_off(mixed)
    assert mixed.documents.count_stale(KEY, recipes()[Stage.INDEXED]) == 1
    assert mixed.documents.count_stale(KEY, recipes("2")[Stage.INDEXED]) == 3


def test_a_failed_document_is_not_stale(mixed: Registry) -> None:
    mixed.documents.request(KEY, selection(ReindexOnly.STALE), "run")
    work_off(mixed)

    assert state(mixed, "failed.txt") is DocumentState.FAILED
    assert mixed.documents.request(KEY, selection(ReindexOnly.STALE), "run") == 0


def test_unknown_documents_are_an_error_and_nothing_is_asked_for(mixed: Registry) -> None:
    ids = (id_of("current.txt"), "unheard-of")

    for request in (
        lambda: mixed.documents.request(KEY, selection(ReindexOnly.ALL, document_ids=ids), "run"),
        lambda: mixed.documents.force(KEY, ids),
    ):
        with pytest.raises(PermanentError, match="'unheard-of'") as raised:
            request()
        assert raised.value.kind is ErrorKind.NOT_FOUND

    assert state(mixed, "current.txt") is DocumentState.INDEXED
    assert not any(document.force for document in mixed.documents.find(KEY))


def test_a_document_of_another_collection_is_unknown(registry: Registry) -> None:
    registry.collections.ensure(CollectionName("default", "other"))
    submit(registry, "a.txt", collection="other")
    theirs = id_of("a.txt", "other")

    with pytest.raises(PermanentError):
        registry.documents.force(KEY, [theirs])
    assert registry.documents.find(KEY, [theirs]) == []
    assert len(registry.documents.find("other", [theirs])) == 1


def test_more_documents_can_be_named_than_one_statement_takes(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion_pipeline.registry.documents.CHUNK", 2)
    many = [f"{number}.txt" for number in range(5)]
    submit(registry, *many)
    ids = tuple(map(id_of, many))

    assert (
        registry.documents.request(KEY, selection(ReindexOnly.STALE, document_ids=ids), "run") == 5
    )
    assert [each.name for each in registry.documents.find(KEY, ids)] == many


def test_a_later_request_raises_the_priority_and_never_lowers_it(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt")
    submit(registry, "b.txt", priority=Priority.HIGH)
    submit(registry, "b.txt")
    put_back(registry, "a.txt", 60)

    assert names(take(registry, max_documents=1)) == ["b.txt"]


def test_urgency_ends_with_the_work_that_was_urgent(registry: Registry) -> None:
    submit(registry, "a.txt", priority=Priority.HIGH)
    work_off(registry)
    submit(registry, "a.txt", version="2")

    assert [waiting.priority for waiting in registry.documents.backlog()] == [0]


def test_the_backlog_says_what_waits_where_and_since_when(registry: Registry) -> None:
    other = CollectionName("acme", "other")
    registry.collections.ensure(other)
    registry.collections.configure(other.key, {"max_parallel_runs": 3})
    submit(registry, "a.txt", "b.txt", "c.txt", "d.txt")
    put_back(registry, "b.txt", 100)
    taken(registry, document_ids=(id_of("a.txt"),))
    submit(registry, "x.txt", collection="other", tenant="acme", priority=Priority.HIGH)

    backlog = {waiting.collection_key: waiting for waiting in registry.documents.backlog()}

    assert backlog[KEY].documents == 3
    assert backlog[KEY].priority == 0
    assert backlog[KEY].oldest_seconds == pytest.approx(100, abs=5)
    assert backlog[KEY].max_parallel_runs == 1
    assert (backlog[other.key].tenant, backlog[other.key].priority) == ("acme", 1)
    assert backlog[other.key].max_parallel_runs == 3


def test_a_reindex_of_documents_that_are_worked_on_comes_after_that_work(
    registry: Registry,
) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    task_id = submit_reindex(registry)

    record(registry, claim, done(claim.documents[0]))
    assert task_state(registry, task_id) is TaskState.WAITING

    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, task_id) is TaskState.SUCCEEDED


def test_all_documents_are_those_that_are_not_deleted_but_a_named_one_may_be(
    registry: Registry,
) -> None:
    submit(registry, "a.txt", "b.txt")
    work_off(registry)
    delete(registry, "a.txt")

    assert [each.name for each in registry.documents.find(KEY)] == ["b.txt"]
    (named,) = registry.documents.find(KEY, [id_of("a.txt")])
    assert named.state is DocumentState.DELETED


def test_neither_a_deleted_document_nor_one_that_is_asked_about_is_reindexed(
    mixed: Registry,
) -> None:
    work_off(mixed)
    delete(mixed, "current.txt")
    ask(mixed, "asks.txt")

    assert mixed.documents.request(KEY, selection(ReindexOnly.ALL), "run") == 3

    assert set(work_off(mixed)) == {"old.txt", "newer.txt", "failed.txt"}


class TestOthersWait:
    """Whether a run should make room for other tenants."""

    @pytest.fixture
    def theirs(self, registry: Registry) -> Registry:
        """Two tenants, each with a document that waits."""
        registry.collections.ensure(CollectionName("acme", "other"))
        submit(registry, "a.txt")
        submit(registry, "x.txt", collection="other", tenant="acme")
        return registry

    def test_they_do_if_no_run_has_any_of_their_collection(self, theirs: Registry) -> None:
        assert theirs.documents.others_wait("default")
        assert theirs.documents.others_wait("acme")

    def test_they_do_not_while_a_run_works_for_them(self, theirs: Registry) -> None:
        submit(theirs, "y.txt", collection="other", tenant="acme")
        taken(theirs, key="acme/other", max_documents=1)

        assert not theirs.documents.others_wait("default")

    def test_a_tenants_own_other_collections_do_not_count(self, registry: Registry) -> None:
        registry.collections.ensure(CollectionName("default", "second"))
        submit(registry, "a.txt", collection="second")

        assert not registry.documents.others_wait("default")

    def test_what_is_to_be_tried_later_does_not_wait_now(self, theirs: Registry) -> None:
        claim = taken(theirs, key="acme/other")
        record(theirs, claim, failed(claim.documents[0], transient=True))

        assert not theirs.documents.others_wait("default")
