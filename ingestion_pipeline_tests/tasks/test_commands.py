"""What people do to tasks, given directly or by a message, and what becomes of the documents."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline.errors import Ask, ErrorKind, PermanentError
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import Backend, Priority, Task, TaskState
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline.streams.tasks import DEAD_STREAM, STREAMS
from ingestion_pipeline.tasks import commands, intake
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline.tasks.tick import tick
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.parsing import samples

SECRET = "kx93-canary-pw"


class Desk:
    def __init__(self, services: FakeServices, collection: Collection, write: Any) -> None:
        self.services = services
        self.collection = collection
        self.write = write

    def submit(self, name: str, content: str | bytes) -> str:
        path = self.write(name, content)
        return submit(self.services, self.collection, [path], Priority.NORMAL, {}).task_ids[0]

    def run(self) -> None:
        run(self.services, self.collection, WorkRequest("run", Backend.IN_PROCESS))

    def task(self, task_id: str) -> Task:
        return self.services.registry.tasks.get(task_id)

    def only_document(self) -> Any:
        (document,) = self.services.registry.documents.find(self.collection.key)
        return document

    def send(self, **message: Any) -> None:
        self.services.streams.publish(
            [json.dumps({"collection": self.collection.name.name, **message})], Priority.HIGH
        )
        tick(self.services, lambda _: {})


@pytest.fixture
def desk(services: FakeServices, collection: Collection, write: Any) -> Desk:
    return Desk(services, collection, write)


@pytest.fixture
def redis_folder(redis_server: EmbeddedRedis) -> Path:
    return redis_server.socket.parent


@pytest.fixture
def locked(desk: Desk) -> str:
    """A task that asks for a password."""
    task_id = desk.submit("locked.pdf", samples.handbook_pdf(1, password=SECRET))
    desk.run()
    return task_id


def test_an_encrypted_document_asks_for_its_password(desk: Desk, locked: str) -> None:
    task = desk.task(locked)
    assert task.state is TaskState.INPUT
    assert task.question is not None
    assert (task.question.asks, task.question.doubt.kind) == (Ask.PASSWORD, ErrorKind.ENCRYPTED)
    assert task.error is None
    assert desk.only_document().state is DocumentState.INPUT
    assert desk.services.registry.runs.find() == [], "it holds no run while it waits"


def test_the_right_password_lets_it_go_on_and_is_erased(desk: Desk, locked: str) -> None:
    commands.answer(desk.services, locked, {"password": SECRET})
    assert desk.task(locked).state is TaskState.RUNNING
    desk.run()

    document = desk.only_document()
    assert desk.task(locked).state is TaskState.SUCCEEDED
    assert document.state is DocumentState.INDEXED
    assert desk.services.registry.claims.answer(document.document_id) is None


def test_a_wrong_password_asks_again(desk: Desk, locked: str) -> None:
    commands.answer(desk.services, locked, {"password": "wrong"})
    desk.run()

    task = desk.task(locked)
    assert task.state is TaskState.INPUT
    assert task.question is not None
    assert "does not open" in task.question.doubt.message


def test_the_first_answer_wins(desk: Desk, locked: str) -> None:
    commands.answer(desk.services, locked, {"password": SECRET})
    with pytest.raises(PermanentError, match="asks nothing"):
        commands.answer(desk.services, locked, {"password": "late"})
    desk.run()

    assert desk.task(locked).state is TaskState.SUCCEEDED


@pytest.mark.parametrize(
    "answer",
    [{"go_on": True}, {}, {"password": SECRET, "go_on": True}, {"colour": "red"}, {"password": ""}],
)
def test_what_is_no_answer_is_refused_and_can_be_made_good(
    desk: Desk, locked: str, answer: dict[str, Any]
) -> None:
    with pytest.raises(PermanentError) as raised:
        commands.answer(desk.services, locked, answer)

    assert raised.value.kind is ErrorKind.INVALID_OPTION
    assert SECRET not in str(raised.value)
    assert desk.task(locked).state is TaskState.INPUT


def test_nobody_answers_and_the_time_is_over(desk: Desk, write: Any) -> None:
    desk.services.settings = desk.services.settings.model_copy(
        update={"input_timeout_seconds": 0.01}
    )
    task_id = desk.submit("locked.pdf", samples.handbook_pdf(1, password=SECRET))
    desk.run()
    time.sleep(0.02)
    desk.services.registry.tasks.expire()

    task = desk.task(task_id)
    assert task.state is TaskState.TIMEOUT
    assert desk.only_document().state is DocumentState.FAILED
    with pytest.raises(PermanentError, match="asks nothing"):
        commands.answer(desk.services, task_id, {"password": SECRET})


def test_a_scan_is_indexed_as_it_is_if_a_person_says_so(desk: Desk) -> None:
    task_id = desk.submit("scan.pdf", samples.pdf([samples.scanned_page] * 2))
    desk.run()
    assert desk.task(task_id).state is TaskState.INPUT

    commands.answer(desk.services, task_id, {"go_on": True})
    desk.run()

    assert desk.task(task_id).state is TaskState.SUCCEEDED
    assert (desk.only_document().state, desk.only_document().chunks) == (DocumentState.INDEXED, 0)
    commands.retry(desk.services, [task_id])
    assert desk.task(task_id).state is TaskState.SUCCEEDED, "what succeeded is not tried again"


def test_a_person_who_says_no_gets_the_doubt_as_the_error(desk: Desk) -> None:
    task_id = desk.submit("scan.pdf", samples.pdf([samples.scanned_page]))
    desk.run()

    commands.answer(desk.services, task_id, {"go_on": False})

    task = desk.task(task_id)
    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert task.error.kind is ErrorKind.EMPTY


def test_a_new_version_without_a_password_needs_no_answer(desk: Desk, locked: str) -> None:
    again = desk.submit("locked.pdf", samples.handbook_pdf(1))
    desk.run()

    assert desk.task(again).state is TaskState.SUCCEEDED
    assert desk.task(locked).state is TaskState.SUCCEEDED, "it got what it waited for"


def test_canceling_while_it_waits_for_input(desk: Desk, locked: str) -> None:
    assert commands.cancel(desk.services, locked) == [locked]
    assert desk.task(locked).state is TaskState.CANCELED
    desk.run()
    assert desk.task(locked).state is TaskState.CANCELED


def test_an_answer_may_come_by_message_and_stays_nowhere(
    desk: Desk, locked: str, redis_folder: Path
) -> None:
    desk.send(type="continue", task_ref=locked, options={"password": SECRET})
    assert desk.task(locked).state is TaskState.RUNNING
    desk.run()
    assert desk.task(locked).state is TaskState.SUCCEEDED

    assert desk.services.streams.status().length == 0
    deadline = time.monotonic() + 20
    while found := holding(redis_folder, SECRET) + holding(desk.services.settings.state, SECRET):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_an_answer_that_cannot_be_used_is_put_aside_without_it(desk: Desk, locked: str) -> None:
    desk.send(type="continue", task_ref=locked, options={"pasword": SECRET})

    (letter,) = desk.services.streams.dead_letters()
    assert "invalid_option" in letter.reason
    assert SECRET not in letter.message + letter.reason
    assert desk.services.redis.xlen(DEAD_STREAM) == 1


def test_a_task_is_canceled_by_message(desk: Desk) -> None:
    task_id = desk.submit("a.txt", "Some words.")
    desk.send(type="cancel", task_ref=task_id)
    desk.run()

    assert desk.task(task_id).state is TaskState.CANCELED
    assert desk.services.index(desk.collection).snapshot().counts().documents == 0


def test_an_order_that_overtakes_its_task_is_obeyed_when_that_has_come(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "STALE_AFTER_SECONDS", 0)
    desk.send(type="cancel", task_ref="late")
    path = desk.write("a.txt", "Some words.")
    key, _ = desk.services.objects.put(desk.collection.name, path.read_bytes())
    desk.send(type="ingest", task_id="late", source={"uri": f"object:{key}"})
    tick(desk.services, lambda _: {})

    assert desk.task("late").state is TaskState.CANCELED
    assert desk.services.streams.status().length == 0


def test_an_order_about_no_task_is_put_aside_in_the_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "STALE_AFTER_SECONDS", 0)
    desk.send(type="cancel", task_ref="nothing")
    for _ in range(intake.MAX_DELIVERIES):
        tick(desk.services, lambda _: {})

    (letter,) = desk.services.streams.dead_letters()
    assert "not_found" in letter.reason


def test_nobody_cancels_another_tenants_task(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_DELIVERIES", 1)
    task_id = desk.submit("a.txt", "Some words.")
    desk.services.registry.collections.ensure(CollectionName("other", "docs"))
    desk.send(type="cancel", task_ref=task_id, tenant="other")

    assert desk.task(task_id).state is TaskState.WAITING
    assert len(desk.services.streams.dead_letters()) == 1


def test_documents_are_deleted_by_message(desk: Desk) -> None:
    desk.submit("a.txt", "Some words.")
    desk.run()
    desk.send(type="delete", task_id="gone", document_id=desk.only_document().document_id)

    assert desk.task("gone").state is TaskState.SUCCEEDED
    assert desk.services.index(desk.collection).snapshot().counts().documents == 0


def test_a_batch_is_canceled_by_its_id_and_what_is_final_stays(desk: Desk) -> None:
    paths = [desk.write(name, f"Words of {name}.") for name in ("a.txt", "b.txt")]
    batch = submit(desk.services, desk.collection, paths, Priority.NORMAL, {})
    first, second = batch.task_ids
    commands.cancel(desk.services, first)

    assert commands.cancel(desk.services, batch.batch_id) == [second]
    assert {desk.task(each).state for each in batch.task_ids} == {TaskState.CANCELED}


def test_what_failed_in_a_collection_is_tried_again(desk: Desk) -> None:
    broken = desk.submit("a.pdf", b"%PDF-1.7 and no more")
    fine = desk.submit("b.txt", "Some words.")
    desk.run()
    assert desk.task(broken).state is TaskState.FAILED

    assert commands.retry_failed(desk.services, desk.collection.name) == [broken]
    task = desk.task(broken)
    assert (task.state, task.error, task.finished_at) == (TaskState.WAITING, None, None)
    assert desk.task(fine).state is TaskState.SUCCEEDED
    desk.run()
    assert desk.task(broken).state is TaskState.FAILED


def holding(folder: Path, secret: str) -> list[Path]:
    """Return the files under a folder that hold a secret in clear."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and secret.encode() in path.read_bytes():
                found.append(path)
        except FileNotFoundError:  # a log that was written anew meanwhile
            continue
    return found


def test_every_stream_is_empty_after_orders(desk: Desk) -> None:
    desk.send(type="cancel", task_ref=desk.submit("a.txt", "Some words."))
    assert sum(desk.services.redis.xlen(stream) for stream in STREAMS.values()) == 0
