from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import redis

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.model.tasks import Priority, TaskState
from ingestion_pipeline.streams import connection
from ingestion_pipeline.streams.connection import connect, redis_errors
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline.streams.events import EventStreams, TaskEvent
from ingestion_pipeline.streams.tasks import Entry, TaskStreams
from ingestion_pipeline.streams.totals import Totals

ENTRY = Entry("ingest:tasks:high", "1-1", {"message": "{}"})
EVENT = TaskEvent("t", TaskState.RUNNING, 0.5, "half")


@pytest.mark.parametrize(
    "url", ["", "http://localhost", "redis://localhost:port", "localhost:6379"]
)
def test_a_url_that_is_not_of_redis_is_refused(url: str) -> None:
    with pytest.raises(PermanentError, match="INGEST_REDIS_URL") as caught:
        connect(url)
    assert caught.value.kind is ErrorKind.INVALID_OPTION


@pytest.mark.parametrize(
    "operation",
    [
        lambda client: TaskStreams(client, "c").ensure_groups(),
        lambda client: TaskStreams(client, "c").publish(["{}"], Priority.HIGH),
        lambda client: TaskStreams(client, "c").read(1, 0),
        lambda client: TaskStreams(client, "c").claim_stale(0, 1),
        lambda client: TaskStreams(client, "c").acknowledge([ENTRY]),
        lambda client: TaskStreams(client, "c").dead_letter(ENTRY, "bad"),
        lambda client: TaskStreams(client, "c").dead_letters(),
        lambda client: TaskStreams(client, "c").requeue("1-1"),
        lambda client: TaskStreams(client, "c").remove_dead_consumers(1),
        lambda client: TaskStreams(client, "c").status(),
        lambda client: EventStreams(client).append_many([EVENT]),
        lambda client: EventStreams(client).read("t"),
        lambda client: Totals(client).add({"chunks": 1}),
        lambda client: Totals(client).all(),
    ],
)
def test_every_operation_says_within_seconds_that_redis_is_away(
    operation: Callable[[redis.Redis], object],
) -> None:
    started = time.monotonic()
    with (
        connect("redis://user:secret@127.0.0.1:1/0") as client,
        pytest.raises(TransientError, match=r"at 127\.0\.0\.1:1: start it with") as caught,
    ):
        operation(client)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert "secret" not in str(caught.value)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "told",
    [
        lambda client: partial(EventStreams(client).append_many, [EVENT]),
        lambda client: partial(Totals(client).add, {"chunks": 1}),
        lambda client: partial(TaskStreams(client, "c").publish, ["{}"], Priority.HIGH),
    ],
)
def test_what_may_be_lost_waits_for_a_server_that_is_away_only_now_and_then(
    told: Callable[[redis.Redis], Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect("redis://127.0.0.1:1/0") as client:
        for seconds, reason in ((60.0, "a moment ago"), (0.0, "start it with")):
            monkeypatch.setattr(connection, "AWAY_SECONDS", seconds)
            tell = told(client)
            with pytest.raises(TransientError, match="start it with"):
                tell()
            with pytest.raises(TransientError, match=reason):
                tell()


def test_a_missing_socket_is_named(folder: Path) -> None:
    with (
        connect(f"unix://{folder}/redis.sock") as client,
        pytest.raises(TransientError, match=f"{folder}/redis.sock"),
    ):
        TaskStreams(client, "c").status()


def test_refused_credentials_are_permanent_and_not_told(folder: Path) -> None:
    with EmbeddedRedis(folder) as server, connect(f"unix://{server.socket}") as owner:
        owner.config_set("requirepass", "right")
        with (
            connect(f"unix://:wrong@{server.socket}") as client,
            pytest.raises(PermanentError, match="refuses the credentials") as caught,
        ):
            TaskStreams(client, "c").status()
    assert caught.value.kind is ErrorKind.INVALID_OPTION
    assert "wrong" not in str(caught.value)


def test_a_server_without_memory_is_unavailable(client: redis.Redis) -> None:
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(TransientError, match="accepts no writes"):
            TaskStreams(client, "c").publish(["{}"], Priority.NORMAL)
        with pytest.raises(TransientError, match="accepts no writes"):
            EventStreams(client).append_many([EVENT])
    finally:
        client.config_set("maxmemory", 0)


def test_bytes_that_are_not_text_come_back_as_they_were(client: redis.Redis) -> None:
    client.set("key", b"\xff\x00\xfe ok")
    value = client.get("key")
    assert isinstance(value, str)
    client.set("copy", value)
    assert client.execute_command("STRLEN", "copy") == 6
    assert client.get("copy") == value


def test_other_errors_of_the_server_are_not_hidden(client: redis.Redis) -> None:
    client.set("ingest:tasks:high", "not a stream")
    with pytest.raises(Exception, match="WRONGTYPE"), redis_errors(client):
        TaskStreams(client, "c").publish(["{}"], Priority.HIGH)
