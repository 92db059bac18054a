"""Dagster's own records: removing those that say nothing any more.

Belongs here: partitions of deleted collections, old runs with all they left, what ticks printed.
Does not belong here: ticks of sensors and schedules that there are, which Dagster removes by itself
(``retention`` in ``dagster.yaml``).

Dagster has no call that removes what asset checks said of a run, and leaves a deleted run's files:
so this reads and writes its tables, through its own storage classes, on SQLite and PostgreSQL.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.dagster_run import FINISHED_STATUSES, NOT_FINISHED_STATUSES
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Checks
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.runs.schema import RunsTable as Runs
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.schedules.schema import JobTickTable as Ticks
from dagster._core.storage.schedules.sql_schedule_storage import SqlScheduleStorage
from dagster._core.storage.tags import PARTITION_NAME_TAG

ROWS_AT_ONCE = 500
"""How many rows one query names."""
TICKS_KEPT_DAYS = 90
"""The longest ``retention`` in ``dagster.yaml``: what is older is of a sensor that is gone."""
ABANDONED_SECONDS = 3600.0
"""How old files of a run are before its record is looked for in vain."""
T = TypeVar("T")

_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Pruned:
    """What went, or would."""

    runs: int
    checks: int
    """What asset checks said in these runs."""
    files: int
    """Of runs that went, or that a person deleted, and of ticks."""
    ticks: int
    bytes: int
    """Of the files."""


def remove_partitions(
    instance: dg.DagsterInstance, name: str, partitions: Collection[str], *, dry_run: bool = False
) -> list[str]:
    """Remove those of the given partitions that no run still works on; return them."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES)))
    in_use = {run.tags.get(PARTITION_NAME_TAG) for run in unfinished}
    removed = sorted(set(partitions) - in_use)
    for partition in removed if not dry_run else ():
        instance.delete_dynamic_partition(name, partition)
    return removed


def prune(instance: dg.DagsterInstance, kept_days: float, *, dry_run: bool = False) -> Pruned:
    """Delete runs that finished ``kept_days`` ago and are superseded, with all they left behind.

    A run stays, whatever its age, that made the newest materialisation of an asset in a partition
    or said last what a check found there: what Dagster shows of an asset is read from there. So
    does the last run of each job in each partition: a failure that nothing followed is news.
    """
    superseded = _superseded(instance, kept_days)
    checks = _checks_of(instance, superseded)
    before = time.time() - kept_days * timedelta(days=1).total_seconds()
    files = [*_files_of(instance, superseded), *_abandoned(instance, before)]
    taken = sum(map(_size, files))
    ticks = _old_ticks(instance, dry_run)
    if not dry_run:
        for run_id in superseded:
            _delete_run(instance, run_id)
        for file in files:
            file.unlink(missing_ok=True)
        for folder in sorted({file.parent for file in files}, reverse=True):
            _remove_if_empty(instance, folder)
    return Pruned(len(superseded), checks, len(files), ticks, taken)


def _superseded(instance: dg.DagsterInstance, kept_days: float) -> list[str]:
    """Return the runs that finished long ago and of which nothing is the newest of its kind."""
    old = dg.RunsFilter(
        statuses=list(FINISHED_STATUSES),
        updated_before=datetime.now(UTC) - timedelta(days=kept_days),
    )
    found = instance.get_run_ids(old)
    if not found:
        return []
    newest = {run for asset in instance.all_asset_keys() for run in _newest_runs(instance, asset)}
    newest |= _last_checked(instance) | _last_of_jobs(instance)
    return [run_id for run_id in found if run_id not in newest]


def _newest_runs(instance: dg.DagsterInstance, asset: dg.AssetKey) -> set[str]:
    """Return the runs of the newest materialisations of an asset, one for each partition."""
    newest = instance.event_log_storage.get_latest_storage_id_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    last = instance.get_latest_materialization_event(asset)
    runs = {last.run_id} if last else set()
    for part in _parts(sorted(newest.values())):
        found = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset, storage_ids=part), limit=len(part)
        )
        runs |= {record.run_id for record in found.records}
    return runs


def _last_checked(instance: dg.DagsterInstance) -> set[str]:
    """Return the runs that said last what each check found in each partition."""
    newest = sa.select(sa.func.max(Checks.c.id)).group_by(
        Checks.c.asset_key, Checks.c.check_name, Checks.c.partition
    )
    with _events(instance).index_connection() as connection:
        return set(connection.scalars(sa.select(Checks.c.run_id).where(Checks.c.id.in_(newest))))


def _last_of_jobs(instance: dg.DagsterInstance) -> set[str]:
    """Return the last run of each job in each partition."""
    newest = sa.select(sa.func.max(Runs.c.id)).group_by(Runs.c.pipeline_name, Runs.c.partition)
    storage = instance.run_storage
    assert isinstance(storage, SqlRunStorage)  # noqa: S101 - for the type checker
    with storage.connect() as connection:
        return set(connection.scalars(sa.select(Runs.c.run_id).where(Runs.c.id.in_(newest))))


def _checks_of(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> int:
    """Count what checks said in some runs."""
    counted = 0
    with _events(instance).index_connection() as connection:
        for part in _parts(run_ids):
            query = sa.select(sa.func.count()).where(Checks.c.run_id.in_(part))
            counted += connection.scalar(query) or 0
    return counted


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete what a run logged, and then the run: who is killed in between does it again."""
    storage = _events(instance)
    if isinstance(storage, SqliteEventLogStorage):  # its own file goes as a whole
        with storage.index_connection() as connection:
            storage.delete_events_for_run(connection, run_id)
        storage.free_concurrency_slots_for_run(run_id)
    else:
        storage.delete_events(run_id)
    with storage.index_connection() as connection:
        connection.execute(Checks.delete().where(Checks.c.run_id == run_id))
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.run_storage.delete_run(run_id)


def _old_ticks(instance: dg.DagsterInstance, dry_run: bool) -> int:
    """Remove ticks of sensors and schedules that there are no more; return how many."""
    old = Ticks.c.timestamp < datetime.now(UTC) - timedelta(days=TICKS_KEPT_DAYS)
    storage = instance.schedule_storage
    if not isinstance(storage, SqlScheduleStorage):  # an instance in memory has none
        return 0
    with storage.connect() as connection:
        count = connection.scalar(sa.select(sa.func.count()).select_from(Ticks).where(old)) or 0
        if count and not dry_run:
            connection.execute(Ticks.delete().where(old))
    return count


def _files_of(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> Iterator[Path]:
    """Yield the files that have what runs logged and printed."""
    for run_id in run_ids:
        yield from _database_of(instance, run_id)
        if folder := _printed(instance):
            yield from (file for file in folder.joinpath(run_id).rglob("*") if file.is_file())


def _abandoned(instance: dg.DagsterInstance, before: float) -> Iterator[Path]:
    """Yield files of runs that a person deleted, and those in which old ticks printed.

    The files are looked for first: a run that is not known then never was, or is gone.
    """
    storage = instance.event_log_storage
    shards = storage.get_all_run_ids() if isinstance(storage, SqliteEventLogStorage) else ()
    printed = _printed(instance)
    folders = [folder for folder in printed.iterdir() if folder.is_dir()] if printed else []
    known = set(instance.get_run_ids())
    latest = time.time() - ABANDONED_SECONDS
    for run_id in shards:
        if _RUN_ID.fullmatch(run_id) and run_id not in known:
            files = list(_database_of(instance, run_id))
            if all(_modified(file) < latest for file in files):
                yield from files
    for folder in folders:
        if folder.name in known:
            continue
        limit = latest if _RUN_ID.fullmatch(folder.name) else before
        for file in folder.rglob("*"):
            if file.is_file() and _modified(file) < limit:
                yield file


def _database_of(instance: dg.DagsterInstance, run_id: str) -> Iterator[Path]:
    """Yield the files of the SQLite database that a run has for what it logs, if it has one."""
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        database = Path(storage.path_for_shard(run_id))
        files = (database, *database.parent.glob(f"{database.name}-*"))
        yield from (file for file in files if file.exists())


def _printed(instance: dg.DagsterInstance) -> Path | None:
    """Return the folder of what runs and ticks print; None if that is not on this machine."""
    manager = instance.compute_log_manager
    if not isinstance(manager, LocalComputeLogManager):
        return None
    folder = Path(manager._base_dir)  # noqa: SLF001 - nothing tells
    return folder if folder.is_dir() else None


def _remove_if_empty(instance: dg.DagsterInstance, folder: Path) -> None:
    """Remove a folder of what was printed, and those above it, as far as they are empty."""
    printed = _printed(instance)
    while printed and printed in folder.parents:
        with suppress(OSError):
            folder.rmdir()
        folder = folder.parent


def _events(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)  # noqa: S101 - for the type checker
    return storage


def _size(file: Path) -> int:
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def _modified(file: Path) -> float:
    """Return when a file was changed; one that is gone meanwhile is young."""
    with suppress(FileNotFoundError):
        return file.stat().st_mtime
    return time.time()


def _parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), ROWS_AT_ONCE):
        yield values[start : start + ROWS_AT_ONCE]
