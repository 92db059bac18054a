from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import celery
import pytest
import redis

from ingestion_pipeline.execution.broker import EXECUTE_RUN, broker_url
from ingestion_pipeline.execution.queues import Queue
from ingestion_pipeline.execution.worker import make_app
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.connection import connect
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline.streams.signals import QUEUE_PREFIX

PASSWORD = "p@ss/word"
QUOTED = "p%40ss%2Fword"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host:6379/3", "redis://host:6379/3"),
        ("redis://:secret@host", "redis://:secret@host"),
        ("rediss://me:secret@host:6380/0", "rediss://me:secret@host:6380/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("unix:///a%20folder/redis.sock", "redis+socket:///a folder/redis.sock"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        (
            "unix://me:secret@/run/redis.sock?db=2",
            "redis+socket://me:secret@/run/redis.sock?virtual_host=2",
        ),
    ],
)
def test_every_address_of_redis_is_one_of_the_message_queue(url: str, expected: str) -> None:
    assert broker_url(Settings(redis_url=url)) == expected


@pytest.fixture
def guarded(redis_server: EmbeddedRedis) -> Iterator[str]:
    """The address of a Redis that asks for a password, and is used with another database."""
    url = f"unix://:{QUOTED}@{redis_server.socket}?db=2"
    with connect(f"unix://{redis_server.socket}") as client:
        client.flushall()
        client.config_set("requirepass", PASSWORD)
        yield url
    with connect(url) as client:
        client.config_set("requirepass", "")


def test_a_message_arrives_by_socket_where_workers_look_for_it(
    redis_url: str, redis_client: redis.Redis
) -> None:
    with app(redis_url) as sender:
        sender.send_task(EXECUTE_RUN, ("run", "offer"), queue=Queue.CPU.value)

    assert [arguments(text) for text in waiting(redis_client)] == [["run", "offer"]]
    assert {key.rpartition(":")[0] + ":" for key in redis_client.keys("*")} == {QUEUE_PREFIX}


def test_a_message_arrives_with_a_password_in_another_database(guarded: str) -> None:
    with app(guarded) as sender:
        sender.send_task(EXECUTE_RUN, ("run", "offer"), queue=Queue.CPU.value)

    with connect(guarded) as client:
        assert len(waiting(client)) == 1


def test_a_queue_that_nobody_serves_is_a_mistake(redis_url: str) -> None:
    with app(redis_url) as sender, pytest.raises(celery.exceptions.QueueNotFound):
        sender.send_task(EXECUTE_RUN, ("run", "offer"), queue="ingest.gpu")


def app(url: str) -> celery.Celery:
    """Return the application of a worker."""
    return make_app(Settings(redis_url=url))


def waiting(client: redis.Redis) -> list[str]:
    """Return the messages of a queue."""
    return list(client.lrange(f"{QUEUE_PREFIX}{Queue.CPU}", 0, -1))


def arguments(message: str) -> list[str]:
    """Return what a message says."""
    return list(json.loads(base64.b64decode(json.loads(message)["body"]))[0])
