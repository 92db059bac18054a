"""The connection that launcher, monitor, workers and the processes of runs talk through."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.connection import connect
from ingestion_pipeline.streams.heartbeats import Heartbeats
from ingestion_pipeline.streams.signals import RunSignals

if TYPE_CHECKING:
    from redis import Redis


def run_signals() -> RunSignals:
    """Return what runs and their launcher tell each other."""
    return RunSignals(_client(Settings().redis_address))


def heartbeats() -> Heartbeats:
    """Return who is at work."""
    return Heartbeats(_client(Settings().redis_address))


@lru_cache(maxsize=2)
def _client(address: str) -> Redis:
    return connect(address)
