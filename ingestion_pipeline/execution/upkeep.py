"""The parts of the nightly maintenance, one after the other; each does without the others.

Belongs here: which parts there are, and those that are about Dagster or about databases as files.
Does not belong here: what is done to collections (``tasks.maintenance``) and to what is over
(``tasks.history``), showing what was done (``defs.operations``, ``cli``).

Dagster loads this module with the definitions, so what does the work is imported when it is done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from ingestion_pipeline.errors import IngestError

if TYPE_CHECKING:
    from ingestion_pipeline.tasks.maintenance import Report, Value
    from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

PARTITIONS_NAME = "collections"
"""Of the partitions that Dagster shows; see ``defs.partitions``."""
REGISTRY_SECONDS = 10.0
"""For how long writers may wait: a third of what they do (``registry.database``)."""
DAGSTER_SECONDS = 2.0
"""The same for Dagster's files: half of what it waits before it says that a database is locked."""

Act: TypeAlias = Callable[["Services", dg.DagsterInstance, bool], "Report"]


@dataclass(frozen=True)
class Part:
    """Something that is done every night; with a dry run it only says what it would do."""

    act: Act

    @property
    def name(self) -> str:
        """Its name, as Dagster shows it."""
        return self.act.__name__

    @property
    def does(self) -> str:
        """What it does, in a sentence."""
        return " ".join((self.act.__doc__ or "").split())

    def run(self, services: Services, instance: dg.DagsterInstance, dry_run: bool) -> Report:
        """Do it; that it cannot be done is told, and keeps nothing else back."""
        from ingestion_pipeline.tasks.maintenance import Report

        try:
            return self.act(services, instance, dry_run)
        except IngestError as error:
            return Report(problems=[error.message])
        except Exception as error:
            logger.exception("%s failed", self.name)
            return Report(problems=[f"unexpected: {type(error).__name__}"])


def purge_deleted(services: Services, _: dg.DagsterInstance, dry_run: bool) -> Report:
    """Compare each index with the registry, and purge what was deleted over an hour ago."""
    from ingestion_pipeline.tasks.maintenance import purge_collection, report_of_each

    return report_of_each(services, purge_collection, dry_run)


def sweep_storage(services: Services, _: dg.DagsterInstance, dry_run: bool) -> Report:
    """Remove stored results and source bytes that nothing in the registry names."""
    from ingestion_pipeline.tasks.maintenance import (
        report_of_each,
        sweep_collection,
        sweep_deleted,
    )

    return report_of_each(services, sweep_collection, dry_run, sweep_deleted)


def compact_indexes(services: Services, _: dg.DagsterInstance, dry_run: bool) -> Report:
    """Compact each collection's tables; remove old versions, and tables that nobody searches."""
    from ingestion_pipeline.tasks.maintenance import (
        compact_collection,
        drop_deleted,
        report_of_each,
    )

    return report_of_each(services, compact_collection, dry_run, drop_deleted)


def forget_tasks(services: Services, _: dg.DagsterInstance, dry_run: bool) -> Report:
    """Forget tasks that ended longer ago than INGEST_HISTORY_DAYS, with what they said."""
    from ingestion_pipeline.tasks import history

    return history.forget_tasks(services, dry_run)


def tidy_dagster(services: Services, instance: dg.DagsterInstance, dry_run: bool) -> Report:
    """Remove partitions of deleted collections, runs that finished longer ago than
    INGEST_HISTORY_DAYS and whose results newer ones have replaced, and what old ticks printed.
    """  # noqa: D205
    from ingestion_pipeline.execution.housekeeping import prune, remove_partitions
    from ingestion_pipeline.tasks.maintenance import Report

    # The partitions first: the collection of one that is new since then is there.
    partitions = instance.get_dynamic_partitions(PARTITIONS_NAME)
    known = {collection.key for collection in services.registry.collections.all()}
    gone = set(partitions) - known
    removed = remove_partitions(instance, PARTITIONS_NAME, gone, dry_run=dry_run)
    pruned = prune(instance, services.settings.history_days, dry_run=dry_run)
    return Report(
        {
            "partitions_removed": len(removed),
            "runs_deleted": pruned.runs,
            "check_results_removed": pruned.checks,
            "files_removed": pruned.files,
            "file_bytes_removed": pruned.bytes,
            "ticks_removed": pruned.ticks,
        }
    )


def sweep_models(services: Services, _: dg.DagsterInstance, dry_run: bool) -> Report:
    """Remove converted embedding models that nobody has loaded for INGEST_HISTORY_DAYS."""
    from ingestion_pipeline.tasks import history

    return history.sweep_models(services, dry_run)


def vacuum_databases(services: Services, instance: dg.DagsterInstance, dry_run: bool) -> Report:
    """Give back what is free in the files of SQLite, those of the registry and of Dagster."""
    import sqlalchemy as sa

    from ingestion_pipeline.registry.vacuum import vacuum
    from ingestion_pipeline.tasks.maintenance import Report

    files = dict.fromkeys(_dagster_files(instance), DAGSTER_SECONDS)
    address = sa.make_url(services.settings.database_address)
    if services.registry.database.is_sqlite and address.database:
        files[Path(address.database)] = REGISTRY_SECONDS
    done = {path: vacuum(path, seconds, dry_run=dry_run) for path, seconds in files.items()}
    rows: list[dict[str, Value]] = [
        {
            "file": path.name,
            "bytes_before": each.bytes_before,
            "bytes": each.bytes,
            "free_bytes": each.free_bytes,
            "left_as_it_was": each.problem or "",
        }
        for path, each in done.items()
    ]
    before = sum(each.bytes_before for each in done.values())
    after = sum(each.bytes for each in done.values())
    return Report({"databases": len(done), "bytes_before": before, "bytes": after}, rows)


def _dagster_files(instance: dg.DagsterInstance) -> Iterator[Path]:
    """Yield Dagster's own databases that are files of SQLite, but for those of single runs."""
    import sqlalchemy as sa
    from dagster._core.storage.event_log import SqliteEventLogStorage
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
    from dagster._core.storage.runs import SqliteRunStorage
    from dagster._core.storage.schedules import SqliteScheduleStorage

    events = instance.event_log_storage
    if isinstance(events, SqliteEventLogStorage):
        yield Path(events.path_for_shard(INDEX_SHARD_NAME))
    for storage in (instance.run_storage, instance.schedule_storage):
        if isinstance(storage, SqliteRunStorage | SqliteScheduleStorage):
            yield Path(sa.make_url(storage._conn_string).database or "")  # noqa: SLF001


def report_failures(services: Services, _: dg.DagsterInstance, __: bool) -> Report:
    """Report messages that were refused and tasks that failed, by reason, lately and in all."""
    from ingestion_pipeline.tasks import history

    return history.report_failures(services)


def renew_builds(services: Services, _: dg.DagsterInstance, dry_run: bool) -> Report:
    """Ask for summaries, graphs and mind maps that somebody had built once and are out of date."""
    from ingestion_pipeline.tasks.due import ask_for_stale_builds
    from ingestion_pipeline.tasks.maintenance import Report

    return Report({"builds_asked_for": 0 if dry_run else ask_for_stale_builds(services)})


PARTS = tuple(
    map(
        Part,
        (
            purge_deleted,
            sweep_storage,
            compact_indexes,
            forget_tasks,
            tidy_dagster,
            sweep_models,
            vacuum_databases,
            report_failures,
            renew_builds,
        ),
    )
)
"""In the order in which they are done: room is given back when all has been removed."""
