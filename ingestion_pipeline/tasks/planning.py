"""Planning: which collections get a run now.

A pure decision over what waits and what runs. A plan too many is harmless: a run that finds
nothing to claim ends at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from ingestion_pipeline.registry.documents import Backlog

HIGH_PRIORITY = 10
"""Dagster's run queue takes higher numbers first; runs without a priority are at 0."""
SECONDS_PER_STEP = 30.0
"""Waiting raises a plan's priority by one for each such time, so that nothing starves."""
RUNS_PER_TICK = 25
"""Submitting a run costs Dagster tens of milliseconds: a tick must stay short."""


@dataclass(frozen=True)
class PlannedRun:
    """A run to start for a collection."""

    collection_key: str
    tenant: str
    priority: int


def plan(
    backlog: Sequence[Backlog], running: Mapping[str, int], limit: int = RUNS_PER_TICK
) -> list[PlannedRun]:
    """Return the runs to start: by priority, then in turn between tenants, then by age.

    Args:
        backlog: what waits, by collection.
        running: how many runs each collection has already, queued ones included.
        limit: the most runs to return.
    """
    free = [
        waiting
        for waiting in backlog
        if running.get(waiting.collection_key, 0) < waiting.max_parallel_runs
    ]
    by_tenant: dict[str, list[Backlog]] = defaultdict(list)
    for waiting in sorted(free, key=lambda each: -each.oldest_seconds):
        by_tenant[waiting.tenant].append(waiting)
    in_turn = [each for each in chain(*zip_longest(*by_tenant.values())) if each is not None]
    planned = [PlannedRun(each.collection_key, each.tenant, _priority(each)) for each in in_turn]
    return sorted(planned, key=lambda each: -each.priority)[:limit]


def _priority(waiting: Backlog) -> int:
    if waiting.priority > 0:
        return HIGH_PRIORITY
    return min(HIGH_PRIORITY, int(waiting.oldest_seconds / SECONDS_PER_STEP))
