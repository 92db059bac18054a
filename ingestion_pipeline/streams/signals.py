"""Runs by way of Redis: does a worker take one, does its process live, must it stop.

Belongs here: the keys, and what one step on the server does. Does not belong here: what follows
from an answer (``execution``).

An offer is a token in a list: whoever pops it has it, a worker that takes the run or the launcher
that takes the offer back, and never both. The hash ``ingest:runs:<run_id>`` holds the last beat by
the clock of the server, so that the clocks of hosts do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from ingestion_pipeline.streams.connection import redis_errors

RUNS = "ingest:runs"
OFFERS = "ingest:offers"
KEPT_SECONDS = 86_400
"""How long what is known of a run outlives its last beat; an offer lives as long."""

_BEAT = """
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'beat', time[1] .. '.' .. string.format('%06d', time[2]), 'by', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
"""
_EXPECT = """
local time = redis.call('TIME')
if redis.call('HSETNX', KEYS[1], 'beat', time[1]) == 1 then
    redis.call('EXPIRE', KEYS[1], ARGV[1])
end
"""


class RunSignals:
    """What launcher, monitor and the process of a run tell each other.

    Every method raises TransientError of kind ``unavailable`` when Redis does not answer.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def offer(self, offer_id: str) -> None:
        """Put a run on offer; to be done before its message is sent."""
        with redis_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.rpush(_offer(offer_id), "open")
            pipe.expire(_offer(offer_id), KEPT_SECONDS)
            pipe.execute()

    def accept(self, offer_id: str) -> bool:
        """Take what is offered; False if it was taken back, or taken before."""
        with redis_errors(self._client):
            if self._client.lpop(_offer(offer_id)) is None:
                return False
            with self._client.pipeline(transaction=True) as pipe:
                pipe.rpush(_answer(offer_id), "accepted")
                pipe.expire(_answer(offer_id), KEPT_SECONDS)
                pipe.execute()
        return True

    def was_accepted(self, offer_id: str, within_seconds: float) -> bool:
        """Wait until an offer is accepted, at most so long."""
        with redis_errors(self._client):
            return self._client.blpop([_answer(offer_id)], timeout=within_seconds) is not None

    def withdraw(self, offer_id: str) -> bool:
        """Take an offer back; False if it was accepted."""
        with redis_errors(self._client):
            return self._client.lpop(_offer(offer_id)) is not None

    def beat(self, run_id: str, process: str) -> None:
        """Say that the process of a run lives."""
        with redis_errors(self._client):
            self._client.register_script(_BEAT)(keys=[_run(run_id)], args=[process, KEPT_SECONDS])

    def expect(self, run_id: str) -> None:
        """Count the silence of a run that was never heard from now on."""
        with redis_errors(self._client):
            self._client.register_script(_EXPECT)(keys=[_run(run_id)], args=[KEPT_SECONDS])

    def note_death(self, run_id: str) -> None:
        """Say that the process of a run is dead, which is then believed without waiting."""
        with redis_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.hset(_run(run_id), "beat", "0")
            pipe.expire(_run(run_id), KEPT_SECONDS)
            pipe.execute()

    def silence(self, run_id: str) -> tuple[float, str] | None:
        """Return for how many seconds a run has been silent, and which process it was in.

        None if it has never beaten. No longer than the server is up: while it is away nobody can
        be heard.
        """
        with redis_errors(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.hmget(_run(run_id), "beat", "by")
            pipe.time()
            pipe.info("server")
            found: Any = pipe.execute()
        (beat, process), (seconds, microseconds), server = found
        if beat is None:
            return None
        silent = seconds + microseconds / 1e6 - float(beat)
        return min(silent, float(server["uptime_in_seconds"])), process or "unknown"

    def ask_to_stop(self, run_id: str) -> None:
        """Have the process of a run interrupt it."""
        with redis_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.hset(_run(run_id), "stop", "1")
            pipe.expire(_run(run_id), KEPT_SECONDS)
            pipe.execute()

    def is_to_stop(self, run_id: str) -> bool:
        """Whether a run was asked to stop."""
        with redis_errors(self._client):
            return bool(self._client.hexists(_run(run_id), "stop"))

    def forget(self, run_id: str) -> None:
        """Forget a run that ended."""
        with redis_errors(self._client):
            self._client.delete(_run(run_id))

    def waiting(self, queues: Sequence[str]) -> int:
        """Return how many messages lie in queues of workers, which no worker has fetched."""
        with redis_errors(self._client), self._client.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.llen(f"{QUEUE_PREFIX}{queue}")
            return sum(pipe.execute())


QUEUE_PREFIX = "ingest:celery:"
"""Before every key of the message queue that workers are reached through."""


def _run(run_id: str) -> str:
    return f"{RUNS}:{run_id}"


def _offer(offer_id: str) -> str:
    return f"{OFFERS}:{offer_id}"


def _answer(offer_id: str) -> str:
    return f"{OFFERS}:{offer_id}:answer"
