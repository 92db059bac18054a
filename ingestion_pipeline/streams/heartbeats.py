"""Heartbeats: which workers are alive, as far as they have said so lately.

Belongs here: the record of a beat and its keys in Redis, which dashboards may read too. Does not
belong here: who beats and how often (``tasks.heart``).

The sorted set ``ingest:workers`` holds the names, scored by the time of the last beat in Unix
seconds; the hash ``ingest:workers:<name>`` holds the beat and expires by itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis

from ingestion_pipeline.streams.connection import redis_errors

WORKERS = "ingest:workers"

_FORGET_SILENT = """
for _, name in ipairs(ARGV) do
    if redis.call('EXISTS', KEYS[1] .. ':' .. name) == 0 then
        redis.call('ZREM', KEYS[1], name)
    end
end
"""
"""One step on the server, because a worker may beat again after it was found silent."""


@dataclass(frozen=True)
class Heartbeat:
    """What a worker says of itself; times by its own clock, in UTC.

    ``name`` is ``run:<run_id>``, or ``cli:<host>:<pid>`` for work in the process of a command:
    there ``pending`` and ``lag`` are those of the task streams, delivered and not yet acknowledged,
    and not yet delivered; ``done`` and ``failed`` count documents, and ``current`` holds the ids of
    those being worked on. A worker that carries out runs is ``worker:<host>:<pid>``: there all of
    them are about runs and the queues they come through.
    """

    name: str
    ip: str
    pid: int
    boot_at: datetime
    now: datetime
    pending: int
    lag: int
    done: int
    failed: int
    current: tuple[str, ...]
    memory_bytes: int
    """What it takes up; of a worker, with the processes that it carries runs out in."""
    queues: tuple[str, ...] = ()
    """Where a worker gets runs from."""
    slots: int = 0
    """How many runs it carries out at the same time."""


class Heartbeats:
    """The workers that are known; one that falls silent is forgotten.

    Every method raises TransientError of kind ``unavailable`` when Redis does not answer.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def beat(self, heartbeat: Heartbeat, ttl_seconds: float) -> None:
        """Record a beat that counts for so long."""
        key = _key(heartbeat.name)
        with redis_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=_fields(heartbeat))
            pipe.pexpire(key, round(ttl_seconds * 1000))
            pipe.zadd(WORKERS, {heartbeat.name: heartbeat.now.timestamp()})
            pipe.execute()

    def all(self) -> list[Heartbeat]:
        """Return the last beat of each worker that is alive, by name."""
        with redis_errors(self._client), self._client.pipeline(transaction=False) as pipe:
            names: Any = self._client.zrange(WORKERS, 0, -1)
            for name in names:
                pipe.hgetall(_key(name))
            found = dict(zip(names, pipe.execute(), strict=True))
            silent = [name for name, fields in found.items() if not fields]
            if silent:
                self._client.register_script(_FORGET_SILENT)(keys=[WORKERS], args=silent)
        return [_heartbeat(fields) for _, fields in sorted(found.items()) if fields]

    def remove(self, name: str) -> None:
        """Forget a worker that ended."""
        with redis_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.delete(_key(name))
            pipe.zrem(WORKERS, name)
            pipe.execute()


def _key(name: str) -> str:
    return f"{WORKERS}:{name}"


def _fields(heartbeat: Heartbeat) -> dict[Any, Any]:
    return {
        "name": heartbeat.name,
        "ip": heartbeat.ip,
        "pid": heartbeat.pid,
        "boot_at": heartbeat.boot_at.isoformat(timespec="milliseconds"),
        "now": heartbeat.now.isoformat(timespec="milliseconds"),
        "pending": heartbeat.pending,
        "lag": heartbeat.lag,
        "done": heartbeat.done,
        "failed": heartbeat.failed,
        "current": json.dumps(heartbeat.current),
        "memory_bytes": heartbeat.memory_bytes,
        "queues": json.dumps(heartbeat.queues),
        "slots": heartbeat.slots,
    }


def _heartbeat(fields: dict[str, str]) -> Heartbeat:
    return Heartbeat(
        name=fields["name"],
        ip=fields["ip"],
        pid=int(fields["pid"]),
        boot_at=datetime.fromisoformat(fields["boot_at"]),
        now=datetime.fromisoformat(fields["now"]),
        pending=int(fields["pending"]),
        lag=int(fields["lag"]),
        done=int(fields["done"]),
        failed=int(fields["failed"]),
        current=tuple(json.loads(fields["current"])),
        memory_bytes=int(fields["memory_bytes"]),
        queues=tuple(json.loads(fields["queues"])),
        slots=int(fields["slots"]),
    )
