"""The heart of a worker: says again and again that it is alive, from a thread of its own.

A long computation cannot stop it, and Redis being away cannot stop the computation.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.logs import in_context
from ingestion_pipeline.model.tasks import Backend
from ingestion_pipeline.streams.heartbeats import Heartbeat
from ingestion_pipeline.tasks.process import memory_bytes
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 10.0
BEATS_PER_TIMEOUT = 4
GOODBYE_SECONDS = 1.0
"""How long the end of the work waits for the goodbye; a beat that stays behind expires."""


def worker_name(backend: Backend, run_id: str) -> str:
    """Return the name under which the worker of a run is known."""
    if backend is Backend.DAGSTER:
        return f"run:{run_id}"
    return f"cli:{socket.gethostname()}:{os.getpid()}"


class Heart:
    """Beats until the block is left. One thread may tell it what the worker did."""

    def __init__(self, services: Services, name: str) -> None:
        self._heartbeats = services.heartbeats
        self._streams = services.streams
        self._name = name
        self._timeout = services.settings.worker_heartbeat_timeout
        self._ip = own_address()
        self._boot_at = datetime.now(UTC)
        self._done = 0
        self._failed = 0
        self._current: tuple[str, ...] = ()
        self._warned = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=in_context(self._live), name="heart", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(GOODBYE_SECONDS)

    def done(self, documents: int) -> None:
        """Count documents that were finished."""
        self._done += documents

    def failed(self, documents: int) -> None:
        """Count documents that failed."""
        self._failed += documents

    def current(self, document_ids: Iterable[str]) -> None:
        """Tell which documents are worked on from now."""
        self._current = tuple(document_ids)

    def _live(self) -> None:
        pause = min(LONGEST_PAUSE_SECONDS, self._timeout / BEATS_PER_TIMEOUT)
        self._beat()
        while not self._stop.wait(pause):
            self._beat()
        if not self._warned:  # else it expires: nobody answers
            with suppress(IngestError):
                self._heartbeats.remove(self._name)

    def _beat(self) -> None:
        try:
            streams = self._streams.status()
            heartbeat = Heartbeat(
                name=self._name,
                ip=self._ip,
                pid=os.getpid(),
                boot_at=self._boot_at,
                now=datetime.now(UTC),
                pending=streams.pending,
                lag=streams.lag,
                done=self._done,
                failed=self._failed,
                current=self._current,
                memory_bytes=memory_bytes(os.getpid()),
            )
            self._heartbeats.beat(heartbeat, self._timeout)
            self._warned = False
        except IngestError as error:
            if not self._warned:
                self._warned = True
                logger.warning("no heartbeat can be sent; the work goes on: %s", error)


def own_address() -> str:
    """Return the address that other machines see; this sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # any address elsewhere: this one is for documentation
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
