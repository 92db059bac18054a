from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
import redis

from ingestion_pipeline.errors import TransientError
from ingestion_pipeline.streams.connection import connect
from ingestion_pipeline.streams.signals import QUEUE_PREFIX, RunSignals


@pytest.fixture
def signals(client: redis.Redis) -> RunSignals:
    return RunSignals(client)


def _uptime(client: redis.Redis) -> float:
    return float(cast("dict[str, Any]", client.info("server"))["uptime_in_seconds"])


def test_what_is_offered_is_accepted_once(signals: RunSignals) -> None:
    signals.offer("o-1")

    assert [signals.accept("o-1") for _ in range(3)] == [True, False, False]
    assert signals.was_accepted("o-1", within_seconds=0.1)


def test_what_was_accepted_cannot_be_withdrawn_and_the_reverse(signals: RunSignals) -> None:
    for offer_id in ("taken", "withdrawn"):
        signals.offer(offer_id)

    assert signals.accept("taken")
    assert not signals.withdraw("taken")
    assert signals.withdraw("withdrawn")
    assert not signals.accept("withdrawn")
    assert not signals.was_accepted("withdrawn", within_seconds=0.1)


def test_what_was_never_offered_can_be_neither(signals: RunSignals) -> None:
    assert not signals.accept("unknown")
    assert not signals.withdraw("unknown")


def test_of_two_who_want_an_offer_at_once_one_gets_it(
    signals: RunSignals, client: redis.Redis
) -> None:
    ready = threading.Barrier(2)

    def at_once(take: Callable[[str], bool], offer_id: str) -> bool:
        ready.wait()
        return take(offer_id)

    with ThreadPoolExecutor(2) as threads:
        for number in range(50):
            signals.offer(f"o-{number}")
            takers = (RunSignals(client).accept, RunSignals(client).withdraw)
            taken = [threads.submit(at_once, take, f"o-{number}") for take in takers]
            assert sum(each.result() for each in taken) == 1


def test_an_answer_is_heard_while_it_is_waited_for(signals: RunSignals) -> None:
    signals.offer("o-1")
    timer = threading.Timer(0.1, signals.accept, ["o-1"])
    timer.start()

    began = time.monotonic()
    assert signals.was_accepted("o-1", within_seconds=10)

    assert time.monotonic() - began < 5
    timer.join()


def test_the_silence_of_a_run_is_counted_from_its_last_beat(
    signals: RunSignals, client: redis.Redis
) -> None:
    assert signals.silence("r-1") is None
    while _uptime(client) < 1:
        time.sleep(0.05)

    signals.beat("r-1", "host:7:99")
    time.sleep(0.2)
    silent, process = signals.silence("r-1") or (0, "")
    signals.beat("r-1", "host:7:99")
    again, _ = signals.silence("r-1") or (9, "")

    assert process == "host:7:99"
    assert 0.2 <= silent < 1
    assert again < silent


def test_the_clock_of_this_machine_does_not_matter(
    signals: RunSignals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)

    signals.beat("r-1", "host:7:99")

    silent, _ = signals.silence("r-1") or (9, "")
    assert 0 <= silent < 1


def test_no_run_is_silent_for_longer_than_the_server_is_up(
    signals: RunSignals, client: redis.Redis
) -> None:
    signals.beat("r-1", "host:7:99")
    client.hset("ingest:runs:r-1", "beat", "1")

    silent, _ = signals.silence("r-1") or (-1, "")

    assert 0 <= _uptime(client) - silent <= 1


@pytest.mark.parametrize("heard", [True, False])
def test_a_death_is_believed_at_once(signals: RunSignals, client: redis.Redis, heard: bool) -> None:
    if heard:
        signals.beat("r-1", "host:7:99")

    signals.note_death("r-1")

    assert signals.silence("r-1") == (
        pytest.approx(_uptime(client), abs=1),
        "host:7:99" if heard else "unknown",
    )
    assert cast("int", client.ttl("ingest:runs:r-1")) > 0


def test_a_run_that_is_expected_and_never_heard_falls_silent(
    signals: RunSignals, client: redis.Redis
) -> None:
    while _uptime(client) < 1:
        time.sleep(0.05)
    signals.expect("r-1")
    time.sleep(0.1)
    signals.expect("r-1")

    silent, process = signals.silence("r-1") or (0, "")

    assert silent >= 0.1
    assert process == "unknown"
    assert cast("int", client.ttl("ingest:runs:r-1")) > 0


def test_expecting_a_run_that_was_heard_changes_nothing(
    signals: RunSignals, client: redis.Redis
) -> None:
    signals.beat("r-1", "host:7:99")
    before = client.hgetall("ingest:runs:r-1")

    signals.expect("r-1")

    assert client.hgetall("ingest:runs:r-1") == before


def test_a_run_learns_that_it_is_to_stop_and_no_other_one_does(signals: RunSignals) -> None:
    assert not signals.is_to_stop("r-1")

    signals.ask_to_stop("r-1")
    signals.beat("r-1", "host:7:99")

    assert signals.is_to_stop("r-1")
    assert not signals.is_to_stop("r-2")


def test_of_a_forgotten_run_nothing_is_left(signals: RunSignals, client: redis.Redis) -> None:
    signals.beat("r-1", "host:7:99")
    signals.ask_to_stop("r-1")

    signals.forget("r-1")

    assert signals.silence("r-1") is None
    assert not signals.is_to_stop("r-1")
    assert client.keys("*") == []


def test_everything_about_a_run_is_forgotten_at_last(
    signals: RunSignals, client: redis.Redis
) -> None:
    signals.offer("open")
    signals.offer("taken")
    signals.accept("taken")
    signals.beat("heard", "host:7:99")
    signals.ask_to_stop("asked")

    keys = cast("list[str]", client.keys("*"))

    assert len(keys) == 4
    assert all(cast("int", client.ttl(key)) > 0 for key in keys)


def test_messages_are_counted_that_nobody_has_fetched(
    signals: RunSignals, client: redis.Redis
) -> None:
    client.rpush(f"{QUEUE_PREFIX}a", "1", "2")
    client.rpush(f"{QUEUE_PREFIX}b", "3")

    assert signals.waiting(["a", "b", "c"]) == 3
    assert signals.waiting(["c"]) == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda signals: signals.offer("o"),
        lambda signals: signals.accept("o"),
        lambda signals: signals.was_accepted("o", 1),
        lambda signals: signals.withdraw("o"),
        lambda signals: signals.beat("r", "p"),
        lambda signals: signals.expect("r"),
        lambda signals: signals.note_death("r"),
        lambda signals: signals.silence("r"),
        lambda signals: signals.ask_to_stop("r"),
        lambda signals: signals.is_to_stop("r"),
        lambda signals: signals.forget("r"),
        lambda signals: signals.waiting(["q"]),
    ],
)
def test_a_server_that_is_away_is_a_transient_error(ask: Callable[[RunSignals], Any]) -> None:
    with connect("unix:///nowhere/redis.sock") as client, pytest.raises(TransientError):
        ask(RunSignals(client))
