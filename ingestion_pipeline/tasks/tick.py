"""One tick of the stream's sensor: receive what came, apply deletions, plan runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.registry.documents import Backlog
from ingestion_pipeline.tasks.deletion import apply_deletions
from ingestion_pipeline.tasks.intake import Received, receive
from ingestion_pipeline.tasks.planning import PlannedRun, Way, plan
from ingestion_pipeline.tasks.reconciliation import Runs, cancel_stopped
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

IDLE_POLL_SECONDS = 5.0
"""How long a tick waits for a message; then it looks for work that came another way."""
BUSY_POLL_SECONDS = 1.0
"""The same while work waits for a run to end: its collection must soon be planned again."""
BUDGET_SECONDS = 20.0
"""After how long with messages a tick leaves further ones to the next."""
SOON_SECONDS = 1.0
"""The same where nothing waited: work on what came first begins while the rest is received."""

RunCounter = Callable[[Mapping[str, AbstractSet[str]]], Mapping[Way, int]]
"""Given the runs that hold leases, by collection, counts all runs by collection and pipeline."""


@dataclass(frozen=True)
class Tick:
    """What a tick found and decided."""

    received: Received
    planned: tuple[PlannedRun, ...]
    collections: frozenset[str]
    """The keys of all collections there are."""
    waiting: int
    """Documents that no run has claimed."""
    problem: str | None
    """Why messages could not be received."""

    @property
    def summary(self) -> str:
        """Say it in one line."""
        said = (
            f"{self.received.accepted} messages accepted, {self.received.dead_lettered} put aside; "
            f"{self.waiting} documents wait; {len(self.planned)} runs planned"
        )
        return f"{self.problem}; {said}" if self.problem else said


def _with_pipelines(services: Services, backlog: list[Backlog]) -> list[Backlog]:
    """Leave out documents of pipelines that there are no more: no run could take them."""
    waiting = {each.pipeline for each in backlog if each.pipeline}
    if not waiting:
        return backlog
    lost = waiting - services.pipelines.keys()
    for name in sorted(lost):
        logger.warning("documents wait for the pipeline %s, which there is no more", name)
    return [each for each in backlog if each.pipeline not in lost]


def tick(services: Services, count_runs: RunCounter, runs: Runs | None = None) -> Tick:
    """Receive messages and plan runs for what waits, whether or not Redis answers.

    What ``runs`` left that a person stopped is canceled first, so that it is not planned.
    """
    registry = services.registry
    poll_seconds, budget_seconds = IDLE_POLL_SECONDS, SOON_SECONDS
    if registry.documents.backlog():
        poll_seconds, budget_seconds = BUSY_POLL_SECONDS, BUDGET_SECONDS
    problem = None
    received = Received()
    try:
        # Redis is read before a registry transaction opens, so that nobody waits for the poll.
        received = receive(services, poll_seconds, budget_seconds)
    except IngestError as error:
        problem = error.message
    apply_deletions(services)
    if runs is not None:
        cancel_stopped(services, runs)
    backlog = _with_pipelines(services, registry.documents.backlog())
    planned = plan(backlog, count_runs(registry.claims.live_runs()))
    return Tick(
        received=received,
        planned=tuple(planned),
        collections=frozenset(collection.key for collection in registry.collections.all()),
        waiting=sum(waiting.documents for waiting in backlog),
        problem=problem,
    )
