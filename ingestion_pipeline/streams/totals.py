"""Totals: what all processes have done so far, counted in Redis.

Belongs here: the hash ``ingest:totals``, whose fields only grow. Does not belong here: what is
counted, and how it is shown (``tasks.metrics``). It begins anew when Redis does, as counters may.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis

from ingestion_pipeline.streams.connection import Absence, redis_errors

TOTALS = "ingest:totals"


class Totals:
    """Named sums. Every method raises TransientError when Redis does not answer."""

    def __init__(self, client: redis.Redis, absence: Absence | None = None) -> None:
        self._client = client
        self._absence = absence or Absence()

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add to some of them, at once; a Redis that is away is not waited for again and again."""
        with (
            self._absence.noted(),
            redis_errors(self._client),
            self._client.pipeline(transaction=True) as pipe,
        ):
            for name, amount in amounts.items():
                pipe.hincrbyfloat(TOTALS, name, amount)
            pipe.execute()

    def all(self) -> dict[str, float]:
        """Return all of them."""
        with redis_errors(self._client):
            found: Any = self._client.hgetall(TOTALS)
        return {name: float(total) for name, total in found.items()}
