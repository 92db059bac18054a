"""Keeping the leases of a run and of what it holds, and learning what was taken back of it.

Both are done in a thread of its own, so that a long computation can neither let a lease lapse nor
keep a cancellation from being heard.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from ingestion_pipeline.errors import IngestError, LeaseLostError
from ingestion_pipeline.logs import in_context
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.registry.arrivals import Attached
from ingestion_pipeline.registry.builds import TakenBuild
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.streams.events import EventStreams
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.process import own_identity
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 4
LOOK_SECONDS = 0.3
"""How soon a cancellation is heard."""
FLUSH_SECONDS = 1.0


class Held(Protocol):
    """What a run holds."""

    def look(self, renewed_for_seconds: float | None) -> None:
        """Look whether it is still ours, and renew its lease if that is due."""


class LeaseKeeper:
    """Keeps a run's lease, and that of what it holds, until the block is left."""

    def __init__(
        self,
        registry: Registry,
        events: EventStreams,
        run_id: str,
        collection_key: str,
        lease_seconds: float,
    ) -> None:
        self._registry = registry
        self._events = events
        self._run_id = run_id
        self._collection_key = collection_key
        self._lease_seconds = lease_seconds
        self._stop = threading.Event()
        self._held: Held | None = None
        self._thread = threading.Thread(target=in_context(self._keep), name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._registry.runs.begin(
            self._run_id, self._collection_key, own_identity(), self._lease_seconds
        )
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
        self._registry.runs.forget(self._run_id)

    @contextmanager
    def hold(self, claim: Claim) -> Iterator[Batch]:
        """Keep the lease of a batch while the block works on it."""
        batch = Batch(self._registry, self._events, claim)
        with self._holding(batch):
            yield batch

    @contextmanager
    def hold_build(self, taken: TakenBuild) -> Iterator[Build]:
        """Watch whether a build is still ours while the block works on it."""
        build = Build(self._registry, self._events, taken)
        with self._holding(build):
            yield build

    @contextmanager
    def _holding(self, held: Held) -> Iterator[None]:
        self._held = held
        try:
            yield
        finally:
            self._held = None

    def _keep(self) -> None:
        renewed_at = time.monotonic()
        while not self._stop.wait(LOOK_SECONDS):
            try:
                due = time.monotonic() - renewed_at >= self._lease_seconds / RENEWALS_PER_LEASE
                if due:
                    self._registry.runs.renew(self._run_id, self._lease_seconds)
                    renewed_at = time.monotonic()
                    tell(self._events, self._registry.tasks.expire())
                if held := self._held:
                    held.look(self._lease_seconds if due else None)
            except IngestError as error:  # the next look may get through
                logger.warning("the lease of run %s was not looked at: %s", self._run_id, error)


@contextmanager
def run_lease(
    services: Services,
    collection: Collection,
    run_id: str,
    stopped_by_person: Callable[[], bool],
) -> Iterator[LeaseKeeper]:
    """Keep a run's lease, and leave nothing behind that it holds, however it ends.

    ``stopped_by_person`` is asked when it is interrupted: then its tasks are canceled.
    """
    claims = services.registry.claims
    with LeaseKeeper(
        services.registry,
        services.events,
        run_id,
        collection.key,
        services.settings.lease_seconds,
    ) as lease:
        try:
            yield lease
        except Exception:
            raise
        except BaseException:  # interrupted
            told = services.registry.runs.reason(run_id)
            if told is None and stopped_by_person():
                tell(services.events, claims.cancel_runs([run_id]))
            raise
        finally:
            claims.release_runs([run_id])


class Batch:
    """What the stages ask and tell about one batch: a ``control.Control`` for several threads."""

    def __init__(self, registry: Registry, events: EventStreams, claim: Claim) -> None:
        self._registry = registry
        self._events = events
        self._claim = claim
        self._ids = frozenset(document.document_id for document in claim.documents)
        self._lost: LeaseLostError | None = None
        self._withdrawn: AbstractSet[str] = frozenset()
        self._lines: list[tuple[str, Stage, float, str]] = []
        self._flushed_at = time.monotonic()
        self._flushing = threading.Lock()

    def look(self, renewed_for_seconds: float | None) -> None:
        """Look what of the batch is still ours, and renew its lease if that is due."""
        try:
            if renewed_for_seconds is not None:
                self._registry.claims.renew(self._claim.claim_id, renewed_for_seconds)
            self._withdrawn = self._ids - self._registry.claims.owned(self._claim.claim_id)
        except LeaseLostError as error:
            self._lost = error

    def check(self) -> None:
        """Raise if the batch is no longer ours."""
        if self._lost is not None:
            raise LeaseLostError(str(self._lost))
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

    def withdrawn(self) -> AbstractSet[str]:
        """Return the documents of the batch that were canceled, deleted or ran out of time."""
        return self._withdrawn

    def announce(self, documents: Mapping[str, Attached | None]) -> AbstractSet[str]:
        """Announce a publication; return the documents that may be published."""
        parents = [key for key, each in documents.items() if each and each.documents]
        return self._registry.publications.announce(
            self._claim.claim_id, documents.keys(), with_attachments=parents
        )

    def progress(self, document_id: str, stage: Stage, fraction: float, message: str) -> None:
        """Note a line; lines are written together, about once a second."""
        self._lines.append((document_id, stage, fraction, message))

    def flush(self) -> None:
        """Write the lines noted so far."""
        with self._flushing:
            self._flushed_at = time.monotonic()
            lines = self._lines[:]
            del self._lines[: len(lines)]  # others may have added some meanwhile
            if lines:
                tell(self._events, self._registry.tasks.progress(self._claim.claim_id, lines))


class Build:
    """What a stage asks and tells about one build: a ``control.Control``."""

    def __init__(self, registry: Registry, events: EventStreams, taken: TakenBuild) -> None:
        self._registry = registry
        self._events = events
        self._taken = taken
        self._lost: LeaseLostError | None = None
        self._line: tuple[float, str] | None = None
        self._flushed_at = float("-inf")

    def look(self, _renewed_for_seconds: float | None) -> None:
        """Look whether the build is still ours and wanted; it goes by its run's lease."""
        try:
            self._registry.builds.check(self._taken)
        except LeaseLostError as error:
            self._lost = error

    def check(self) -> None:
        """Raise if the build is no longer ours, or nobody wants it any more."""
        if self._lost is not None:
            raise LeaseLostError(str(self._lost))

    def require(self) -> None:
        """Raise if that is so right now: asked before each attempt to publish."""
        self._registry.builds.check(self._taken)

    def withdrawn(self) -> AbstractSet[str]:
        """A build is wanted as a whole, or not at all."""
        return frozenset()

    def progress(self, _document_id: str, _stage: Stage, fraction: float, message: str) -> None:
        """Note how far the build is."""
        self.note(fraction, message)

    def note(self, fraction: float, message: str) -> None:
        """Note how far the build is; of what is told within a second, the last is written."""
        self._line = (fraction, message)
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was noted last."""
        if self._line is not None:
            tell(self._events, self._registry.builds.progress(self._taken, *self._line))
            self._line = None
        self._flushed_at = time.monotonic()
