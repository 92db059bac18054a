"""What Dagster is doing: which collections have runs, and whether anybody carries tasks out.

Belongs here: questions to the Dagster instance, and ending runs. Does not belong here: what follows
from the answers (``tasks.planning``, ``tasks.reconciliation``, ``client``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.tags import (
    AUTO_RETRY_RUN_ID_TAG,
    MAX_RUNTIME_SECONDS_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)

from ingestion_pipeline.execution.queues import (
    BUILD_JOBS,
    LAUNCHER_TAG,
    PIPELINE_ASSETS,
    PIPELINE_TAG,
    Launcher,
)
from ingestion_pipeline.model.tasks import TaskType
from ingestion_pipeline.tasks.reconciliation import Standing

LAUNCHED = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)
PENDING = (*LAUNCHED, dg.DagsterRunStatus.QUEUED)
ACTIVE = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
GRACE_SECONDS = 60.0
"""A started run without a lease counts this long: it may be between two batches, or loading."""
LOST = "The run ended with the services that had started it."
TASK_SENSOR = "task_stream_sensor"
"""The sensor that takes tasks up; see ``defs.intake``."""
RETRY_DUE_SECONDS = 120.0
"""How long Dagster's daemon may take to start the retry of a failed run."""
STOPPED_TAG = "ingestion/stopped"
"""Why a run was taken for ended; then no person canceled it."""
STOPPED = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)
DAEMON_SILENCE_SECONDS = 60.0
"""A daemon beats every 30 seconds; one silent for longer than this is taken for dead."""


@dataclass(frozen=True)
class RunCounts:
    """How many runs wait in Dagster's queue and how many run."""

    queued: int
    running: int


class DagsterRuns:
    """What reconciliation asks of Dagster: ``tasks.reconciliation.Runs``."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def standings(self, run_ids: Sequence[str]) -> Mapping[str, Standing]:
        """Return what Dagster knows of each run."""
        if not run_ids:
            return {}
        records = self._instance.get_run_records(dg.RunsFilter(run_ids=list(run_ids)))
        return {record.dagster_run.run_id: self._standing(record) for record in records}

    def report_stopped(self, run_id: str, reason: str) -> None:
        """Take a run for ended that does not answer.

        It is not asked to end: the code server would wait for the answer of a stopped process, and
        start no other run meanwhile.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            self._instance.add_run_tags(run_id, {STOPPED_TAG: reason})
            self._instance.report_run_canceled(run, f"Stopped by reconciliation: {reason}.")

    def _standing(self, record: RunRecord) -> Standing:
        run = record.dagster_run
        if run.status is dg.DagsterRunStatus.CANCELED:
            by_person = STOPPED_TAG not in run.tags and _is_in_time(self._instance, record)
            return Standing.CANCELED if by_person else Standing.ENDED
        if run.status is dg.DagsterRunStatus.FAILURE:
            return Standing.RETRY_DUE if self._retry_is_due(record) else Standing.ENDED
        return Standing.ENDED if run.is_finished else Standing.ACTIVE

    def _retry_is_due(self, record: RunRecord) -> bool:
        tags = record.dagster_run.tags
        if tags.get(WILL_RETRY_TAG) != "true":
            return False
        retry = self._instance.get_run_by_id(tags.get(AUTO_RETRY_RUN_ID_TAG, ""))
        if retry is not None:
            return not retry.is_finished
        return time.time() - (record.end_time or time.time()) < RETRY_DUE_SECONDS


def stopped_by_person(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run that is being interrupted was stopped by a person.

    The end of a shutdown shows no such status, and Dagster's own limit on the run time is known.
    """
    record = instance.get_run_record_by_id(run_id)
    if record is None or record.dagster_run.status not in STOPPED:
        return False
    return _is_in_time(instance, record)


def _is_in_time(instance: dg.DagsterInstance, record: RunRecord) -> bool:
    """Whether a run has not come to Dagster's limit on the run time, or had not when it ended."""
    limit = record.dagster_run.tags.get(MAX_RUNTIME_SECONDS_TAG)
    seconds = float(limit or instance.run_monitoring_max_runtime_seconds)
    until = record.end_time or time.time()
    return not seconds or until - (record.start_time or until) < seconds


def runs_by_collection(
    instance: dg.DagsterInstance, live_runs: Mapping[str, AbstractSet[str]]
) -> Counter[tuple[str, str | None]]:
    """Count the runs that each collection has for its documents, queued ones included.

    By its key and the pipeline whose documents a run takes, if it is for one.

    A started run that holds no lease any more does not count after a while: its process may be
    gone without Dagster having noticed, and must not keep its collection waiting.
    """
    counts: Counter[tuple[str, str | None]] = Counter()
    records = instance.get_run_records(dg.RunsFilter(statuses=[*PENDING, *ACTIVE]))
    for record in records:
        key = record.dagster_run.tags.get(PARTITION_NAME_TAG)
        if key is None or record.dagster_run.job_name in BUILD_JOBS.values():
            continue
        is_pending = record.dagster_run.status in PENDING
        is_new = time.time() - (record.start_time or time.time()) < GRACE_SECONDS
        holds_lease = record.dagster_run.run_id in live_runs.get(key, ())
        counts[key, _pipeline_of(record.dagster_run)] += is_pending or is_new or holds_lease
    return counts


def _pipeline_of(run: dg.DagsterRun) -> str | None:
    """Return the pipeline whose documents a run takes; one from the web page has its asset only."""
    selected = (key.path for key in run.asset_selection or ())
    of_assets = (path[1] for path in selected if path[0] == PIPELINE_ASSETS)
    return run.tags.get(PIPELINE_TAG) or next(of_assets, None)


def builds_under_way(instance: dg.DagsterInstance) -> set[tuple[str, TaskType]]:
    """Return the builds, by collection and kind, for which there is a run that has not ended.

    Started ones too: those at work hold their build; the others end at once.
    """
    return {
        (key, kind)
        for kind, job in BUILD_JOBS.items()
        for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=[*PENDING, *ACTIVE]))
        if (key := run.tags.get(PARTITION_NAME_TAG)) is not None
    }


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
    queue for hours. A run that was not launched is in a process of its own, and left alone; those
    that workers have taken are told apart by their heartbeats.
    """
    unfinished = dg.RunsFilter(statuses=[*LAUNCHED, *ACTIVE])
    for run in instance.get_runs(unfinished):
        if run.remote_job_origin is None or run.tags.get(LAUNCHER_TAG) == Launcher.WORKER:
            continue
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, LOST)
        else:
            instance.report_run_failed(run, LOST)


def daemon_is_alive(instance: dg.DagsterInstance) -> bool:
    """Whether the daemon that evaluates sensors has beaten lately."""
    beat = instance.get_daemon_heartbeats().get("SENSOR")
    return beat is not None and time.time() - beat.timestamp < DAEMON_SILENCE_SECONDS


def carries_tasks_out(instance: dg.DagsterInstance) -> bool:
    """Whether Dagster takes tasks up: a live daemon, the sensor switched on, a queue that moves."""
    if not daemon_is_alive(instance):
        return False
    limits = instance.get_concurrency_config().run_queue_config
    if limits is not None and limits.max_concurrent_runs == 0:
        return False
    return not any(
        state.instigator_name == TASK_SENSOR and state.status is InstigatorStatus.STOPPED
        for state in instance.all_instigator_state()
    )
