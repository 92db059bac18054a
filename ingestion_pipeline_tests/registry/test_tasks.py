from __future__ import annotations

import re
from dataclasses import replace

import pytest
import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import DocumentState, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import (
    FINAL_STATES,
    Backend,
    Priority,
    ReindexOnly,
    TaskState,
    TaskType,
)
from ingestion_pipeline.registry.documents import Selection
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.schema import documents, tasks
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    done,
    failed,
    find,
    id_of,
    names,
    new_task,
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


def test_an_accepted_task_waits_and_can_be_read_back(registry: Registry) -> None:
    new = new_task("a.txt", priority=Priority.HIGH, batch_id="batch", options={"force": False})
    (update,) = registry.tasks.accept([new])

    task = registry.tasks.get(new.task_id)

    assert (update.task_id, update.state) == (new.task_id, TaskState.WAITING)
    assert (task.type, task.state, task.priority) == (
        TaskType.INGEST,
        TaskState.WAITING,
        Priority.HIGH,
    )
    assert (task.collection, task.tenant, task.batch_id) == (KEY, "default", "batch")
    assert (task.document_id, task.options) == (id_of("a.txt"), {"force": False})
    assert (task.progress, task.attempts, task.error, task.finished_at) == (0, 0, None, None)


def test_accepting_is_idempotent_by_task_id(registry: Registry) -> None:
    new = new_task("a.txt")

    assert len(registry.tasks.accept([new, new])) == 1
    assert registry.tasks.accept([new]) == []
    work_off(registry)
    assert registry.tasks.accept([replace(new, force=True)]) == []

    assert len(registry.tasks.find()) == 1
    assert take(registry) is None


def test_a_task_runs_as_work_of_its_run_and_succeeds_with_its_document(
    registry: Registry,
) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry, run_id="run-7")

    running = registry.tasks.get(task_id)
    assert (running.state, running.run_id, running.backend, running.attempts) == (
        TaskState.RUNNING,
        "run-7",
        Backend.IN_PROCESS,
        1,
    )
    assert running.started_at is not None
    (update,) = record(registry, claim, done(claim.documents[0], chunks=4))

    task = registry.tasks.get(task_id)
    assert (update.state, update.progress) == (TaskState.SUCCEEDED, 1)
    assert (task.state, task.progress, task.tokens) == (TaskState.SUCCEEDED, 1, 40)
    assert task.finished_at is not None
    assert task.finished_at >= running.started_at >= task.created_at


def test_messages_carry_the_time_and_stay_in_order(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry)
    registry.tasks.progress(
        claim.claim_id, [(id_of("a.txt"), Stage.CHUNKED, 0.5, "Page(1~3): 4 chunks.")]
    )
    record(registry, claim, done(claim.documents[0]))

    messages = registry.tasks.get(task_id).messages

    assert all(re.fullmatch(r"\d\d:\d\d:\d\d .+", message) for message in messages)
    assert [message[9:] for message in messages] == [
        "Task is queued.",
        "Task has been received by run run.",
        "Page(1~3): 4 chunks.",
        "Task done: 2 chunks.",
    ]


def test_progress_is_told_to_the_tasks_of_the_claim_and_never_goes_back(
    registry: Registry,
) -> None:
    (first,) = submit(registry, "a.txt")
    claim = taken(registry)
    (later,) = submit(registry, "a.txt", force=True)
    lines = [(id_of("a.txt"), Stage.CHUNKED, fraction, "on") for fraction in (0.5, 0.2)]

    updates = registry.tasks.progress(claim.claim_id, lines)

    assert [(update.task_id, update.progress) for update in updates] == [(first, 0.5), (first, 0.5)]
    assert registry.tasks.get(first).progress == 0.5
    assert registry.tasks.get(later).progress == 0


def test_progress_of_a_claim_that_was_lost_is_told_to_nobody(registry: Registry) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    registry.claims.release(claim.claim_id)

    assert registry.tasks.progress(claim.claim_id, [(id_of("a.txt"), Stage.PARSED, 1, "")]) == []


def test_submitting_an_unchanged_document_again_ends_at_once(registry: Registry) -> None:
    submit(registry, "a.txt")
    work_off(registry)

    (task_id,) = submit(registry, "a.txt")

    task = registry.tasks.get(task_id)
    assert (task.state, task.progress) == (TaskState.SUCCEEDED, 1)
    assert task.messages[0].endswith("Unchanged: nothing to do.")
    assert take(registry) is None


@pytest.mark.parametrize(
    "changes",
    [{"version": "2"}, {"force": True}, {"recipe": recipes("2")[Stage.INDEXED]}],
    ids=["another version", "forced", "another recipe"],
)
def test_a_document_that_needs_work_again_is_worked_on(
    registry: Registry, changes: dict[str, object]
) -> None:
    submit(registry, "a.txt")
    work_off(registry)

    (task_id,) = submit(registry, "a.txt", **changes)

    assert task_state(registry, task_id) is TaskState.WAITING
    assert names(take(registry)) == ["a.txt"]


def test_a_failed_document_submitted_again_is_tried_again(registry: Registry) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    record(registry, claim, failed(claim.documents[0]))

    (task_id,) = submit(registry, "a.txt")
    work_off(registry)

    assert task_state(registry, task_id) is TaskState.SUCCEEDED
    assert find(registry, "a.txt").error is None


def test_a_remote_document_is_looked_at_again_although_it_was_indexed(registry: Registry) -> None:
    submit(registry, "a.txt")
    work_off(registry)
    new = new_task("a.txt")
    assert new.document is not None

    registry.tasks.accept([replace(new, document=replace(new.document, fetch=True))])

    assert taken(registry).documents[0].fetch


def test_a_known_document_can_be_asked_for_by_its_id(registry: Registry) -> None:
    submit(registry, "a.txt")
    work_off(registry)
    new = replace(new_task("a.txt"), document=None, document_id=id_of("a.txt"), force=True)

    registry.tasks.accept([new])

    assert names(take(registry)) == ["a.txt"]
    assert task_state(registry, new.task_id) is TaskState.RUNNING


def test_an_unknown_document_fails_its_task_and_no_other(registry: Registry) -> None:
    unknown = replace(new_task("a.txt"), document=None, document_id="unheard-of")
    reindex = replace(
        unknown,
        task_id="reindex",
        type=TaskType.REINDEX,
        document_id=None,
        selection=Selection(ReindexOnly.ALL, "", document_ids=("unheard-of",)),
    )

    registry.tasks.accept([unknown, new_task("b.txt"), reindex])

    for task_id in (unknown.task_id, "reindex"):
        task = registry.tasks.get(task_id)
        assert task.state is TaskState.FAILED
        assert task.error is not None
        assert task.error.kind is ErrorKind.NOT_FOUND
        assert "'unheard-of'" in task.error.message
    assert names(take(registry)) == ["b.txt"]


def test_a_task_with_an_error_is_on_record_as_failed(registry: Registry) -> None:
    error = ErrorInfo(kind=ErrorKind.EMPTY, message="a.txt is empty")
    new = replace(new_task("a.txt"), document=None, error=error)

    (update,) = registry.tasks.accept([new])

    assert update.state is TaskState.FAILED
    assert registry.tasks.get(new.task_id).error == error
    assert registry.documents.find(KEY) == []


def test_an_unknown_task_is_an_error(registry: Registry) -> None:
    with pytest.raises(PermanentError, match="'unheard-of'") as raised:
        registry.tasks.get("unheard-of")

    assert raised.value.kind is ErrorKind.NOT_FOUND
    assert registry.tasks.states(["unheard-of"]) == {}


def test_tasks_are_found_by_batch_collection_and_state_newest_first(registry: Registry) -> None:
    registry.collections.ensure(CollectionName("acme", KEY))
    (ours,) = submit(registry, "a.txt", batch_id="one")
    (theirs,) = submit(registry, "b.txt", tenant="acme", batch_id="two")
    taken(registry)
    (waiting,) = submit(registry, "c.txt", batch_id="one")

    def found(**criteria: object) -> list[str]:
        return [task.task_id for task in registry.tasks.find(**criteria)]  # type: ignore[arg-type]

    assert found(batch_id="two") == [theirs]
    assert set(found(batch_id="one")) == {ours, waiting}
    assert found(name=CollectionName("acme", KEY)) == [theirs]
    assert found(state=TaskState.RUNNING) == [ours]
    assert found(name=CollectionName("default", KEY), state=TaskState.WAITING) == [waiting]
    assert found(task_ids=[theirs, "unheard-of"]) == [theirs]
    assert found(task_ids=[]) == []
    assert len(found(limit=2)) == 2


class TestReindex:
    """Tasks about several documents."""

    def test_it_progresses_with_its_documents_and_ends_with_the_last(
        self, registry: Registry
    ) -> None:
        submit(registry, "a.txt", "b.txt", "c.txt", "d.txt")
        work_off(registry)
        task_id = submit_reindex(registry)
        seen = []
        while (claim := take(registry, max_documents=1)) is not None:
            seen.append(registry.tasks.get(task_id).progress)
            record(registry, claim, done(claim.documents[0]))

        assert seen == [0, 0.25, 0.5, 0.75]
        task = registry.tasks.get(task_id)
        assert (task.state, task.progress, task.tokens) == (TaskState.SUCCEEDED, 1, 80)
        assert task.messages[-1].endswith("Task done: 8 chunks.")

    def test_without_anything_to_do_it_ends_at_once_and_says_so(self, registry: Registry) -> None:
        submit(registry, "a.txt")
        work_off(registry)

        task = registry.tasks.get(submit_reindex(registry, ReindexOnly.STALE))

        assert task.state is TaskState.SUCCEEDED
        assert task.messages[-1].endswith("Nothing to do: no document is selected.")

    def test_it_succeeds_with_some_failures_and_counts_them(self, registry: Registry) -> None:
        submit(registry, "a.txt", "b.txt")
        work_off(registry)
        task_id = submit_reindex(registry)
        claim = taken(registry)

        record(registry, claim, done(claim.documents[0]), failed(claim.documents[1]))

        task = registry.tasks.get(task_id)
        assert task.state is TaskState.SUCCEEDED
        assert "1 of 2 documents failed" in task.messages[-1]

    def test_it_fails_if_all_documents_fail_with_the_error_of_one_of_them(
        self, registry: Registry
    ) -> None:
        submit(registry, "a.txt", "b.txt")
        work_off(registry)
        task_id = submit_reindex(registry)
        claim = taken(registry)
        kinds = (ErrorKind.EMPTY, ErrorKind.BROKEN)
        results = [failed(each, kind) for each, kind in zip(claim.documents, kinds, strict=True)]

        record(registry, claim, *results)

        task = registry.tasks.get(task_id)
        assert task.state is TaskState.FAILED
        assert task.error in [result.error for result in results]

    def test_documents_that_failed_are_taken_by_only_failed(self, registry: Registry) -> None:
        submit(registry, "a.txt", "b.txt")
        claim = taken(registry)
        record(registry, claim, done(claim.documents[0]), failed(claim.documents[1]))
        task_id = submit_reindex(registry, ReindexOnly.FAILED)

        assert work_off(registry) == ["b.txt"]

        assert task_state(registry, task_id) is TaskState.SUCCEEDED
        assert state(registry, "b.txt") is DocumentState.INDEXED


@pytest.mark.parametrize("final", sorted(FINAL_STATES))
def test_a_task_that_ended_stays_as_it_ended_whatever_its_document_does(
    registry: Registry, final: TaskState
) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry)
    with registry.database.write() as connection:
        connection.execute(tasks.update().values(state=final))

    updates = record(registry, claim, done(claim.documents[0]))

    assert updates == []
    assert task_state(registry, task_id) is final
    assert state(registry, "a.txt") is DocumentState.INDEXED
    assert registry.operations.latest(CollectionName("default", KEY)) == []


@pytest.mark.parametrize("final", sorted(FINAL_STATES))
def test_a_task_that_ended_does_not_start_again(registry: Registry, final: TaskState) -> None:
    (task_id,) = submit(registry, "a.txt")
    with registry.database.write() as connection:
        connection.execute(tasks.update().values(state=final))

    taken(registry)

    assert task_state(registry, task_id) is final


def test_a_document_is_never_processing_without_a_claim(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt")
    claim = taken(registry)
    submit(registry, "a.txt", version="2")
    submit_reindex(registry)
    record_only(registry, claim, done(claim.documents[0]))
    submit(registry, "b.txt", version="2")
    registry.claims.release(claim.claim_id)

    with registry.database.read() as connection:
        rows = connection.execute(sa.select(documents.c.state, documents.c.claim_id)).all()
    assert [tuple(row) for row in rows] == [(DocumentState.PENDING, None)] * 2
