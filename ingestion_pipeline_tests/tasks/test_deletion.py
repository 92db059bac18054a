from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.tasks import Backend, Priority, TaskMessage, TaskState, TaskType
from ingestion_pipeline.tasks import deletion, purge, tick
from ingestion_pipeline.tasks.deletion import (
    apply_deletions,
    finish_deletions,
    finish_purges,
    purges_wait,
)
from ingestion_pipeline.tasks.submission import submit, submit_deletion
from ingestion_pipeline.tasks.tick import tick as run_tick
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices

WriteFile = Callable[[str, str], Path]
CANARY = "zqxcanaryvv"


def busy(*_: object, **__: object) -> None:
    raise TransientError(ErrorKind.UNAVAILABLE, "other writers came first")


@pytest.fixture
def document_ids(services: FakeServices, collection: Collection, write: WriteFile) -> list[str]:
    """Two indexed documents."""
    paths = [write("a.txt", f"{CANARY} words."), write("b.txt", f"More {CANARY} words.")]
    submit(services, collection, paths, Priority.NORMAL, {})
    run(services, collection, WorkRequest("run", Backend.IN_PROCESS))
    return [each.document_id for each in services.registry.documents.find("docs")]


def send_deletion(services: FakeServices, document_ids: list[str]) -> str:
    """Send the message of somebody who wants a purge."""
    message = TaskMessage(
        type=TaskType.DELETE,
        collection="docs",
        task_id="from-a-message",
        document_ids=document_ids,
        options={"purge": True},
    )
    services.streams.publish([message.model_dump_json()], Priority.NORMAL)
    return "from-a-message"


def state(services: FakeServices, task_id: str) -> TaskState:
    return services.registry.tasks.get(task_id).state


def traces(services: FakeServices) -> list[Path]:
    folder = Path(services.settings.state)
    kinds = [folder / "lancedb", folder / "storage"]
    files = [path for kind in kinds for path in kind.rglob("*") if path.is_file()]
    return [path for path in files if CANARY.encode() in path.read_bytes()]


def visible(services: FakeServices, collection: Collection) -> int:
    return services.index(collection).snapshot().counts().documents


def test_whoever_asks_for_a_purge_has_it_done(
    services: FakeServices, collection: Collection, document_ids: list[str]
) -> None:
    assert traces(services)

    task_id = submit_deletion(services, collection, document_ids, purge=True)

    assert state(services, task_id) is TaskState.SUCCEEDED
    assert traces(services) == []
    assert services.registry.documents.find("docs", document_ids) == []


def test_a_deletion_without_purge_leaves_the_bytes_to_maintenance(
    services: FakeServices, collection: Collection, document_ids: list[str]
) -> None:
    task_id = submit_deletion(services, collection, document_ids, purge=False)

    assert state(services, task_id) is TaskState.SUCCEEDED
    assert visible(services, collection) == 0
    assert traces(services)
    assert not purges_wait(services)


def test_a_busy_index_leaves_the_task_open_for_the_next_time(
    services: FakeServices,
    collection: Collection,
    document_ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(purge, "purge_collection", busy)
        task_id = submit_deletion(services, collection, document_ids, purge=True)
        assert finish_purges(services) == 0

    assert "docs is purged later: other writers came first" in caplog.text
    assert not state(services, task_id).final
    assert visible(services, collection) == 0, "nobody finds them all the same"
    assert finish_purges(services) == 2
    assert state(services, task_id) is TaskState.SUCCEEDED
    assert traces(services) == []


def test_no_sensor_purges(
    services: FakeServices,
    collection: Collection,
    document_ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may take a minute, for which no message would be taken in and nothing be reconciled."""
    monkeypatch.setattr(tick, "IDLE_POLL_SECONDS", 0.05)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it purged")

    with monkeypatch.context() as patch:
        patch.setattr(purge, "purge_collection", refuse)
        task_id = send_deletion(services, document_ids)
        run_tick(services, lambda _: {})
        finish_deletions(services)

    assert visible(services, collection) == 0
    assert not state(services, task_id).final
    assert not purges_wait(services), "a client might be at it"
    monkeypatch.setattr(deletion, "CLIENT_SECONDS", -1.0)
    assert purges_wait(services)
    assert finish_purges(services) == 2
    assert state(services, task_id) is TaskState.SUCCEEDED
    assert not purges_wait(services)


def test_a_purge_killed_before_its_task_ended_is_ended_by_the_next_look(
    services: FakeServices,
    collection: Collection,
    document_ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(services.registry.upkeep, "forget_deleted", die)
        with pytest.raises(KeyboardInterrupt):
            submit_deletion(services, collection, document_ids, purge=True)
    assert finish_purges(services) == 2
    assert services.registry.tasks.deletions() == []


def test_tasks_of_one_collection_are_purged_together(
    services: FakeServices,
    collection: Collection,
    document_ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    real = purge.purge_collection
    with monkeypatch.context() as patch:
        patch.setattr(purge, "purge_collection", busy)
        for document_id in document_ids:
            submit_deletion(services, collection, [document_id], purge=True)

    def counted(uri: str, table: str, removed: dict[str, list[str]]) -> int:
        calls.append(len(removed))
        return real(uri, table, removed)

    monkeypatch.setattr(purge, "purge_collection", counted)

    assert finish_purges(services) == 2
    assert calls == [2]


def test_a_busy_index_fails_neither_tick_nor_reconciliation(
    services: FakeServices,
    collection: Collection,
    document_ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(CollectionIndex, "publish", busy)
        task_id = submit_deletion(services, collection, document_ids, purge=True)
        apply_deletions(services)
        assert not state(services, task_id).final
        assert visible(services, collection) == 2

    apply_deletions(services)
    assert visible(services, collection) == 0
    assert not state(services, task_id).final, "the purge is still to come"
    finish_purges(services)
    assert state(services, task_id) is TaskState.SUCCEEDED
