"""The client in one process, with the real embedding model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import ingestion_pipeline
from ingestion_pipeline.client import IngestionClient, TaskNotFound, TaskTimeoutError
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.model.tasks import Backend, ReindexOnly, TaskState
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.embedded import EmbeddedRedis

TEXTS = {
    "travel.txt": "Journeys abroad are approved by the head of the department, in writing.",
    "cooking.txt": "Simmer the tomatoes with garlic and basil for twenty minutes.",
}


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, redis_server: EmbeddedRedis
) -> Iterator[IngestionClient]:
    """A client with nobody else around to do its work."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INGEST_STATE_DIR", str(state))
        patch.setenv("INGEST_REDIS_URL", f"unix://{redis_server.socket}")
        patch.delenv("DAGSTER_HOME", raising=False)
        open_instance.cache_clear()
        with IngestionClient() as client:
            yield client
        open_instance().dispose()
        open_instance.cache_clear()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, text in TEXTS.items():
        folder.joinpath(name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def handbook(client: IngestionClient, files: Path) -> str:
    """The task that brought the first of two files into the collection of that name."""
    task = client.launch_and_await_task(files / "travel.txt", collection="handbook", timeout=120)
    client.launch_and_await_task(files / "cooking.txt", collection="handbook", timeout=120)
    return task.task_id


def test_the_package_shows_its_client_and_nothing_else() -> None:
    assert ingestion_pipeline.IngestionClient is IngestionClient
    with pytest.raises(AttributeError):
        ingestion_pipeline.Client  # noqa: B018 - the access is the test


def test_without_a_daemon_the_work_is_done_here_and_said_so(
    client: IngestionClient, handbook: str
) -> None:
    task = client.get_task(handbook)

    assert client.backend() is Backend.IN_PROCESS
    assert (task.state, task.backend, task.progress) == (
        TaskState.SUCCEEDED,
        Backend.IN_PROCESS,
        1,
    )
    assert task.tokens > 0


@pytest.mark.parametrize("mode", ["auto", "vector", "text", "hybrid"])
def test_search_finds_the_document_that_answers(
    client: IngestionClient, handbook: str, mode: str
) -> None:
    first, *_ = client.search("who approves journeys?", collection="handbook", mode=mode)
    assert (first.name, first.text) == ("travel.txt", TEXTS["travel.txt"])

    first, *_ = client.search("garlic and tomatoes", collection="handbook", mode=mode, k=1)
    assert first.name == "cooking.txt"


def test_meaning_is_found_without_a_common_word(client: IngestionClient, handbook: str) -> None:
    (first,) = client.search("pasta sauce recipe", collection="handbook", mode="vector", k=1)

    assert first.name == "cooking.txt"


def test_launching_never_waits_for_the_work(client: IngestionClient, files: Path) -> None:
    batch = client.launch_tasks([files], collection="later")

    assert len(batch.task_ids) == 2
    assert {client.get_task(each).state for each in batch.task_ids} == {TaskState.WAITING}
    assert {client.get_task(each).batch_id for each in batch.task_ids} == {batch.batch_id}


def test_waiting_for_several_tasks_returns_them_in_order(
    client: IngestionClient, files: Path
) -> None:
    batch = client.launch_tasks([files, files / "none.txt"], collection="several")

    tasks = client.await_tasks(batch.task_ids, in_process=True)

    assert [task.task_id for task in tasks] == list(batch.task_ids)
    assert [task.state for task in tasks] == [
        TaskState.SUCCEEDED,
        TaskState.SUCCEEDED,
        TaskState.FAILED,
    ]
    assert client.await_tasks([]) == []


def test_waiting_ends_with_the_time_given_and_the_task_goes_on(
    client: IngestionClient, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = client.launch_task(files / "travel.txt", collection="slow")
    monkeypatch.setattr(client, "backend", lambda: Backend.DAGSTER)

    with pytest.raises(TaskTimeoutError, match="the tasks go on") as raised:
        client.await_tasks([task.task_id], timeout=0.3)

    assert raised.value.kind is ErrorKind.TIMEOUT
    assert client.get_task(task.task_id).state is TaskState.WAITING


def test_an_unknown_task_is_an_error_and_not_pending(client: IngestionClient) -> None:
    for ask in (
        lambda: client.get_task("unheard-of"),
        lambda: client.await_tasks(["unheard-of"]),
        lambda: next(client.events("unheard-of")),
    ):
        with pytest.raises(TaskNotFound, match="'unheard-of'"):
            ask()


def test_an_unknown_collection_cannot_be_searched_or_reindexed(client: IngestionClient) -> None:
    for ask in (
        lambda: client.search("anything", collection="nowhere"),
        lambda: client.reindex(collection="nowhere"),
    ):
        with pytest.raises(PermanentError) as raised:
            ask()
        assert raised.value.kind is ErrorKind.NOT_FOUND


def test_events_can_be_replayed_by_many_readers_and_from_any_point(
    client: IngestionClient, handbook: str
) -> None:
    events = list(client.events(handbook))

    assert events[0].state is TaskState.WAITING
    assert events[-1].state is TaskState.SUCCEEDED
    assert [event.progress for event in events] == sorted(event.progress for event in events)
    assert list(client.events(handbook)) == events
    assert list(client.events(handbook, after=events[1].id)) == events[2:]


def test_events_are_watched_live_to_the_end(client: IngestionClient, files: Path) -> None:
    task = client.launch_task(files / "cooking.txt", collection="live")
    states: list[TaskState] = []
    watcher = threading.Thread(
        target=lambda: states.extend(event.state for event in client.events(task.task_id))
    )
    watcher.start()

    client.work_here([task.task_id])
    watcher.join(timeout=30)

    assert states[0] is TaskState.WAITING
    assert states[-1] is TaskState.SUCCEEDED


def test_reindexing_what_is_current_does_nothing_and_says_so(
    client: IngestionClient, handbook: str
) -> None:
    task = client.reindex(collection="handbook", only=ReindexOnly.STALE)

    assert task.state is TaskState.SUCCEEDED
    assert "Nothing to do" in task.messages[-1]


def test_a_closed_client_can_be_used_again(tmp_path: Path, redis_url: str) -> None:
    client = IngestionClient(Settings(state_dir=tmp_path, redis_url=redis_url))
    for _ in range(2):
        with client:
            assert client.services.registry.collections.all() == []
