from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import redis

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.tasks import FINAL_STATES, TaskState
from ingestion_pipeline.streams.events import EventStreams, TaskEvent

AT = datetime(2030, 1, 2, 3, 4, 5, 678_000, UTC)
RUNNING = TaskEvent("t1", TaskState.RUNNING, 0.25, "parsed ünï\n😀", Stage.PARSED, AT)
DONE = TaskEvent("t1", TaskState.SUCCEEDED, 1, "")


@pytest.fixture
def events(client: redis.Redis) -> EventStreams:
    return EventStreams(client)


def test_events_come_back_as_they_were_in_order(events: EventStreams) -> None:
    events.append_many([RUNNING, DONE])
    first, second = events.read("t1")
    assert replace(first, id="") == RUNNING
    assert (second.state, second.progress, second.stage) == (TaskState.SUCCEEDED, 1, None)


def test_the_stored_fields_are_the_public_ones(events: EventStreams, client: redis.Redis) -> None:
    events.append_many([RUNNING])
    ((_, fields),) = client.xrange("ingest:events:t1")
    assert fields == {
        "at": "2030-01-02T03:04:05.678+00:00",
        "state": "running",
        "stage": "parsed",
        "progress": "0.25",
        "message": "parsed ünï\n😀",
    }


def test_a_reader_goes_on_behind_the_last_event_it_saw(events: EventStreams) -> None:
    events.append_many([RUNNING, DONE])
    first, second = events.read("t1")
    assert events.read("t1", after=first.id) == [second]
    assert events.read("t1", after=second.id) == []
    assert events.read("t1", after=second.id, block_seconds=0.05) == []


def test_a_waiting_reader_gets_the_next_event(events: EventStreams) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(events.read, "t1", "0-0", 30)
        events.append_many([RUNNING])
        assert [event.message for event in waiting.result(10)] == [RUNNING.message]


def test_tasks_do_not_see_each_others_events(events: EventStreams) -> None:
    events.append_many([RUNNING, replace(DONE, task_id="t2")])
    assert [event.task_id for event in events.read("t2")] == ["t2"]
    assert events.read("nobody") == []


def test_only_about_the_last_thousand_are_kept(events: EventStreams) -> None:
    events.append_many(replace(RUNNING, message=str(number)) for number in range(3000))
    kept = events.read("t1")
    assert 1000 <= len(kept) <= 1200
    assert kept[-1].message == "2999"


@pytest.mark.parametrize("state", list(TaskState))
def test_events_expire_half_a_day_after_the_end_and_a_week_after_silence(
    events: EventStreams, client: redis.Redis, state: TaskState
) -> None:
    events.append_many([RUNNING, replace(DONE, state=state)])
    hours = 12 if state in FINAL_STATES else 7 * 24
    assert client.ttl("ingest:events:t1") == pytest.approx(hours * 3600, abs=5)


def test_no_events_are_no_error(events: EventStreams) -> None:
    events.append_many([])


def test_an_id_that_is_none_is_refused(events: EventStreams) -> None:
    with pytest.raises(PermanentError, match="'soon' is not the id") as caught:
        events.read("t1", after="soon")
    assert caught.value.kind is ErrorKind.INVALID_OPTION
