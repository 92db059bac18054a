"""The life of a task: which state follows which."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import sqlalchemy as sa

from ingestion_pipeline.errors import Ask, ErrorKind
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import ErrorInfo
from ingestion_pipeline.model.tasks import FINAL_STATES, Backend, TaskState
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.schema import tasks
from ingestion_pipeline.registry.transitions import (
    LEGAL_SOURCES,
    TaskUpdate,
    ask,
    end,
    go_on,
    reopen,
    start_tasks,
)
from ingestion_pipeline_tests.registry.steps import (
    crash,
    done,
    fail,
    index,
    let_deadline_pass,
    names,
    record,
    submit,
    take,
    taken,
    task_state,
    work_off,
)

W, R, INPUT = TaskState.WAITING, TaskState.RUNNING, TaskState.INPUT
OK, F, C, T = TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELED, TaskState.TIMEOUT
FOLLOWS: dict[TaskState, set[TaskState]] = {
    W: {R, OK, F, C, T},
    R: {R, INPUT, OK, F, C, T},
    INPUT: {R, F, C, T},
    OK: set(),
    F: {W},
    C: set(),
    T: {W},
}
DOUBT = ErrorInfo(kind=ErrorKind.ENCRYPTED, message="a.txt needs a password")

Move = Callable[[sa.Connection, list[str]], list[TaskUpdate]]
MOVES: dict[TaskState, Move] = {
    W: reopen,
    R: lambda connection, ids: start_tasks(connection, ids, "run", Backend.DAGSTER, 60),
    INPUT: lambda connection, ids: ask(connection, ids, Ask.PASSWORD, DOUBT, 60),
    OK: lambda connection, ids: end(connection, ids, OK),
    F: lambda connection, ids: end(connection, ids, F, error=DOUBT),
    C: lambda connection, ids: end(connection, ids, C),
    T: lambda connection, ids: end(connection, ids, T, error=DOUBT),
}


@pytest.mark.parametrize(("before", "after"), list(product(TaskState, TaskState)))
def test_only_legal_transitions_happen(
    registry: Registry, before: TaskState, after: TaskState
) -> None:
    legal = after in FOLLOWS[before]
    task_id = _task_in(registry, before)
    said = registry.tasks.get(task_id).messages

    with registry.database.write() as connection:
        updates = MOVES[after](connection, [task_id])

    assert [(update.task_id, update.state) for update in updates] == (
        [(task_id, after)] if legal else []
    )
    task = registry.tasks.get(task_id)
    assert task.state is (after if legal else before)
    assert len(task.messages) == len(said) + legal, "what does not happen is not told"
    assert (before in LEGAL_SOURCES[after]) == legal


@pytest.mark.parametrize("before", TaskState)
def test_only_a_task_that_asks_goes_on(registry: Registry, before: TaskState) -> None:
    task_id = _task_in(registry, before)

    with registry.database.write() as connection:
        updates = go_on(connection, [task_id], "answered")

    assert [update.state for update in updates] == ([R] if before is INPUT else [])
    assert task_state(registry, task_id) is (R if before is INPUT else before)


@pytest.mark.parametrize("before", sorted(FINAL_STATES))
def test_a_task_ends_once_and_leaves_one_row_in_the_operation_log(
    registry: Registry, before: TaskState
) -> None:
    (task_id,) = submit(registry, "a.txt")
    with registry.database.write() as connection:
        end(connection, [task_id], before, "for the first time")
        for state in sorted(FINAL_STATES):
            assert end(connection, [task_id], state) == []

    task = registry.tasks.get(task_id)
    (row,) = registry.operations.latest(_collection(registry))
    assert (row.task_id, row.state) == (task_id, before)
    assert task.messages[-1].endswith("for the first time")


@pytest.mark.parametrize(
    "happens",
    [
        lambda registry, task_id: registry.tasks.retry([task_id]),
        lambda registry, task_id: registry.tasks.cancel([task_id]),
        lambda registry, task_id: registry.tasks.expire(),
        lambda registry, task_id: submit(registry, "a.txt", task_id=task_id),
        lambda registry, task_id: submit(registry, "a.txt", version="2"),
        lambda registry, task_id: work_off(registry),
        lambda registry, task_id: registry.claims.cancel_runs(["run"]),
    ],
    ids=["retry", "cancel", "expire", "redelivered", "resubmitted", "worked on", "run stopped"],
)
def test_a_canceled_task_never_becomes_anything_else(
    registry: Registry, happens: Callable[[Registry, str], object]
) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry)
    registry.tasks.cancel([task_id])
    let_deadline_pass(registry, task_id)
    before = registry.tasks.get(task_id)

    happens(registry, task_id)
    record(registry, claim, done(claim.documents[0]))
    work_off(registry)

    assert registry.tasks.get(task_id) == before


def test_a_failure_is_sticky_until_somebody_retries_it(registry: Registry) -> None:
    failed_task = fail(registry, "a.txt")
    submit(registry, "a.txt", version="2")
    work_off(registry)
    assert task_state(registry, failed_task) is F, "its document's success is not its own"

    registry.tasks.retry([failed_task])
    assert task_state(registry, failed_task) is W
    work_off(registry)

    task = registry.tasks.get(failed_task)
    assert (task.state, task.error, task.progress) == (OK, None, 1)


def test_a_deadline_is_set_at_the_first_start_and_stays_through_crashes(
    registry: Registry,
) -> None:
    (task_id,) = submit(registry, "a.txt")
    assert registry.tasks.get(task_id).deadline is None, "waiting in the queue costs no time"
    crash(registry)
    first = registry.tasks.get(task_id)
    assert first.started_at is not None
    assert first.deadline == pytest.approx(first.started_at + 3600, abs=5)

    assert names(take(registry)) == ["a.txt"]

    again = registry.tasks.get(task_id)
    assert (again.state, again.attempts) == (R, 2)
    assert (again.started_at, again.deadline) == (first.started_at, first.deadline)


def test_a_retry_gives_a_task_its_time_anew(registry: Registry) -> None:
    task_id = fail(registry, "a.txt")
    registry.tasks.retry([task_id])
    assert registry.tasks.get(task_id).deadline is None

    taken(registry)

    assert registry.tasks.get(task_id).deadline is not None


def test_a_task_that_ended_has_no_deadline(registry: Registry) -> None:
    (task_id,) = index(registry, "a.txt")

    assert registry.tasks.get(task_id).deadline is None
    assert registry.tasks.expire() == []


def _task_in(registry: Registry, state: TaskState) -> str:
    (task_id,) = submit(registry, "a.txt")
    with registry.database.write() as connection:
        connection.execute(tasks.update().values(state=state))
    return task_id


def _collection(registry: Registry) -> CollectionName:
    return registry.collections.all()[0].name
