from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import redis

from ingestion_pipeline.errors import TransientError
from ingestion_pipeline.streams.connection import connect
from ingestion_pipeline.streams.heartbeats import WORKERS, Heartbeat, Heartbeats

BOOT = datetime(2026, 1, 1, 8, 30, 0, 125000, UTC)
BEAT = Heartbeat(
    name="run:r-1",
    ip="10.0.0.7",
    pid=77,
    boot_at=BOOT,
    now=BOOT + timedelta(minutes=1),
    pending=3,
    lag=4,
    done=5,
    failed=1,
    current=("d-1", "d-2"),
    memory_bytes=123,
    queues=("ingest.cpu",),
    slots=2,
)


@pytest.fixture
def heartbeats(client: redis.Redis) -> Heartbeats:
    return Heartbeats(client)


def test_a_beat_is_found_as_it_was_sent(heartbeats: Heartbeats) -> None:
    heartbeats.beat(BEAT, 60)

    assert heartbeats.all() == [BEAT]


def test_the_keys_are_those_that_dashboards_read(
    heartbeats: Heartbeats, client: redis.Redis
) -> None:
    heartbeats.beat(BEAT, 60)

    assert client.zscore(WORKERS, "run:r-1") == BEAT.now.timestamp()
    assert client.hgetall("ingest:workers:run:r-1") == {
        "name": "run:r-1",
        "ip": "10.0.0.7",
        "pid": "77",
        "boot_at": "2026-01-01T08:30:00.125+00:00",
        "now": "2026-01-01T08:31:00.125+00:00",
        "pending": "3",
        "lag": "4",
        "done": "5",
        "failed": "1",
        "current": '["d-1", "d-2"]',
        "memory_bytes": "123",
        "queues": '["ingest.cpu"]',
        "slots": "2",
    }


def test_the_last_beat_of_each_worker_counts(heartbeats: Heartbeats) -> None:
    other = replace(BEAT, name="cli:host:9", current=())
    later = replace(BEAT, done=6, now=BEAT.now + timedelta(seconds=10))
    for beat in (BEAT, other, later):
        heartbeats.beat(beat, 60)

    assert heartbeats.all() == [other, later]


def test_a_silent_worker_is_forgotten_by_itself(
    heartbeats: Heartbeats, client: redis.Redis
) -> None:
    alive = replace(BEAT, name="run:alive")
    heartbeats.beat(BEAT, 0.05)
    heartbeats.beat(alive, 60)
    time.sleep(0.1)

    assert heartbeats.all() == [alive]
    assert client.zrange(WORKERS, 0, -1) == ["run:alive"]


def test_a_worker_that_beats_again_is_back(heartbeats: Heartbeats) -> None:
    heartbeats.beat(BEAT, 0.05)
    time.sleep(0.1)
    heartbeats.beat(BEAT, 60)

    assert heartbeats.all() == [BEAT]


def test_a_worker_that_ended_leaves_nothing(heartbeats: Heartbeats, client: redis.Redis) -> None:
    heartbeats.beat(BEAT, 60)
    heartbeats.remove(BEAT.name)
    heartbeats.remove(BEAT.name)

    assert heartbeats.all() == []
    assert client.keys(f"{WORKERS}*") == []


def test_redis_being_away_is_said() -> None:
    with connect("redis://127.0.0.1:1/0") as client:
        for operation in (
            lambda: Heartbeats(client).beat(BEAT, 1),
            Heartbeats(client).all,
            lambda: Heartbeats(client).remove("run:r-1"),
        ):
            with pytest.raises(TransientError, match="does not answer"):
                operation()
