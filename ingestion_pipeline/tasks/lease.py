"""Keeping the lease of a batch while its documents are worked on.

The lease is renewed from a thread of its own, so that a long computation cannot let it lapse.
"""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Self

from ingestion_pipeline.errors import IngestError, LeaseLostError
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.streams.events import EventStreams
from ingestion_pipeline.tasks.events import tell

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 4
FLUSH_SECONDS = 1.0


class LeaseKeeper:
    """Renews a claim's lease until the block is left; a lost lease shows in ``check``."""

    def __init__(self, registry: Registry, claim: Claim, lease_seconds: float) -> None:
        self._registry = registry
        self._claim_id = claim.claim_id
        self._lease_seconds = lease_seconds
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

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
        self._thread.join()

    def check(self) -> None:
        """Raise ``LeaseLostError`` if a renewal found the batch given away."""
        if self._lost.is_set():
            raise LeaseLostError(f"claim {self._claim_id} was given to another run")

    def check_now(self) -> None:
        """Ask the registry whether the lease holds right now; for right before a commit."""
        self._registry.claims.check(self._claim_id)

    def _keep(self) -> None:
        while not self._stop.wait(self._lease_seconds / RENEWALS_PER_LEASE):
            try:
                self._registry.claims.renew(self._claim_id, self._lease_seconds)
            except LeaseLostError:
                self._lost.set()
                return
            except IngestError as error:  # the next renewal may get through
                logger.warning("the lease of claim %d was not renewed: %s", self._claim_id, error)


class BatchControl:
    """What the stages of one batch ask and tell: a ``control.Control``."""

    def __init__(
        self, registry: Registry, events: EventStreams, claim: Claim, lease: LeaseKeeper
    ) -> None:
        self._registry = registry
        self._events = events
        self._claim = claim
        self._lease = lease
        self._lines: list[tuple[str, Stage, float, str]] = []
        self._flushed_at = time.monotonic()

    def check(self) -> None:
        """Raise if the batch is no longer ours."""
        self._lease.check()
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

    def progress(self, document_id: str, stage: Stage, fraction: float, message: str) -> None:
        """Note a line; lines are written together, about once a second."""
        self._lines.append((document_id, stage, fraction, message))

    def flush(self) -> None:
        """Write the lines noted so far."""
        lines, self._lines = self._lines, []
        if lines:
            tell(self._events, self._registry.tasks.progress(self._claim.claim_id, lines))
        self._flushed_at = time.monotonic()
