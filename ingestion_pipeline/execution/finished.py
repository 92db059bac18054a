"""Runs that ended, with how their checks went: what alerts are about.

Belongs here: questions to the Dagster instance. Does not belong here: what follows from the answers
(``tasks.alerts``).
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES, RunRecord
from dagster._core.storage.tags import PARTITION_NAME_TAG, WILL_RETRY_TAG

from ingestion_pipeline.tasks.alerts import CheckResult, FinishedRun

RUNS_AT_ONCE = 100
SETTLED_SECONDS = 5.0
"""After which a run that failed is marked, if Dagster retries it."""


def finished_runs(
    instance: dg.DagsterInstance, since: float, now: float
) -> tuple[list[FinishedRun], float]:
    """Return runs that ended after a time (Unix seconds), and the time to go on from."""
    until = now - SETTLED_SECONDS
    found = instance.get_run_records(
        dg.RunsFilter(
            statuses=list(FINISHED_STATUSES),
            updated_after=datetime.fromtimestamp(since, UTC),
            updated_before=datetime.fromtimestamp(max(until, since), UTC),
        ),
        limit=RUNS_AT_ONCE,
        order_by="update_timestamp",
        ascending=True,
    )
    reached = found[-1].update_timestamp.timestamp() if len(found) == RUNS_AT_ONCE else until
    return [_finished(instance, record) for record in found], max(since, reached)


def _finished(instance: dg.DagsterInstance, record: RunRecord) -> FinishedRun:
    run = record.dagster_run
    evaluations = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    return FinishedRun(
        run_id=run.run_id,
        root_run_id=run.root_run_id or run.run_id,
        job=run.job_name,
        collection=run.tags.get(PARTITION_NAME_TAG),
        failed=run.status is dg.DagsterRunStatus.FAILURE,
        will_retry=run.tags.get(WILL_RETRY_TAG) == "true",
        checks=tuple(
            _result(evaluation, run.tags.get(PARTITION_NAME_TAG))
            for each in evaluations
            if (event := each.event_log_entry.dagster_event) is not None
            and (evaluation := event.asset_check_evaluation_data)
        ),
    )


def _result(evaluation: dg.AssetCheckEvaluation, collection: str | None) -> CheckResult:
    asset = evaluation.asset_key.to_user_string()
    where = f" of collection {collection}" if collection else ""
    good = evaluation.passed or evaluation.severity is not dg.AssetCheckSeverity.ERROR
    said = f": {evaluation.description}" if evaluation.description else ""
    return CheckResult(
        key=f"check:{asset}:{evaluation.check_name}:{collection or ''}",
        collection=collection,
        good=good,
        text=f"check {evaluation.check_name} of {asset}{where} failed{said}",
    )
