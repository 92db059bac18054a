"""Runs on record, as the daemon launches them, without any process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(
        ManagedGrpcPythonEnvCodeLocationOrigin(
            LoadableTargetOrigin(module_name="ingestion_pipeline.definitions"),
            location_name="ingestion_pipeline",
        ),
        "__repository__",
    ),
    "ingest_job",
)


def record_run(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
    collection: str | None = "papers",
    *,
    launched: bool = True,
    job: str = "ingest_job",
    tags: Mapping[str, str] | None = None,
) -> dg.DagsterRun:
    """Record a run of a collection; one that was not launched runs in somebody's own process."""
    key = {"dagster/partition": collection} if collection else {}
    return create_run_for_test(
        instance,
        job_name=job,
        status=status,
        tags={**key, **(tags or {})},
        remote_job_origin=ORIGIN if launched else None,
    )


def record_start(instance: dg.DagsterInstance, run: dg.DagsterRun, seconds_ago: float) -> None:
    """Record that a run has started."""
    instance.run_storage.handle_run_event(
        run.run_id,
        dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name),
        update_timestamp=datetime.fromtimestamp(time.time() - seconds_ago, UTC),
    )
