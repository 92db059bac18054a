from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import redis

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import document_id
from ingestion_pipeline.model.tasks import Priority, Task, TaskState
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.storage.objects import object_uri
from ingestion_pipeline.streams.tasks import STREAMS, TaskStreams
from ingestion_pipeline.tasks import intake
from ingestion_pipeline.tasks.intake import Received, receive
from ingestion_pipeline_tests.fakes import FakeServices

URL = "https://example.com/reports/Q1%20report.pdf?session=1"


@pytest.fixture
def settings(settings: Settings, write: Any) -> Settings:
    root = write("allowed/report.txt", "A report.").parent
    return settings.model_copy(update={"source_roots": (root,)})


def send(services: FakeServices, **fields: Any) -> None:
    message = {"type": "ingest", "collection": "docs", "source": {"uri": URL}} | fields
    priority = Priority(fields.get("priority", "normal"))
    services.streams.publish([json.dumps(message)], priority)


def received(services: FakeServices) -> Received:
    return receive(services, block_seconds=0, budget_seconds=20)


def only_task(services: FakeServices) -> Task:
    (task,) = services.registry.tasks.find(with_messages=True)
    return task


def test_a_message_becomes_a_waiting_task_with_its_document(
    services: FakeServices, collection: Collection
) -> None:
    send(services, task_id="task-1", priority="high", options={"force": True})

    assert received(services) == Received(accepted=1)

    task = only_task(services)
    assert (task.task_id, task.state, task.priority) == ("task-1", TaskState.WAITING, Priority.HIGH)
    assert task.options == {"force": True}
    (document,) = services.registry.documents.find("docs")
    assert (document.name, document.uri, document.fetch, document.force) == (
        "Q1 report.pdf",
        URL,
        True,
        True,
    )
    assert document.document_id == task.document_id == document_id("docs", URL)


def test_what_was_taken_in_is_acknowledged_and_told(
    services: FakeServices, collection: Collection
) -> None:
    send(services, task_id="task-1")
    received(services)

    status = services.streams.status()
    assert (status.length, status.pending, status.dead) == (0, 0, 0)
    assert [event.message for event in services.events.read("task-1")] == ["Task is queued."]
    assert received(services) == Received()


def test_the_same_message_five_times_is_one_task(
    services: FakeServices, collection: Collection
) -> None:
    for _ in range(3):
        send(services, task_id="task-1")
    received(services)
    for _ in range(2):
        send(services, task_id="task-1")
    received(services)

    assert only_task(services).messages[0].endswith("Task is queued.")
    assert len(only_task(services).messages) == 1


def test_a_message_without_a_task_id_gets_one_from_its_stream_entry(
    services: FakeServices, collection: Collection
) -> None:
    [entry_id] = services.streams.publish(
        [json.dumps({"type": "ingest", "collection": "docs", "source": {"uri": URL}})],
        Priority.NORMAL,
    )
    received(services)

    assert only_task(services).task_id == f"normal-{entry_id}"


def test_a_stored_object_needs_no_fetching(services: FakeServices, collection: Collection) -> None:
    key, sha256 = services.objects.put(collection.name, b"Some words.")
    send(services, source={"uri": object_uri(key), "name": "dir/My words.txt"})
    received(services)

    (document,) = services.registry.documents.find("docs")
    assert (document.name, document.sha256, document.bytes) == ("My words.txt", sha256, 11)
    assert not document.fetch


def test_a_file_under_an_allowed_root_is_taken(
    services: FakeServices, collection: Collection
) -> None:
    (root,) = services.settings.source_roots
    send(services, source={"uri": (root / "report.txt").as_uri()})
    received(services)

    assert only_task(services).state is TaskState.WAITING
    assert services.registry.documents.find("docs")[0].name == "report.txt"


def test_a_name_that_could_do_harm_is_made_harmless(
    services: FakeServices, collection: Collection
) -> None:
    send(services, source={"uri": URL, "name": "../a\u0000b\u202e.txt"})
    send(services, source={"uri": URL + "2", "name": "/.."})
    received(services)

    assert {document.name for document in services.registry.documents.find("docs")} == {
        "ab.txt",
        "Q1 report.pdf",
    }


def other_tenants_object(services: FakeServices) -> str:
    theirs = CollectionName("acme", "docs")
    services.registry.collections.ensure(theirs)
    key, _ = services.objects.put(theirs, b"Their secret.")
    return object_uri(key)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"collection": "nowhere"}, ErrorKind.NOT_FOUND),
        ({"tenant": "acme"}, ErrorKind.NOT_FOUND),
        ({"options": {"forec": True}}, ErrorKind.INVALID_OPTION),
        ({"options": {"x": "\ud800\u0000"}}, ErrorKind.INVALID_OPTION),
        ({"source": {"uri": "file:///etc/passwd"}}, ErrorKind.FORBIDDEN_SOURCE),
        ({"source": {"uri": "http://127.0.0.1/"}}, ErrorKind.FORBIDDEN_SOURCE),
        ({"source": {"uri": "http://169.254.169.254/latest"}}, ErrorKind.FORBIDDEN_SOURCE),
        ({"source": {"uri": "https://a:b@example.com/"}}, ErrorKind.FORBIDDEN_SOURCE),
        ({"source": {"uri": "gopher://example.com/"}}, ErrorKind.UNSUPPORTED),
        ({"source": {"uri": "object:objects/default/docs/ab/none"}}, ErrorKind.NOT_FOUND),
        ({"source": {"uri": "object:../../etc/passwd"}}, ErrorKind.INVALID_OPTION),
        ({"source": None, "document_id": "unheard-of"}, ErrorKind.NOT_FOUND),
        (
            {"type": "reindex", "source": None, "document_ids": ["unheard-of"]},
            ErrorKind.NOT_FOUND,
        ),
        ({"type": "delete", "source": None, "document_id": "a"}, ErrorKind.NOT_FOUND),
    ],
)
def test_a_request_that_cannot_be_met_is_a_failed_task_with_the_reason(
    services: FakeServices, collection: Collection, fields: dict[str, Any], kind: ErrorKind
) -> None:
    send(services, task_id="bad", **fields)
    send(services, task_id="good")

    assert received(services) == Received(accepted=2)

    bad = services.registry.tasks.get("bad")
    assert bad.state is TaskState.FAILED
    assert bad.error is not None
    assert bad.error.kind is kind
    assert bad.error.message.isprintable()
    assert services.registry.tasks.get("good").state is TaskState.WAITING
    assert [event.state for event in services.events.read("bad")] == [TaskState.FAILED]


def test_an_object_of_another_tenant_or_collection_cannot_be_reached(
    services: FakeServices, collection: Collection
) -> None:
    send(services, source={"uri": other_tenants_object(services)})
    received(services)

    error = only_task(services).error
    assert error is not None
    assert error.kind is ErrorKind.FORBIDDEN_SOURCE
    assert services.registry.documents.find("docs") == []


def test_a_document_of_another_collection_cannot_be_asked_for(
    services: FakeServices, collection: Collection
) -> None:
    services.registry.collections.ensure(CollectionName("default", "other"))
    send(services, collection="other")
    received(services)
    (theirs,) = services.registry.documents.find("other")
    send(services, task_id="nosy", source=None, document_id=theirs.document_id)
    received(services)

    assert services.registry.tasks.get("nosy").state is TaskState.FAILED


@pytest.mark.parametrize("raw", ["", "no json", '{"type": "ingest"}', '{"\\ud800": "\\u0000"}'])
def test_what_cannot_be_read_goes_to_the_dead_letters_with_the_reason(
    services: FakeServices, collection: Collection, raw: str
) -> None:
    services.streams.publish([raw], Priority.NORMAL)
    send(services, task_id="good")

    assert received(services) == Received(accepted=1, dead_lettered=1)

    (letter,) = services.streams.dead_letters()
    assert letter.message == raw
    assert letter.reason.startswith("invalid_message: ")
    assert services.streams.status().length == 0
    assert only_task(services).task_id == "good"


def test_an_entry_without_a_message_goes_to_the_dead_letters(
    services: FakeServices, collection: Collection, redis_client: redis.Redis
) -> None:
    redis_client.xadd(STREAMS[Priority.NORMAL], {"massage": "{}"})

    assert received(services).dead_lettered == 1
    assert "no field 'message'" in services.streams.dead_letters()[0].reason


def test_what_a_consumer_read_before_it_died_is_claimed_back(
    services: FakeServices,
    collection: Collection,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead = TaskStreams(redis_client, "dead")
    send(services, task_id="task-1")
    assert len(dead.read(10, 0)) == 1
    assert received(services) == Received(), "it may still be at work"

    monkeypatch.setattr(intake, "STALE_AFTER_SECONDS", 0)
    assert received(services) == Received(accepted=1)

    assert only_task(services).state is TaskState.WAITING
    assert services.streams.status().pending == 0


def test_what_was_committed_but_not_acknowledged_changes_nothing_the_second_time(
    services: FakeServices, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(services, task_id="task-1")
    with monkeypatch.context() as patch:
        patch.setattr(services.streams, "acknowledge", _dies)
        with pytest.raises(KeyboardInterrupt):
            received(services)
    assert only_task(services).state is TaskState.WAITING
    assert services.streams.status().pending == 1

    monkeypatch.setattr(intake, "STALE_AFTER_SECONDS", 0)
    received(services)

    assert len(only_task(services).messages) == 1
    assert services.streams.status().pending == 0


def test_a_registry_that_does_not_answer_loses_no_message(
    services: FakeServices, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise TransientError(ErrorKind.UNAVAILABLE, "busy")

    send(services, task_id="task-1")
    with monkeypatch.context() as patch:
        patch.setattr(services.registry.tasks, "accept", refuse)
        with pytest.raises(TransientError):
            received(services)
    assert services.streams.status().pending == 1

    monkeypatch.setattr(intake, "STALE_AFTER_SECONDS", 0)
    assert received(services) == Received(accepted=1)


def test_a_message_that_intake_itself_fails_on_is_put_aside_after_some_tries(
    services: FakeServices, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(intake, "STALE_AFTER_SECONDS", 0)
    monkeypatch.setattr(intake, "check_source", fail)
    send(services, task_id="unlucky")
    outcomes = [received(services).dead_lettered for _ in range(intake.MAX_DELIVERIES)]

    assert outcomes == [0] * (intake.MAX_DELIVERIES - 1) + [1]
    assert services.streams.dead_letters()[0].reason == "internal: a fault of ours"


def test_a_busy_intake_keeps_to_its_budget_and_leaves_the_rest_for_later(
    services: FakeServices, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "ENTRIES_PER_READ", 2)
    for _ in range(5):
        send(services)

    assert receive(services, 0, budget_seconds=0).accepted == 2
    assert receive(services, 0, budget_seconds=20).accepted == 3


def test_normal_messages_get_through_while_urgent_ones_never_end(
    services: FakeServices, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "ENTRIES_PER_READ", 2)
    for _ in range(5):
        send(services, priority="high")
    send(services, task_id="normal")

    receive(services, 0, budget_seconds=0)

    assert services.registry.tasks.get("normal").state is TaskState.WAITING


def test_a_reindex_message_selects_documents(
    services: FakeServices, collection: Collection
) -> None:
    send(services)
    received(services)
    (document,) = services.registry.documents.find("docs")
    for only, ids in (("all", None), ("stale", [document.document_id]), ("failed", None)):
        send(
            services,
            type="reindex",
            source=None,
            task_id=f"reindex-{only}",
            document_ids=ids,
            options={"only": only},
        )
    received(services)

    states = services.registry.tasks.states(["reindex-all", "reindex-stale", "reindex-failed"])
    assert sorted(states.items()) == [
        ("reindex-all", TaskState.WAITING),
        ("reindex-failed", TaskState.SUCCEEDED),
        ("reindex-stale", TaskState.WAITING),
    ]
    assert services.registry.documents.find("docs")[0].force


def test_a_task_our_own_client_registered_before_is_left_as_it_is(
    services: FakeServices, collection: Collection
) -> None:
    message = intake.parse_message(
        json.dumps({"type": "ingest", "collection": "docs", "source": {"uri": URL}})
    )
    ours = replace(intake.new_task(services, message, uuid4().hex), batch_id="batch")
    services.registry.tasks.accept([ours])
    send(services, task_id=ours.task_id, source=None, document_id=document_id("docs", URL))

    received(services)

    assert only_task(services).batch_id == "batch"


def test_nothing_that_a_message_holds_can_stop_intake_on_postgresql(
    settings: Settings, parsers: ParserPool, postgres_url: str
) -> None:
    settings = settings.model_copy(update={"database_url": postgres_url})
    nasty = "\u0000\ud800\n" + "x" * 500
    with closing(FakeServices(settings, parsers)) as services:
        services.registry.collections.ensure(CollectionName("default", "nasty"))
        message = {"type": "ingest", "collection": "nasty", "source": {"uri": URL}}
        for fields in (
            {"collection": nasty},
            {"collection": "c" * 300},
            {"tenant": "t" * 300},
            {"options": {nasty: nasty}},
            {"source": {"uri": URL + "#" + nasty}},
            {"source": {"uri": "file:///" + nasty}},
            {"source": {"uri": URL, "name": nasty[:300]}},
            {"source": None, "document_id": "d" * 128},
            {"task_id": "t" * 128},
        ):
            send(services, **message | fields)

        outcome = received(services)

        assert outcome.accepted + outcome.dead_lettered == 9
        assert services.streams.status().length == 0
        assert services.registry.tasks.get("t" * 128).state is TaskState.WAITING


def _dies(*_: object) -> None:
    raise KeyboardInterrupt
