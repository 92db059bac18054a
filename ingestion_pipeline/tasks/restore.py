"""Restore: an empty state filled from a backup, and made good where that was taken at work.

Belongs here: the order of it, and what of the former state is not true any more. Does not belong
here: what a backup holds (``backup``, ``backup_format``).

Everything is read and compared with its checksum before anything is written. The registry comes
last, in one transaction: before, there are bytes that nobody names; after it, all is there. Then
what runs of before had in work is given back, and index and registry are compared, document by
document, as the night does: the index may know of work that the registry did not know was done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing import transfer as tables
from ingestion_pipeline.registry import transfer
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline.registry.revisions import require_known
from ingestion_pipeline.storage import ObjectStore
from ingestion_pipeline.tasks.backup import AT_ONCE, BLOCK, Tell
from ingestion_pipeline.tasks.backup_format import (
    LANCEDB,
    REGISTRY,
    STORAGE,
    File,
    Manifest,
    get,
    read_manifest,
    unpacked_rows,
    unpacked_table,
)
from ingestion_pipeline.tasks.doubts import doubt_differences, settle_doubts
from ingestion_pipeline.tasks.purge import purge_deleted
from ingestion_pipeline.tasks.services import Services

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Restored:
    """What a restore made, and what is left to do by itself."""

    manifest: Manifest
    differences: int
    """Documents in which index and registry differed; they are made good, or wait for a run."""
    waiting: int
    """Documents that wait for a run."""
    not_compared: dict[str, str]
    """Collections whose index could not be compared, with the reason."""


def restore(services: Services, source: ObjectStore, tell: Tell) -> Restored:
    """Fill an empty state from a backup.

    Raises:
        PermanentError: ``not_found`` if there is no finished backup; ``broken`` if it is damaged;
            ``unavailable`` if a newer version of this program took it; ``invalid_option`` if the
            state is not empty. Nothing has been written then.
        TransientError: of kind ``unavailable`` when something does not answer. What was written is
            no state: empty it, and restore again.
    """
    manifest, files = read_manifest(source)
    require_known(manifest.schema_revision)
    _require_empty(services)
    folders: dict[str, list[File]] = {REGISTRY: [], LANCEDB: [], STORAGE: []}
    for file in files:
        folders[file.key.partition("/")[0]].append(file)
    _each(files, partial(_verify, source), tell, "verified")
    _each(folders[STORAGE], partial(_copy, services, source), tell, "copied")
    _create_tables(services, source, folders[LANCEDB])
    tell("tables of the index: created")
    _fill_registry(services, source, manifest, folders[REGISTRY])
    tell("registry: filled")
    return _made_good(services, manifest, tell)


def _require_empty(services: Services) -> None:
    """Make sure that nothing is there that a backup would be mixed with."""
    settings = services.settings
    database = Database(settings.database_address)
    try:
        found = {
            "the registry": not transfer.is_empty(database),
            f"the storage ({settings.storage_address})": any(
                next(iter(services.store.keys(folder)), None) is not None
                for folder in ("objects", "artifacts", "maps")
            ),
            f"LanceDB ({settings.lancedb_address})": tables.holds_tables(settings.lancedb_address),
        }
    finally:
        database.dispose()
    full = [name for name, is_full in found.items() if is_full]
    if full:
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            f"a backup is restored into an empty state only, and {', '.join(full)} holds something:"
            " set INGEST_STATE_DIR (and other places you have set) to new ones, or empty these",
        )


def _each(files: Sequence[File], act: Callable[[File], None], tell: Tell, what: str) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for start in range(0, len(files), BLOCK):
            block = files[start : start + BLOCK]
            for _ in threads.map(act, block):
                pass
            tell(f"files: {start + len(block)} of {len(files)} {what}")


def _verify(source: ObjectStore, file: File) -> None:
    get(source, file)


def _copy(services: Services, source: ObjectStore, file: File) -> None:
    services.store.put(file.key.removeprefix(f"{STORAGE}/"), get(source, file))


def _create_tables(services: Services, source: ObjectStore, files: Sequence[File]) -> None:
    for folder, some in groupby(files, key=lambda file: file.key.rpartition("/")[0]):
        parts = (unpacked_table(get(source, file)) for file in some)
        first = next(parts)
        tables.create(
            services.settings.lancedb_address,
            folder.removeprefix(f"{LANCEDB}/"),
            first.schema,
            _batches(chain([first], parts)),
        )


def _batches(parts: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    for part in parts:
        yield from part.to_batches()


def _fill_registry(
    services: Services, source: ObjectStore, manifest: Manifest, files: Sequence[File]
) -> None:
    by_table: dict[str, list[File]] = {}
    for file in files:
        by_table.setdefault(file.key.split("/")[1], []).append(file)
    database = Database(services.settings.database_address)
    try:
        transfer.fill(
            database,
            manifest.schema_revision,
            {
                name: (unpacked_rows(get(source, file)) for file in some)
                for name, some in by_table.items()
            },
            last_claim=manifest.last_claim,
            age_seconds=max(0.0, time.time() - manifest.taken_at),
        )
    finally:
        database.dispose()


def _made_good(services: Services, manifest: Manifest, tell: Tell) -> Restored:
    """Give back what was in work, build the indexes, and compare index and registry."""
    registry = services.registry
    registry.claims.release_runs([run.run_id for run in registry.runs.find()])
    differences = 0
    not_compared: dict[str, str] = {}
    for collection in registry.collections.all():
        tables.index_all(services.settings.lancedb_address, collection.name.table)
        try:
            differing, strays = doubt_differences(services, collection.key)
        except PermanentError as error:  # such as a model that is not installed here
            not_compared[collection.key] = error.message
            continue
        differences += len(differing)
        purge_deleted(services, collection.key, [], strays=strays)
        tell(f"{collection.key}: indexed and compared, {len(differing)} documents differ")
    settle_doubts(services)
    waiting = sum(backlog.documents for backlog in registry.documents.backlog())
    return Restored(manifest, differences, waiting, not_compared)
