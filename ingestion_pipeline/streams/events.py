"""The event streams: what happens to a task, for anyone who wants to watch.

Belongs here: appending and replaying. Does not belong here: deciding what is worth an event
(``tasks``). Events are for people and may be lost; the registry holds the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.streams.connection import MAX_BLOCK_SECONDS, Absence, redis_errors

EVENT_LIMIT = 1000
KEEP_FINAL_SECONDS = 12 * 3600
KEEP_UNFINISHED_SECONDS = 7 * 24 * 3600
"""Longer than a task takes or waits for input; frees the events of tasks that were lost."""


@dataclass(frozen=True)
class TaskEvent:
    """One step of a task, ``progress`` in 0..1; ``id`` is given by the stream."""

    task_id: str
    state: TaskState
    progress: float
    message: str
    stage: Stage | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = ""


class EventStreams:
    """One capped, expiring stream per task, which any number of readers can replay.

    Every method raises TransientError of kind ``unavailable`` when Redis does not answer.
    """

    def __init__(self, client: redis.Redis, absence: Absence | None = None) -> None:
        self._client = client
        self._absence = absence or Absence()

    def append_many(self, events: Iterable[TaskEvent]) -> None:
        """Append events in the order given, in one round trip.

        About the last 1,000 of a task are kept, until 12 h after it ended. While Redis is away,
        it is not waited for again and again.
        """
        keep: dict[str, int] = {}
        with (
            self._absence.noted(),
            redis_errors(self._client),
            self._client.pipeline(transaction=False) as pipe,
        ):
            for event in events:
                key = _key(event.task_id)
                pipe.xadd(key, _fields(event), maxlen=EVENT_LIMIT, approximate=True)
                keep[key] = KEEP_FINAL_SECONDS if event.state.final else KEEP_UNFINISHED_SECONDS
            for key, seconds in keep.items():
                pipe.expire(key, seconds)
            pipe.execute()

    def read(self, task_id: str, after: str = "0-0", block_seconds: float = 0) -> list[TaskEvent]:
        """Return the events behind the id ``after``, oldest first; ``0-0`` replays all.

        Waits ``block_seconds`` (at most 30) for the first one; 0 does not wait.

        Raises:
            PermanentError: of kind ``invalid_option`` if ``after`` is not the id of an event.
        """
        block = round(min(block_seconds, MAX_BLOCK_SECONDS) * 1000) or None
        with redis_errors(self._client):
            try:
                found: Any = self._client.xread({_key(task_id): after}, block=block)
            except redis.ResponseError as error:
                raise PermanentError(
                    ErrorKind.INVALID_OPTION, f"{after!r} is not the id of an event"
                ) from error
        return [
            _event(task_id, event_id, fields) for _, events in found for event_id, fields in events
        ]


def _key(task_id: str) -> str:
    return f"ingest:events:{task_id}"


def _fields(event: TaskEvent) -> dict[Any, Any]:
    return {
        "at": event.at.isoformat(timespec="milliseconds"),
        "state": event.state.value,
        "stage": event.stage.value if event.stage else "",
        "progress": f"{event.progress:.4g}",
        "message": event.message,
    }


def _event(task_id: str, event_id: str, fields: dict[str, str]) -> TaskEvent:
    return TaskEvent(
        task_id=task_id,
        state=TaskState(fields["state"]),
        progress=float(fields["progress"]),
        message=fields["message"],
        stage=Stage(fields["stage"]) if fields["stage"] else None,
        at=datetime.fromisoformat(fields["at"]),
        id=event_id,
    )
