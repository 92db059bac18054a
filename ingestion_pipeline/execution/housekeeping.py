"""Dagster's own records: removing those that say nothing any more.

Belongs here: partitions of deleted collections, and old runs. Does not belong here: ticks, which
Dagster removes by itself (``retention`` in ``dagster.yaml``).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES, NOT_FINISHED_STATUSES
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.tags import PARTITION_NAME_TAG

KEPT_DAYS = 30
"""How long every run is kept; then those go whose materialisations newer ones have replaced."""
RUNS_AT_ONCE = 500
"""How many runs are looked at in one query."""


def remove_partitions(
    instance: dg.DagsterInstance, name: str, partitions: Collection[str]
) -> list[str]:
    """Remove those of the given partitions that no run still works on; return them."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES)))
    in_use = {run.tags.get(PARTITION_NAME_TAG) for run in unfinished}
    removed = sorted(set(partitions) - in_use)
    for partition in removed:
        instance.delete_dynamic_partition(name, partition)
    return removed


def prune_runs(instance: dg.DagsterInstance, job_name: str, assets: Collection[dg.AssetKey]) -> int:
    """Delete a job's runs that finished long ago, with all they logged; return how many.

    A run stays that made the newest materialisation of any of ``assets`` in any partition: what
    Dagster shows of an asset, with its checks, is read from there.
    """
    newest = {run_id for asset in assets for run_id in _newest_runs(instance, asset)}
    old = dg.RunsFilter(
        job_name=job_name,
        statuses=list(FINISHED_STATUSES),
        updated_before=datetime.now(UTC) - timedelta(days=KEPT_DAYS),
    )
    superseded = [run_id for run_id in instance.get_run_ids(old) if run_id not in newest]
    for run_id in superseded:
        instance.delete_run(run_id)
        _delete_files(instance, run_id)
    return len(superseded)


def _newest_runs(instance: dg.DagsterInstance, asset: dg.AssetKey) -> set[str]:
    """Return the runs of the newest materialisations of an asset, one for each partition."""
    newest = instance.event_log_storage.get_latest_storage_id_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    ids = sorted(newest.values())
    runs: set[str] = set()
    for start in range(0, len(ids), RUNS_AT_ONCE):
        part = ids[start : start + RUNS_AT_ONCE]
        found = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset, storage_ids=part), limit=len(part)
        )
        runs |= {record.run_id for record in found.records}
    return runs


def _delete_files(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove what Dagster leaves of a deleted run: what it printed, and its empty database."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        database = Path(storage.path_for_shard(run_id))
        for path in (database, *database.parent.glob(f"{database.name}-*")):
            path.unlink(missing_ok=True)
