"""Tasks that a person has carried out once more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingestion_pipeline.errors import ErrorKind
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import DocumentState, ErrorInfo
from ingestion_pipeline.model.tasks import Priority, TaskState
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    ask,
    delete,
    done,
    fail,
    failed,
    index,
    let_deadline_pass,
    names,
    new_task,
    record,
    state,
    submit,
    submit_reindex,
    take,
    taken,
    task_state,
    work_off,
)


def test_what_failed_waits_once_more_and_keeps_its_urgency(registry: Registry) -> None:
    task_id = fail(registry, "a.txt", priority=Priority.HIGH)

    (update,) = registry.tasks.retry([task_id])

    task = registry.tasks.get(task_id)
    assert (update.state, task.state) == (TaskState.WAITING, TaskState.WAITING)
    assert (task.progress, task.error, task.finished_at) == (0, None, None)
    assert [waiting.priority for waiting in registry.documents.backlog()] == [1]
    assert names(take(registry)) == ["a.txt"]


def test_what_ran_out_of_time_can_be_retried(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    taken(registry)
    let_deadline_pass(registry, task_id)
    registry.tasks.expire()

    registry.tasks.retry([task_id])

    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, task_id) is TaskState.SUCCEEDED


def test_of_several_documents_only_those_that_failed_are_tried_again(registry: Registry) -> None:
    index(registry, "a.txt", "b.txt")
    task_id = submit_reindex(registry)
    claim = taken(registry, max_documents=1)
    record(registry, claim, done(claim.documents[0]))
    (reached,) = names(claim)
    taken(registry)
    let_deadline_pass(registry, task_id)
    registry.tasks.expire()

    registry.tasks.retry([task_id])

    assert work_off(registry) == [each for each in ("a.txt", "b.txt") if each != reached]
    assert task_state(registry, task_id) is TaskState.SUCCEEDED


@pytest.mark.parametrize("how", ["succeeded", "canceled", "waiting", "running", "input"])
def test_everything_else_is_left_as_it_is(registry: Registry, how: str) -> None:
    if how == "input":
        task_id = ask(registry, "a.txt")
    else:
        (task_id,) = index(registry, "a.txt") if how == "succeeded" else submit(registry, "a.txt")
    if how == "canceled":
        registry.tasks.cancel([task_id])
    if how == "running":
        taken(registry)
    before = registry.tasks.get(task_id)

    assert registry.tasks.retry([task_id, "unheard-of"]) == []

    assert registry.tasks.get(task_id) == before
    assert before.state == how


def test_a_task_that_was_refused_is_not_tried(registry: Registry) -> None:
    error = ErrorInfo(kind=ErrorKind.EMPTY, message="a.txt is empty")
    refused = replace(new_task("a.txt"), document=None, error=error)
    registry.tasks.accept([refused])

    assert registry.tasks.retry([refused.task_id]) == []
    assert task_state(registry, refused.task_id) is TaskState.FAILED


def test_a_task_whose_document_was_deleted_is_not_tried(registry: Registry) -> None:
    task_id = fail(registry, "a.txt")
    delete(registry, "a.txt")

    assert registry.tasks.retry([task_id]) == []
    assert task_state(registry, task_id) is TaskState.FAILED
    assert state(registry, "a.txt") is DocumentState.DELETED
    submit(registry, "a.txt")
    assert len(registry.tasks.retry([task_id])) == 1, "there is something to try again"


def test_a_reindex_some_of_whose_documents_were_deleted_ends_with_the_others(
    registry: Registry,
) -> None:
    index(registry, "a.txt", "b.txt")
    task_id = submit_reindex(registry)
    claim = taken(registry)
    record(registry, claim, *map(failed, claim.documents))
    delete(registry, "a.txt")

    registry.tasks.retry([task_id])

    assert work_off(registry) == ["b.txt"]
    assert task_state(registry, task_id) is TaskState.SUCCEEDED


def test_a_task_whose_collection_was_deleted_cannot_wait_forever(registry: Registry) -> None:
    name = CollectionName("default", KEY)
    index(registry, "a.txt", "b.txt")
    task_id = submit_reindex(registry)
    claim = taken(registry, max_documents=1)
    record(registry, claim, failed(claim.documents[0]))
    registry.collections.delete(name)
    assert registry.tasks.retry([task_id]) == []

    registry.collections.ensure(name)
    index(registry, "a.txt", "b.txt")
    registry.tasks.retry([task_id])
    work_off(registry)

    assert task_state(registry, task_id) is TaskState.SUCCEEDED
