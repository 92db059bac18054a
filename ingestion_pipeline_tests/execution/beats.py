"""Workers as their heartbeats describe them, without any process."""

from __future__ import annotations

from datetime import UTC, datetime

from ingestion_pipeline.execution.queues import Queue
from ingestion_pipeline.streams.heartbeats import Heartbeat


def worker_beat(*queues: Queue, slots: int = 1, name: str = "worker:host:7") -> Heartbeat:
    """Return what a worker says that serves some queues."""
    now = datetime.now(UTC)
    return Heartbeat(
        name=name,
        ip="10.0.0.7",
        pid=7,
        boot_at=now,
        now=now,
        pending=0,
        lag=0,
        done=0,
        failed=0,
        current=(),
        memory_bytes=1,
        queues=tuple(queue.value for queue in queues),
        slots=slots,
    )
