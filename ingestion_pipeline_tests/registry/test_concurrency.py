"""Real processes on one registry, and threads where two steps must meet in a certain order."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.tasks import ReindexOnly, TaskState
from ingestion_pipeline.registry import multiset, results, transitions
from ingestion_pipeline.registry.documents import Selection
from ingestion_pipeline.registry.registry import Registry, open_registry
from ingestion_pipeline_tests.registry.processes import open_and_claim
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    delete,
    digest,
    done,
    failed,
    id_of,
    new_task,
    recipes,
    record,
    submit,
    submit_reindex,
    take,
    taken,
    task_state,
    work_off,
)

PROCESSES = 4
DOCUMENTS = 200


def test_processes_open_a_new_registry_at_once_and_claim_every_document_once(new_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([open_and_claim.__module__])
    together, claimed = context.Barrier(PROCESSES + 1, timeout=60), context.Queue()
    processes = [
        context.Process(target=open_and_claim, args=(new_url, together, claimed))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    together.wait()
    registry = open_registry(new_url)
    registry.collections.ensure(CollectionName("default", KEY))
    everything = [f"{number:03}.txt" for number in range(DOCUMENTS)]
    task_ids = submit(registry, *everything)
    reindex = submit_reindex(registry)
    together.wait()
    together.wait()
    shares = [claimed.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=60)

    assert sorted(name for share in shares for name in share) == everything
    assert all(shares), "every process had its part in it"
    assert set(registry.tasks.states([*task_ids, reindex]).values()) == {TaskState.SUCCEEDED}
    assert registry.collections.data_version(KEY, Stage.INDEXED) == _data_version(everything)
    registry.database.dispose()


def test_two_runs_that_end_a_task_together_do_end_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has recorded its document and looked, before either commits."""
    submit(registry, "a.txt", "b.txt")
    work_off(registry)
    task_id = submit_reindex(registry)
    claimed = [taken(registry, max_documents=1) for _ in range(2)]
    recorded, looked, settle = Barrier(2), Barrier(2), transitions.settle_tasks

    def settle_together(*arguments: Any) -> Any:
        with suppress(BrokenBarrierError):  # SQLite lets only one get here
            recorded.wait(timeout=0.5)
        updates = settle(*arguments)
        with suppress(BrokenBarrierError):  # where one waits for the other, only one gets here
            looked.wait(timeout=0.5)
        return updates

    monkeypatch.setattr(results, "settle_tasks", settle_together)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda claim: record(registry, claim, failed(claim.documents[0])), claimed))

    assert task_state(registry, task_id) is TaskState.FAILED


def test_whoever_changes_the_same_documents_and_tasks_together_waits_for_nobody_in_a_circle(
    registry: Registry,
) -> None:
    """Recording, submitting, canceling and deleting lock documents and tasks in one order."""
    everything = [f"{number}.txt" for number in range(8)]
    ids = [id_of(name) for name in everything]
    submit(registry, *everything)
    at_once = Barrier(4)

    def work() -> None:
        while (claim := take(registry, max_documents=8)) is not None:
            record(registry, claim, *map(done, claim.documents))

    def submit_again() -> None:
        for version in range(6):
            submit(registry, *reversed(everything), version=str(version))

    def cancel_and_expire() -> None:
        for _ in range(6):
            open_tasks = registry.tasks.find(state=TaskState.RUNNING)
            registry.tasks.cancel([task.task_id for task in reversed(open_tasks)])
            registry.tasks.expire()

    def request_and_delete() -> None:
        for name in reversed(everything[:4]):
            registry.documents.request(KEY, Selection(ReindexOnly.ALL, ""), "run")
            delete(registry, name)

    def run(what: Callable[[], None]) -> None:
        at_once.wait(timeout=10)
        what()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, [work, submit_again, cancel_and_expire, request_and_delete]))

    work()
    assert take(registry) is None
    assert registry.documents.backlog() == []
    assert registry.tasks.find(state=TaskState.RUNNING) == []
    assert len(registry.documents.find(KEY, ids)) == len(everything)


def test_the_same_document_and_task_may_be_accepted_twice_at_the_same_time(
    registry: Registry,
) -> None:
    at_once = Barrier(4)

    def accept(number: int) -> None:
        at_once.wait(timeout=10)
        registry.tasks.accept([new_task("a.txt", task_id=f"task-{number % 2}")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(accept, range(4)))

    assert {task.task_id for task in registry.tasks.find()} == {"task-0", "task-1"}
    assert [document.name for document in registry.documents.find(KEY)] == ["a.txt"]


def test_a_collection_may_be_created_twice_at_the_same_time(registry: Registry) -> None:
    at_once = Barrier(4)

    def ensure(_: int) -> bool:
        at_once.wait(timeout=10)
        return registry.collections.ensure(CollectionName("default", "new"))[1]

    with ThreadPoolExecutor(4) as pool:
        created = list(pool.map(ensure, range(4)))

    assert created.count(True) == 1


def _data_version(names: list[str]) -> str:
    recipe = recipes()[Stage.INDEXED]
    members = [f"{id_of(name)}:{digest(id_of(name), digest(name, '1'), recipe)}" for name in names]
    return f"{len(names)}-{multiset.replace(multiset.EMPTY, [], members)[:32]}"
