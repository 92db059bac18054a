from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.streams.connection import connect
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline.streams.tasks import (
    DEAD_STREAM,
    GROUP,
    STREAMS,
    Entry,
    StreamStatus,
    TaskStreams,
)

HIGH, NORMAL = STREAMS[Priority.HIGH], STREAMS[Priority.NORMAL]


@pytest.fixture
def streams(client: redis.Redis) -> TaskStreams:
    streams = TaskStreams(client, "one")
    streams.ensure_groups()
    return streams


def messages(entries: list[Entry]) -> list[str | None]:
    return [entry.message for entry in entries]


def test_a_message_arrives_once_with_its_stream_and_id(streams: TaskStreams) -> None:
    [entry_id] = streams.publish(['{"type": "ingest"}'], Priority.HIGH)
    (entry,) = streams.read(10, 0)
    assert entry == Entry(HIGH, entry_id, {"message": '{"type": "ingest"}'}, deliveries=1)
    assert streams.read(10, 0) == []


def test_messages_from_before_the_group_existed_are_delivered(client: redis.Redis) -> None:
    streams = TaskStreams(client, "one")
    streams.publish(["early"], Priority.NORMAL)
    assert messages(streams.read(10, 0)) == ["early"]


def test_ensuring_the_groups_twice_forgets_nothing(streams: TaskStreams) -> None:
    streams.publish(["a"], Priority.NORMAL)
    assert messages(streams.read(10, 0)) == ["a"]
    streams.ensure_groups()
    assert streams.read(10, 0) == []
    assert streams.status().pending == 1


def test_normal_messages_are_read_while_high_ones_never_end(streams: TaskStreams) -> None:
    for number in range(30):
        streams.publish([f"high {number}"], Priority.HIGH)
    for number in range(3):
        streams.publish([f"normal {number}"], Priority.NORMAL)
    assert messages(streams.read(2, 0)) == ["high 0", "high 1", "normal 0", "normal 1"]
    assert messages(streams.read(2, 0)) == ["high 2", "high 3", "normal 2"]


def test_a_blocking_read_returns_as_soon_as_something_arrives(
    streams: TaskStreams, redis_server: EmbeddedRedis
) -> None:
    with connect(f"unix://{redis_server.socket}") as other, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(TaskStreams(other, "two").read, 10, 30)
        streams.publish(["soon"], Priority.NORMAL)
        assert messages(waiting.result(10)) == ["soon"]


def test_a_blocking_read_ends_empty(streams: TaskStreams) -> None:
    assert streams.read(10, 0.05) == []


def test_acknowledging_empties_the_stream_and_may_be_repeated(
    streams: TaskStreams, client: redis.Redis
) -> None:
    streams.publish(["a"], Priority.HIGH)
    streams.publish(["b"], Priority.NORMAL)
    streams.publish(["c"], Priority.NORMAL)
    entries = streams.read(10, 0)
    streams.acknowledge([entries[0], entries[2]])
    streams.acknowledge([entries[0]])
    streams.acknowledge([])
    assert streams.status() == StreamStatus(length=1, pending=1, lag=0, dead=0)
    streams.acknowledge(entries)
    assert client.xlen(HIGH) == client.xlen(NORMAL) == 0


def test_another_consumers_entries_are_claimed_with_their_count(
    streams: TaskStreams, client: redis.Redis
) -> None:
    streams.publish(["a"], Priority.HIGH)
    streams.publish(["b"], Priority.NORMAL)
    taken = streams.read(10, 0)
    other = TaskStreams(client, "two")
    assert other.claim_stale(60, 10) == []
    claimed = other.claim_stale(0, 10)
    assert [(entry.id, entry.message, entry.deliveries) for entry in claimed] == [
        (entry.id, entry.message, 2) for entry in taken
    ]
    assert [entry.deliveries for entry in streams.claim_stale(0, 10)] == [3, 3]


def test_a_consumer_claims_what_it_left_behind_in_an_earlier_life(
    streams: TaskStreams, client: redis.Redis
) -> None:
    streams.publish(["a"], Priority.NORMAL)
    streams.read(10, 0)
    assert messages(TaskStreams(client, "one").claim_stale(0, 10)) == ["a"]


def test_stale_entries_behind_many_fresh_ones_are_found(
    streams: TaskStreams, client: redis.Redis
) -> None:
    for number in range(300):
        streams.publish([str(number)], Priority.NORMAL)
    entries = streams.read(300, 0)
    # XAUTOCLAIM looks at ten times COUNT entries a call; only the last one is old enough.
    client.xclaim(NORMAL, GROUP, "one", 0, [entries[-1].id], idle=3_600_000, justid=True)
    assert messages(TaskStreams(client, "two").claim_stale(600, 2)) == ["299"]


def test_no_more_stale_entries_are_claimed_than_asked_for(streams: TaskStreams) -> None:
    for number in range(7):
        streams.publish([str(number)], Priority.NORMAL)
    streams.read(10, 0)
    assert messages(streams.claim_stale(0, 5)) == ["0", "1", "2", "3", "4"]


def test_an_entry_deleted_from_the_stream_is_not_claimed(
    streams: TaskStreams, client: redis.Redis
) -> None:
    streams.publish(["a"], Priority.NORMAL)
    streams.publish(["b"], Priority.NORMAL)
    first, _ = streams.read(10, 0)
    client.xdel(NORMAL, first.id)
    assert messages(streams.claim_stale(0, 10)) == ["b"]


@pytest.mark.parametrize(
    "operation", [lambda s: s.read(10, 0), lambda s: s.claim_stale(0, 10)], ids=["read", "claim"]
)
def test_a_server_that_came_back_empty_gets_its_groups_again(
    streams: TaskStreams, client: redis.Redis, operation: object
) -> None:
    client.flushall()
    assert callable(operation)
    assert operation(streams) == []
    streams.publish(["after"], Priority.NORMAL)
    assert messages(streams.read(10, 0)) == ["after"]


def test_a_server_restarted_without_its_data_is_read_from_again(folder: Path) -> None:
    server = EmbeddedRedis(folder)
    server.start()
    with connect(f"unix://{server.socket}") as client:
        streams = TaskStreams(client, "one")
        streams.ensure_groups()
        server.stop()
        for path in (folder / "redis" / "appendonlydir").iterdir():
            path.unlink()
        with server:
            streams.publish(["new"], Priority.HIGH)
            assert messages(streams.read(10, 0)) == ["new"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({b"message": b"\xff\xfe\x00"}, None),
        ({b"\xff": b"\xfe"}, None),
        ({b"Message": b"{}"}, None),
        ({b"message": b""}, ""),
        ({b"message": "ünï \U0001f600 \0".encode()}, "ünï \U0001f600 \0"),
        ({b"message": b"{}", b"extra\xff": b"\xff"}, "{}"),
    ],
)
def test_no_entry_can_break_a_read(
    streams: TaskStreams, client: redis.Redis, fields: dict[bytes, bytes], message: str | None
) -> None:
    client.xadd(NORMAL, dict(fields))
    streams.publish(["next"], Priority.NORMAL)
    assert messages(streams.read(10, 0)) == [message, "next"]
    entries = streams.claim_stale(0, 10)
    assert messages(entries) == [message, "next"]
    streams.dead_letter(entries[0], "cannot be read")
    (letter,) = streams.dead_letters()
    assert letter.message.encode().decode() == letter.message
    assert streams.status() == StreamStatus(length=1, pending=1, lag=0, dead=1)


def test_an_entry_without_a_message_is_kept_as_the_json_of_its_fields(
    streams: TaskStreams, client: redis.Redis
) -> None:
    client.xadd(NORMAL, {"mesage": "typo"})
    streams.dead_letter(streams.read(10, 0)[0], "no message")
    assert json.loads(streams.dead_letters()[0].message) == {"mesage": "typo"}


@pytest.mark.parametrize(
    ("message", "stream"),
    [
        ('{"priority": "high"}', HIGH),
        ('{"priority": "normal"}', NORMAL),
        ('{"priority": ["high"]}', NORMAL),
        ("[1]", NORMAL),
        ("not json", NORMAL),
    ],
)
def test_a_dead_letter_goes_there_and_back_unchanged(
    streams: TaskStreams, client: redis.Redis, message: str, stream: str
) -> None:
    streams.publish([message], Priority.NORMAL)
    (entry,) = streams.read(10, 0)
    streams.dead_letter(entry, "a reason")
    (letter,) = streams.dead_letters()
    assert (letter.message, letter.reason) == (message, "a reason")
    first_seen = datetime.fromisoformat(letter.first_seen)
    assert first_seen.tzinfo is not None
    assert abs(datetime.now(UTC) - first_seen) < timedelta(minutes=1)
    assert streams.status() == StreamStatus(length=0, pending=0, lag=0, dead=1)

    streams.requeue(letter.id)
    assert streams.dead_letters() == []
    assert [(entry.stream, entry.message) for entry in streams.read(10, 0)] == [(stream, message)]


def test_a_binary_dead_letter_goes_back_as_the_same_bytes(
    streams: TaskStreams, client: redis.Redis
) -> None:
    client.xadd(NORMAL, {"message": b"\xff\x00{"})
    streams.dead_letter(streams.read(10, 0)[0], "not text")
    (letter,) = streams.dead_letters()
    assert letter.message == "\ufffd\x00{"
    streams.requeue(letter.id)
    (entry,) = streams.read(10, 0)
    assert entry.fields["message"].encode("utf-8", "surrogateescape") == b"\xff\x00{"


def test_an_id_that_is_no_time_still_becomes_a_dead_letter(
    streams: TaskStreams, client: redis.Redis
) -> None:
    client.xadd(NORMAL, {"message": "x"}, id="18446744073709551615-1")
    streams.dead_letter(streams.read(10, 0)[0], "from the far future")
    assert datetime.fromisoformat(streams.dead_letters()[0].first_seen)


@pytest.mark.parametrize("letter_id", ["1-1", "nonsense", ""])
def test_requeueing_an_unknown_dead_letter_is_an_error(
    streams: TaskStreams, letter_id: str
) -> None:
    with pytest.raises(PermanentError) as caught:
        streams.requeue(letter_id)
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_a_dead_letter_requeued_by_two_at_once_goes_back_once(
    streams: TaskStreams, client: redis.Redis
) -> None:
    streams.publish(["{}"], Priority.NORMAL)
    streams.dead_letter(streams.read(10, 0)[0], "a reason")
    (letter,) = streams.dead_letters()

    def requeue(_: int) -> bool:
        try:
            streams.requeue(letter.id)
        except PermanentError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(requeue, range(4))) == 1
    assert client.xlen(NORMAL) == 1


def test_dead_letters_are_listed_newest_first_and_capped(
    streams: TaskStreams, client: redis.Redis
) -> None:
    with client.pipeline() as pipe:
        for number in range(12_000):
            pipe.xadd(DEAD_STREAM, {"message": str(number), "reason": "", "first_seen": ""})
        pipe.execute()
    streams.publish(["last"], Priority.NORMAL)
    streams.dead_letter(streams.read(10, 0)[0], "a reason")
    assert [letter.message for letter in streams.dead_letters(2)] == ["last", "11999"]
    assert 10_000 <= streams.status().dead < 10_500


def test_only_silent_consumers_that_hold_nothing_are_removed(
    streams: TaskStreams, client: redis.Redis
) -> None:
    streams.publish(["a"], Priority.NORMAL)
    assert messages(TaskStreams(client, "holds one").read(10, 0)) == ["a"]
    client.xgroup_createconsumer(NORMAL, GROUP, "idle")
    client.xgroup_createconsumer(HIGH, GROUP, "idle")
    streams.read(10, 0)
    assert streams.remove_dead_consumers(3600) == 0
    assert streams.remove_dead_consumers(0) >= 2
    left = {consumer["name"] for consumer in client.xinfo_consumers(NORMAL, GROUP)}
    assert left == {"holds one", "one"}
    assert streams.status().pending == 1


def test_the_status_of_a_server_without_streams_is_zero(client: redis.Redis) -> None:
    streams = TaskStreams(client, "one")
    assert streams.status() == StreamStatus(length=0, pending=0, lag=0, dead=0)
    assert streams.dead_letters() == []
    assert streams.remove_dead_consumers(0) == 0
    assert client.keys() == []


def test_the_status_counts_both_streams(streams: TaskStreams) -> None:
    for priority in Priority:
        for _ in range(3):
            streams.publish(["{}"], priority)
    taken = streams.read(2, 0)
    assert streams.status() == StreamStatus(length=6, pending=4, lag=2, dead=0)
    streams.acknowledge(taken[:1])
    assert streams.status() == StreamStatus(length=5, pending=3, lag=2, dead=0)
