from __future__ import annotations

import time
import uuid

import pytest

from ingestion_pipeline.errors import ErrorKind, LeaseLostError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import ErrorInfo
from ingestion_pipeline.model.tasks import Backend, Priority, Task, TaskState, TaskType
from ingestion_pipeline.registry.acceptance import NewTask
from ingestion_pipeline.registry.builds import MOST_ATTEMPTS, TakenBuild
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline_tests.registry.steps import KEY, id_of, index

NAME = CollectionName("default", "docs")
KIND = TaskType.RAPTOR


def ask(registry: Registry, *document_ids: str, kind: TaskType = KIND) -> str:
    task_id = uuid.uuid4().hex
    options = {"document_ids": list(document_ids)} if document_ids else {}
    task = NewTask(task_id, kind, NAME.name, NAME.tenant, Priority.NORMAL, options=options)
    registry.tasks.accept([task])
    return task_id


def take(registry: Registry, run_id: str = "run", kind: TaskType = KIND) -> TakenBuild | None:
    registry.runs.begin(run_id, KEY, "host:1:1", 60)
    taken, _ = registry.builds.take(
        NAME, kind, run_id=run_id, backend=Backend.DAGSTER, task_timeout_seconds=60
    )
    return taken


def held(registry: Registry, run_id: str = "run") -> TakenBuild:
    taken = take(registry, run_id)
    assert taken is not None
    return taken


def task(registry: Registry, task_id: str) -> Task:
    return registry.tasks.get(task_id)


def test_one_run_at_a_time_is_at_a_build(registry: Registry) -> None:
    held(registry, "first")

    assert registry.builds.at_work(KEY)
    assert take(registry, "second") is None
    assert take(registry, "second", TaskType.MINDMAP) is not None

    registry.runs.forget("first")
    taken = take(registry, "second")
    assert taken is not None
    registry.runs.forget("second")
    assert not registry.builds.at_work(KEY)


def test_whoever_takes_a_build_takes_all_tasks_that_wait_for_it(registry: Registry) -> None:
    mine = {ask(registry), ask(registry)}
    other = ask(registry, kind=TaskType.MINDMAP)

    taken = held(registry)

    assert set(taken.task_ids) == mine
    assert {task(registry, each).state for each in mine} == {TaskState.RUNNING}
    assert task(registry, other).state is TaskState.WAITING
    registry.builds.progress(taken, 0.5, "Half of it.")
    registry.builds.progress(taken, 0.2, "No way back.")
    assert {task(registry, each).progress for each in mine} == {0.5}

    registry.builds.finish(taken, "v1", "Task done: 3 summaries.", tokens=7)

    ended = [task(registry, each) for each in mine]
    assert {each.state for each in ended} == {TaskState.SUCCEEDED}
    assert {each.tokens for each in ended} == {7}
    assert all("3 summaries" in each.messages[-1] for each in ended)
    record = registry.builds.find(KEY, KIND)
    assert record is not None
    assert (record.run_id, record.built_from) == (None, "v1")


def test_only_tasks_that_all_name_documents_are_about_these_alone(registry: Registry) -> None:
    first, second = id_of("a.txt"), id_of("b.txt")
    index(registry, "a.txt")
    index(registry, "b.txt")
    ask(registry, first)
    ask(registry, first, second)
    assert held(registry).document_ids == tuple(sorted([first, second]))

    ask(registry)
    assert held(registry).document_ids is None


def test_a_build_of_a_document_there_is_not_fails_at_once(registry: Registry) -> None:
    refused = task(registry, ask(registry, "unheard-of"))

    assert refused.state is TaskState.FAILED
    assert refused.error is not None
    assert refused.error.kind is ErrorKind.NOT_FOUND
    assert registry.builds.wanted() == []


def test_what_nobody_is_at_is_wanted(registry: Registry) -> None:
    assert registry.builds.wanted() == []
    ask(registry)
    (wanted,) = registry.builds.wanted()
    assert (wanted.collection_key, wanted.kind, wanted.priority) == (KEY, KIND, 0)

    taken = held(registry)
    assert registry.builds.wanted() == []
    registry.builds.finish(taken, "v1", "Done.", tokens=0)
    assert registry.builds.wanted() == []


def test_a_run_learns_that_nobody_wants_its_build_any_more(registry: Registry) -> None:
    first, second = ask(registry), ask(registry)
    taken = held(registry)

    registry.tasks.cancel([first])
    registry.builds.check(taken)
    registry.tasks.cancel([second])

    with pytest.raises(LeaseLostError, match="nobody wants"):
        registry.builds.check(taken)
    assert task(registry, first).state is TaskState.CANCELED


def test_a_build_that_no_task_asked_for_goes_on(registry: Registry) -> None:
    registry.builds.check(held(registry))


def test_a_dead_run_loses_its_build_to_the_next(registry: Registry) -> None:
    task_id = ask(registry)
    dead = held(registry, "dead")

    registry.claims.give_back_crashed(["dead"])
    registry.runs.forget("dead")

    assert [each.kind for each in registry.builds.wanted()] == [KIND]
    taken = held(registry, "next")
    assert taken.task_ids == (task_id,)
    with pytest.raises(LeaseLostError):
        registry.builds.check(dead)
    assert registry.builds.finish(dead, "old", "Late.", tokens=0) == []
    assert registry.builds.fail(dead, ErrorInfo(kind=ErrorKind.INTERNAL, message="late")) == []
    assert task(registry, task_id).state is TaskState.RUNNING


def test_a_run_whose_lease_lapsed_cannot_publish(registry: Registry) -> None:
    taken = held(registry)
    registry.runs.begin("run", KEY, "host:1:1", 0.02)
    time.sleep(0.05)

    with pytest.raises(LeaseLostError):
        registry.builds.check(taken)


def test_a_build_that_kills_its_runs_is_given_up(registry: Registry) -> None:
    task_id = ask(registry)
    for number in range(MOST_ATTEMPTS):
        assert task(registry, task_id).state is not TaskState.FAILED
        held(registry, f"run-{number}")
        registry.claims.give_back_crashed([f"run-{number}"])
        registry.runs.forget(f"run-{number}")

    given_up = task(registry, task_id)
    assert given_up.error is not None
    assert given_up.error.kind is ErrorKind.QUARANTINED
    assert registry.builds.wanted() == []

    registry.tasks.retry([task_id])
    assert len(registry.builds.wanted()) == 1


def test_a_run_that_a_person_stopped_takes_its_tasks_with_it(registry: Registry) -> None:
    task_id = ask(registry)
    held(registry)

    registry.claims.cancel_runs(["run"])

    assert task(registry, task_id).state is TaskState.CANCELED
    assert registry.builds.wanted() == []


def test_what_is_given_back_is_tried_again_after_a_pause(registry: Registry) -> None:
    task_id = ask(registry)
    held(registry)

    registry.claims.release_runs(["run"])

    assert task(registry, task_id).state is TaskState.RUNNING
    assert registry.builds.wanted() == []


def test_the_index_says_since_when_it_is_as_it_is(registry: Registry) -> None:
    assert registry.builds.changes() == []
    index(registry, "a.txt")
    (first,) = registry.builds.changes()
    assert first.collection.key == KEY
    assert 0 <= first.quiet_seconds < 30
    assert first.builds == {}

    index(registry, "b.txt")
    (second,) = registry.builds.changes()
    assert second.version != first.version


def test_the_same_version_is_asked_for_once(registry: Registry) -> None:
    assert registry.builds.ask_once(NAME, KIND, "v1", "task-1")
    assert registry.builds.ask_once(NAME, KIND, "v1", "task-2") == []
    assert registry.builds.ask_once(NAME, KIND, "v2", "task-3") == []  # the first still waits
    registry.builds.finish(held(registry), "v2", "Done.", tokens=0)

    assert registry.builds.ask_once(NAME, KIND, "v2", "task-4") == []
    assert registry.builds.ask_once(NAME, KIND, "v3", "task-5")
