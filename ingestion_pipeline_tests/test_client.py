"""The client in one process, with the real embedding model."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.sensor_definition import SensorType
from dagster._core.remote_origin import RemoteInstigatorOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)
from dagster._daemon.types import DaemonHeartbeat

import ingestion_pipeline
from ingestion_pipeline.client import IngestionClient, TaskNotFound, TaskTimeoutError
from ingestion_pipeline.errors import Ask, ErrorKind, PermanentError
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import Backend, ReindexOnly, TaskState
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline_tests.execution.runs import ORIGIN
from ingestion_pipeline_tests.parsing.samples import chapter, handbook_pdf, pdf, scanned_page

PASSWORD = "canary-0815"
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
        lambda: client.get_tasks(["unheard-of"]),
        lambda: client.retry_tasks(["unheard-of"]),
        lambda: client.continue_task("unheard-of", {"go_on": True}),
        lambda: client.await_tasks(["unheard-of"]),
        lambda: next(client.events("unheard-of")),
    ):
        with pytest.raises(TaskNotFound, match="'unheard-of'"):
            ask()


def test_what_is_about_an_unknown_collection_task_or_batch_is_not_found(
    client: IngestionClient,
) -> None:
    for ask in (
        lambda: client.search("anything", collection="nowhere"),
        lambda: client.reindex(collection="nowhere"),
        lambda: client.retry_failed(collection="nowhere"),
        lambda: client.delete_documents(["d"], collection="nowhere"),
        lambda: client.cancel_task("unheard-of"),
        lambda: client.task_ids("unheard-of"),
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


def test_a_batch_knows_how_far_it_is_and_waits_for_all_of_it(
    client: IngestionClient, files: Path
) -> None:
    batch = client.launch_tasks([files], collection="batch")
    assert batch.progress() == 0
    assert client.cancel_task(batch.task_ids[0]) == [batch.task_ids[0]]
    assert batch.progress() == 0.5

    done = batch.wait(timeout=120)

    assert batch.progress() == 1
    assert [task.state for task in done] == [TaskState.CANCELED, TaskState.SUCCEEDED]
    assert batch.tasks() == done
    assert sorted(client.task_ids(batch.batch_id)) == sorted(batch.task_ids)
    assert client.task_ids(batch.task_ids[0]) == [batch.task_ids[0]]
    assert batch.cancel() == []


def test_a_batch_is_canceled_as_a_whole(client: IngestionClient, files: Path) -> None:
    batch = client.launch_tasks([files], collection="unwanted")

    assert sorted(batch.cancel()) == sorted(batch.task_ids)

    assert {task.state for task in batch.tasks()} == {TaskState.CANCELED}
    assert client.search("journeys", collection="unwanted", mode="text") == []


def test_a_batch_of_nothing_is_done(client: IngestionClient, tmp_path: Path) -> None:
    batch = client.launch_tasks([tmp_path], collection="batch")

    assert (batch.tasks(), batch.progress(), batch.cancel(), batch.wait()) == ([], 1, [], [])


@pytest.mark.parametrize(
    ("cancel", "state"), [(True, TaskState.CANCELED), (False, TaskState.WAITING)]
)
def test_a_wait_that_is_over_cancels_the_task_on_request(
    client: IngestionClient,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    cancel: bool,
    state: TaskState,
) -> None:
    monkeypatch.setattr(client, "backend", lambda: Backend.DAGSTER)
    collection = f"impatient-{state}"

    with pytest.raises(TaskTimeoutError):
        client.launch_and_await_task(
            files / "travel.txt", collection=collection, timeout=0.1, cancel_on_timeout=cancel
        )

    (task,) = client.services.registry.tasks.find(name=CollectionName("default", collection))
    assert task.state is state


def test_what_failed_is_tried_once_more(
    client: IngestionClient, files: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.pdf").write_bytes(handbook_pdf()[:900])
    batch = client.launch_tasks([files, tmp_path / "broken.pdf"], collection="mended")
    broken = batch.wait()[-1]
    assert broken.state is TaskState.FAILED

    assert client.retry_failed(collection="mended") == [broken.task_id]
    assert client.get_task(broken.task_id).state is TaskState.WAITING
    assert client.retry_tasks(batch.task_ids) == []

    (again,) = client.await_tasks([broken.task_id])
    assert (again.state, again.attempts) == (TaskState.FAILED, 2)


def test_an_encrypted_document_waits_for_its_password(
    client: IngestionClient, tmp_path: Path
) -> None:
    (tmp_path / "secret.pdf").write_bytes(handbook_pdf(password=PASSWORD))
    task = client.launch_and_await_task(tmp_path / "secret.pdf", collection="secret")
    assert task.state is TaskState.INPUT
    assert task.question is not None
    assert task.question.asks is Ask.PASSWORD
    assert client.services.registry.claims.live_runs() == {}
    for no_answer in ({}, {"go_on": True}, {"password": ""}, {"password": "x", "go_on": True}):
        with pytest.raises(PermanentError) as raised:
            client.continue_task(task.task_id, no_answer)
        assert raised.value.kind is ErrorKind.INVALID_OPTION

    answered = client.continue_task(task.task_id, {"password": PASSWORD})

    assert (answered.state, answered.question) == (TaskState.RUNNING, None)
    with pytest.raises(PermanentError, match="asks nothing"):
        client.continue_task(task.task_id, {"password": "too late"})
    (done,) = client.await_tasks([task.task_id])
    assert done.state is TaskState.SUCCEEDED
    assert done.document_id is not None
    assert client.services.answer(done.document_id) is None
    hit, *_ = client.search("who approves journeys?", collection="secret")
    assert hit.name == "secret.pdf"
    assert_nowhere(PASSWORD, client)


def test_a_person_says_whether_to_go_on_with_scans(client: IngestionClient, tmp_path: Path) -> None:
    (tmp_path / "scans.pdf").write_bytes(pdf([chapter(1), scanned_page, scanned_page]))
    task = client.launch_and_await_task(tmp_path / "scans.pdf", collection="scans")
    assert task.question is not None
    assert task.question.asks is Ask.GO_ON

    declined = client.continue_task(task.task_id, {"go_on": False})
    assert declined.state is TaskState.FAILED
    assert declined.error == task.question.doubt

    assert client.retry_tasks([task.task_id]) == [task.task_id]
    assert client.await_tasks([task.task_id])[0].state is TaskState.INPUT
    client.continue_task(task.task_id, {"go_on": True})
    assert client.await_tasks([task.task_id])[0].state is TaskState.SUCCEEDED


def test_what_waits_for_an_answer_can_be_canceled(client: IngestionClient, tmp_path: Path) -> None:
    (tmp_path / "secret.pdf").write_bytes(handbook_pdf(password=PASSWORD))
    task = client.launch_and_await_task(tmp_path / "secret.pdf", collection="given-up")

    assert client.cancel_task(task.task_id) == [task.task_id]

    canceled = client.get_task(task.task_id)
    assert (canceled.state, canceled.question) == (TaskState.CANCELED, None)


def test_a_deleted_document_is_found_by_nobody_and_purged_of_every_byte(
    client: IngestionClient, tmp_path: Path
) -> None:
    marks = {"kept": "quittengelee", "deleted": "zwetschgenmus"}
    for name, mark in marks.items():
        (tmp_path / f"{name}.txt").write_text(f"How to make {mark}.")
    kept, deleted = client.launch_tasks(
        [tmp_path / f"{name}.txt" for name in marks], collection="jams"
    ).wait()
    assert deleted.document_id is not None

    task = client.delete_documents([deleted.document_id], collection="jams")

    assert task.state is TaskState.SUCCEEDED
    assert client.search(marks["deleted"], collection="jams", mode="text") == []
    purged = client.delete_documents([deleted.document_id], collection="jams", purge=True)
    assert purged.state is TaskState.SUCCEEDED
    assert_nowhere(marks["deleted"], client)
    (hit,) = client.search(marks["kept"], collection="jams", mode="text")
    assert hit.document_id == kept.document_id


def test_deleting_an_unknown_document_fails_and_deletes_none(
    client: IngestionClient, handbook: str
) -> None:
    known = client.get_task(handbook).document_id
    assert known is not None

    task = client.delete_documents([known, "unheard-of"], collection="handbook")

    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert task.error.kind is ErrorKind.NOT_FOUND
    assert client.search("who approves journeys?", collection="handbook")[0].document_id == known


def test_the_backend_is_dagster_only_while_a_daemon_takes_tasks_up(client: IngestionClient) -> None:
    instance = open_instance()
    try:
        assert client.backend() is Backend.IN_PROCESS
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "d-1"))
        assert client.backend() is Backend.DAGSTER
        sensor = InstigatorState(
            RemoteInstigatorOrigin(ORIGIN.repository_origin, "task_stream_sensor"),
            InstigatorType.SENSOR,
            InstigatorStatus.STOPPED,
            SensorInstigatorData(sensor_type=SensorType.STANDARD),
        )
        instance.add_instigator_state(sensor)
        assert client.backend() is Backend.IN_PROCESS
        instance.update_instigator_state(sensor.with_status(InstigatorStatus.RUNNING))
        assert client.backend() is Backend.DAGSTER
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - 600, "SENSOR", "d-1"))
        assert client.backend() is Backend.IN_PROCESS
    finally:
        instance.wipe_daemon_heartbeats()


def assert_nowhere(word: str, client: IngestionClient) -> None:
    """Assert that no file under the state folder has the word."""
    files = [path for path in client.services.settings.state.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if word.encode() in path.read_bytes()] == []
