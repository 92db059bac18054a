"""The task streams: how messages travel from producers to intake, and where bad ones end.

Belongs here: delivery, acknowledgement and dead letters of raw messages. Does not belong here:
what a message means and when it may be acknowledged (``tasks``).

Only what is not yet acknowledged stays in a stream, so its length is the backlog.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

import redis
from redis.client import Pipeline

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.streams.connection import MAX_BLOCK_SECONDS, Absence, redis_errors

GROUP = "ingestion_pipeline"
FIELD = "message"
STREAMS = {Priority.HIGH: "ingest:tasks:high", Priority.NORMAL: "ingest:tasks:normal"}
DEAD_STREAM = "ingest:tasks:dead"
DEAD_LIMIT = 10_000

T = TypeVar("T")

_REMOVE_IDLE_CONSUMERS = """
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then return 0 end
local removed = 0
for _, flat in ipairs(consumers) do
    local consumer = {}
    for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
    local silent = consumer.idle >= tonumber(ARGV[2])
    if consumer.pending == 0 and silent and consumer.name ~= ARGV[3] then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
        removed = removed + 1
    end
end
return removed
"""
"""One step on the server, because removing a consumer forgets what it just read."""


@dataclass(frozen=True)
class Entry:
    """One delivery of a stream entry; ``deliveries`` counts this one."""

    stream: str
    id: str
    fields: Mapping[str, str]
    deliveries: int = 1

    @property
    def message(self) -> str | None:
        """The raw message; None if the entry has none, or one that is not UTF-8 text."""
        raw = self.fields.get(FIELD)
        return raw if raw is not None and raw == _readable(raw) else None


@dataclass(frozen=True)
class DeadLetter:
    """A message that could not be taken in. ``first_seen`` is ISO 8601 in UTC."""

    id: str
    message: str
    reason: str
    first_seen: str


@dataclass(frozen=True)
class StreamStatus:
    """Both task streams together: all entries, the delivered ones, the others; and dead letters."""

    length: int
    pending: int
    lag: int
    dead: int


class TaskStreams:
    """The two task streams and their dead letters, as one consumer of the group sees them.

    Every method raises TransientError of kind ``unavailable`` when Redis does not answer.
    """

    def __init__(self, client: redis.Redis, consumer: str, absence: Absence | None = None) -> None:
        self._client = client
        self._consumer = consumer
        self._absence = absence or Absence()

    def ensure_groups(self) -> None:
        """Create streams and group where they are missing, reading from the first entry on."""
        with redis_errors(self._client):
            for stream in STREAMS.values():
                try:
                    self._client.xgroup_create(stream, GROUP, id="0", mkstream=True)
                except redis.ResponseError as error:
                    if "BUSYGROUP" not in str(error):
                        raise

    def publish(self, messages: Iterable[str], priority: Priority) -> list[str]:
        """Append messages, in one round trip, and return their stream ids.

        While Redis is away, it is not waited for again and again.
        """
        with (
            self._absence.noted(),
            redis_errors(self._client),
            self._client.pipeline(transaction=False) as pipe,
        ):
            for message_json in messages:
                pipe.xadd(STREAMS[priority], {FIELD: message_json})
            return list(map(str, pipe.execute()))

    def read(self, count: int, block_seconds: float) -> list[Entry]:
        """Take up to ``count`` new entries of *each* stream, the high ones first.

        Counting each stream by itself lets normal messages through while high ones never end.
        Waits ``block_seconds`` (at most 30) for the first entry; 0 does not wait.
        """
        block = round(min(block_seconds, MAX_BLOCK_SECONDS) * 1000) or None
        unseen: dict[Any, Any] = dict.fromkeys(STREAMS.values(), ">")

        def take() -> Any:
            return self._client.xreadgroup(GROUP, self._consumer, unseen, count, block)

        with redis_errors(self._client):
            taken = dict(self._with_groups(take))
        return [
            Entry(stream, entry_id, fields)
            for stream in STREAMS.values()
            for entry_id, fields in taken.get(stream, ())
        ]

    def claim_stale(self, idle_seconds: float, count: int) -> list[Entry]:
        """Take over up to ``count`` entries of each stream that nobody acknowledged.

        Takes what was delivered at least ``idle_seconds`` ago, to whichever consumer: also to
        this one, in an earlier life of it.
        """
        with redis_errors(self._client):
            return [
                entry
                for stream in STREAMS.values()
                for entry in self._counted(stream, self._claimed(stream, idle_seconds, count))
            ]

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        """Remove entries from the group and from their stream; doing it twice is harmless."""
        with redis_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            for stream, group in groupby(sorted(entries, key=_by_stream), key=_by_stream):
                _remove(pipe, stream, [entry.id for entry in group])
            pipe.execute()

    def forget_answers(self) -> None:
        """Have the server write its append-only file anew, without entries that are gone.

        A producer may have put a password on a stream. A server that refuses is its owner's to
        look after.
        """
        with redis_errors(self._client), suppress(redis.ResponseError):
            self._client.bgrewriteaof()

    def dead_letter(self, entry: Entry, reason: str, *, shown: str = "") -> None:
        """Move an entry to the dead letters, in one transaction.

        It is kept as ``shown``, or as it came; one without a message as the JSON of its fields.
        The oldest dead letters go when there are more than about 10,000.
        """
        letter: dict[Any, Any] = {
            FIELD: shown or entry.fields.get(FIELD, json.dumps(dict(entry.fields))),
            "reason": reason,
            "first_seen": _first_seen(entry.id),
        }
        with redis_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.xadd(DEAD_STREAM, letter, maxlen=DEAD_LIMIT, approximate=True)
            _remove(pipe, entry.stream, [entry.id])
            pipe.execute()

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Return the newest dead letters, newest first; bytes that are no text show as U+FFFD."""
        with redis_errors(self._client):
            found: Any = self._client.xrevrange(DEAD_STREAM, count=limit)
        return [
            DeadLetter(
                id=letter_id,
                message=_readable(fields.get(FIELD, "")),
                reason=fields.get("reason", ""),
                first_seen=fields.get("first_seen", ""),
            )
            for letter_id, fields in found
        ]

    def requeue(self, dead_letter_id: str) -> None:
        """Move a dead letter back to the stream its message asks for, in one transaction.

        Raises:
            PermanentError: of kind ``not_found`` if there is no such dead letter.
        """

        def move(pipe: Pipeline) -> None:
            message = self._dead_message(pipe, dead_letter_id)
            pipe.multi()
            pipe.xadd(STREAMS[_priority(message)], {FIELD: message})
            pipe.xdel(DEAD_STREAM, dead_letter_id)

        with redis_errors(self._client):
            self._client.transaction(move, DEAD_STREAM)

    def remove_dead_consumers(self, idle_seconds: float) -> int:
        """Forget consumers that have been silent so long and hold nothing; return how many."""
        milliseconds = round(idle_seconds * 1000)
        with redis_errors(self._client):
            remove = self._client.register_script(_REMOVE_IDLE_CONSUMERS)
            return sum(
                int(remove(keys=[stream], args=[GROUP, milliseconds, self._consumer]))
                for stream in STREAMS.values()
            )

    def status(self) -> StreamStatus:
        """Count what waits; streams that do not exist yet are empty."""
        with redis_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            for stream in STREAMS.values():
                pipe.xlen(stream)
                pipe.xpending(stream, GROUP)
            pipe.xlen(DEAD_STREAM)
            *replies, dead = pipe.execute(raise_on_error=False)
        length = sum(replies[0::2])
        pending = sum(_pending(reply) for reply in replies[1::2])
        # An acknowledged entry is deleted, so what is not pending was not delivered yet.
        return StreamStatus(length, pending, lag=max(0, length - pending), dead=dead)

    def oldest_seconds(self) -> float:
        """Return how long ago the oldest message came that was not taken in; 0 if there is none."""
        with redis_errors(self._client), self._client.pipeline(transaction=False) as pipe:
            for stream in STREAMS.values():
                pipe.xrange(stream, count=1)
            found = [entry_id for entries in pipe.execute() for entry_id, _ in entries]
        came = [datetime.fromisoformat(_first_seen(entry_id)) for entry_id in found]
        return max([0.0, *((datetime.now(UTC) - at).total_seconds() for at in came)])

    def _with_groups(self, operation: Callable[[], T]) -> T:
        """Run it; if the server came back empty, create the groups and run it again."""
        try:
            return operation()
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
        self.ensure_groups()
        return operation()

    def _claimed(
        self, stream: str, idle_seconds: float, count: int
    ) -> list[tuple[str, dict[str, str]]]:
        milliseconds = round(idle_seconds * 1000)
        claimed: list[tuple[str, dict[str, str]]] = []
        cursor = "0-0"

        def claim() -> Any:
            return self._client.xautoclaim(
                stream, GROUP, self._consumer, milliseconds, cursor, count - len(claimed)
            )

        # One call looks at a bounded part of what is pending; the cursor leads through all.
        while len(claimed) < count:
            cursor, found, *_ = self._with_groups(claim)
            # Redis 6.2 gives an empty pair for an entry that was deleted meanwhile.
            claimed += [(entry_id, fields) for entry_id, fields in found if fields is not None]
            if cursor == "0-0":
                break
        return claimed

    def _counted(self, stream: str, claimed: list[tuple[str, dict[str, str]]]) -> list[Entry]:
        with self._client.pipeline(transaction=False) as pipe:
            for entry_id, _ in claimed:
                pipe.xpending_range(stream, GROUP, entry_id, entry_id, 1)
            counts = pipe.execute()
        return [
            Entry(stream, entry_id, fields, count[0]["times_delivered"] if count else 1)
            for (entry_id, fields), count in zip(claimed, counts, strict=True)
        ]

    def _dead_message(self, pipe: Pipeline, dead_letter_id: str) -> str:
        try:
            found: Any = pipe.xrange(DEAD_STREAM, dead_letter_id, dead_letter_id)
        except redis.ResponseError:  # not the form of an id
            found = []
        if not found:
            raise PermanentError(
                ErrorKind.NOT_FOUND,
                f"there is no dead letter {dead_letter_id!r}: `ingest dead-letters` lists them",
            )
        return str(found[0][1].get(FIELD, ""))


_by_stream = attrgetter("stream")


def _remove(pipe: Pipeline, stream: str, ids: list[str]) -> None:
    pipe.xack(stream, GROUP, *ids)
    pipe.xdel(stream, *ids)


def _readable(raw: str) -> str:
    """Return the text with everything that was not UTF-8 replaced."""
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _first_seen(entry_id: str) -> str:
    """Read the time out of an entry id; a producer may have made up one that is no time."""
    try:
        at = datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        at = datetime.now(UTC)
    return at.isoformat(timespec="milliseconds")


def _priority(message: str) -> Priority:
    """Return what a message that may be anything asks for."""
    try:
        content = json.loads(message)
    except ValueError:
        return Priority.NORMAL
    high = isinstance(content, dict) and content.get("priority") == Priority.HIGH
    return Priority.HIGH if high else Priority.NORMAL


def _pending(reply: dict[str, Any] | Exception) -> int:
    """Read a reply of XPENDING; without a group nothing is pending."""
    if isinstance(reply, Exception):
        if "NOGROUP" not in str(reply):
            raise reply
        return 0
    return int(reply["pending"])
