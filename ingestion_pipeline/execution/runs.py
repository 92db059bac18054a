"""What Dagster is doing: which collections have runs, and whether anybody carries tasks out.

Belongs here: questions to the Dagster instance. Does not belong here: what follows from the
answers (``tasks.planning``, ``client``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

LAUNCHED = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)
PENDING = (*LAUNCHED, dg.DagsterRunStatus.QUEUED)
ACTIVE = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
GRACE_SECONDS = 60.0
"""A started run without a lease counts this long: it may be between two batches, or loading."""
LOST = "The run ended with the services that had started it."
DAEMON_SILENCE_SECONDS = 60.0
"""A daemon beats every 30 seconds; one silent for longer than this is taken for dead."""


@dataclass(frozen=True)
class RunCounts:
    """How many runs wait in Dagster's queue and how many run."""

    queued: int
    running: int


def runs_by_collection(
    instance: dg.DagsterInstance, live_runs: Mapping[str, AbstractSet[str]]
) -> Counter[str]:
    """Count the runs that each collection has, queued ones included.

    A started run that holds no lease any more does not count after a while: its process may be
    gone without Dagster having noticed, and must not keep its collection waiting.
    """
    counts: Counter[str] = Counter()
    records = instance.get_run_records(dg.RunsFilter(statuses=[*PENDING, *ACTIVE]))
    for record in records:
        key = record.dagster_run.tags.get(PARTITION_NAME_TAG)
        if key is None:
            continue
        is_pending = record.dagster_run.status in PENDING
        is_new = time.time() - (record.start_time or time.time()) < GRACE_SECONDS
        holds_lease = record.dagster_run.run_id in live_runs.get(key, ())
        counts[key] += is_pending or is_new or holds_lease
    return counts


def count_runs(instance: dg.DagsterInstance) -> RunCounts:
    """Count queued and running runs."""
    return RunCounts(
        queued=instance.get_runs_count(dg.RunsFilter(statuses=list(PENDING))),
        running=instance.get_runs_count(dg.RunsFilter(statuses=list(ACTIVE))),
    )


def fail_lost_runs(instance: dg.DagsterInstance) -> None:
    """Report those runs as failed that ended with the services that had launched them.

    To be called while no daemon is alive. Dagster notices that the process of a run is gone only
    as long as the code server that started it lives; otherwise the run would keep its place in the
    queue for hours. A run that was not launched is in a process of its own, and left alone.
    """
    unfinished = dg.RunsFilter(statuses=[*LAUNCHED, *ACTIVE])
    for run in instance.get_runs(unfinished):
        if run.remote_job_origin is None:
            continue
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, LOST)
        else:
            instance.report_run_failed(run, LOST)


def daemon_is_alive(instance: dg.DagsterInstance) -> bool:
    """Whether the daemon that evaluates sensors has beaten lately."""
    beat = instance.get_daemon_heartbeats().get("SENSOR")
    return beat is not None and time.time() - beat.timestamp < DAEMON_SILENCE_SECONDS
