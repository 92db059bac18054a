"""Maintenance of collections: removing what nobody needs, comparing index and registry.

Belongs here: what is done to each collection every night, in three parts, and to what deleted ones
have left. Each may be done again, and be killed at any moment; what it removes is named by nothing.
Does not belong here: deleting (``deletion``), everyday upkeep of an index (a run's end), repairs
(``doubts``), what is over (``history``), Dagster's own records (``execution.housekeeping``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TypeAlias

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.indexing import drop_collection, stored_of
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.storage.base import Dated
from ingestion_pipeline.tasks.deletion import deleted_collections, forget_deletion
from ingestion_pipeline.tasks.doubts import doubt_differences
from ingestion_pipeline.tasks.generations import tidy
from ingestion_pipeline.tasks.inspection import compare_index_with_registry
from ingestion_pipeline.tasks.purge import purge_deleted
from ingestion_pipeline.tasks.services import ANSWERS_OF_BUILDS, Services

logger = logging.getLogger(__name__)

SECONDS_PER_DAY = 86_400.0
GRACE_SECONDS = 3600.0
"""How long a document is deleted before it is purged, and an artifact stored before it is swept."""
BYTES_GRACE_SECONDS = SECONDS_PER_DAY
"""The same for source bytes: a message that names them may wait in a stream for its reader."""

Value: TypeAlias = int | float | str


@dataclass(frozen=True)
class Report:
    """What a part of maintenance did or, with a dry run, would have done."""

    figures: Mapping[str, Value] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Value]] = ()
    """The same in detail, with the same columns in each row."""
    problems: Sequence[str] = ()
    """What could not be done; the next night does the rest."""


@dataclass(frozen=True)
class Purged:
    """What was found and purged of a collection."""

    documents_purged: int
    differences: int
    """Documents in which index and registry differed; they are repaired within seconds."""


@dataclass(frozen=True)
class Swept:
    """What was removed of a collection's results and source bytes."""

    artifacts_removed: int
    artifact_bytes_removed: int
    versions_forgotten: int
    objects_removed: int
    object_bytes_removed: int


@dataclass(frozen=True)
class Compacted:
    """What a collection's tables took before, and take now."""

    index_rows: int
    tables_dropped: int
    versions_before: int
    versions: int
    bytes_before: int
    bytes: int


Done: TypeAlias = Purged | Swept | Compacted
Part: TypeAlias = Callable[[Services, str, bool], Done]
OfDeleted: TypeAlias = Callable[[Services, CollectionName, bool], Done | None]


def report_of_each(
    services: Services, part: Part, dry_run: bool, of_deleted: OfDeleted | None = None
) -> Report:
    """Maintain one collection after the other; one that cannot be does not keep the others back.

    ``of_deleted`` does the same to what deleted ones have left, if there is anything to be done.
    """
    rows: list[dict[str, Value]] = []
    problems: list[str] = []
    for key, act in _acts(services, part, of_deleted):
        try:
            done = act(dry_run)
        except IngestError as error:
            problems.append(f"{key}: {error.message}")
        except Exception as error:
            logger.exception("maintenance of %s failed", key)
            problems.append(f"{key}: unexpected: {type(error).__name__}")
        else:
            if done is not None:
                rows.append({"collection": key, **asdict(done)})
    names = [name for name in (rows[0] if rows else {}) if name != "collection"]
    totals: dict[str, Value] = {name: sum(int(row[name]) for row in rows) for name in names}
    return Report({"collections": len(rows), **totals}, rows, problems)


def _acts(
    services: Services, part: Part, of_deleted: OfDeleted | None
) -> Iterator[tuple[str, Callable[[bool], Done | None]]]:
    for collection in services.registry.collections.all():
        yield collection.key, partial(part, services, collection.key)
    if of_deleted is not None:
        for name in deleted_collections(services, GRACE_SECONDS):
            yield name.key, partial(of_deleted, services, name)


def purge_collection(services: Services, key: str, dry_run: bool = False) -> Purged:
    """Compare a collection's index with the registry, and purge what was deleted.

    Raises:
        PermanentError: of kind ``not_found`` when there is no such collection.
        TransientError: when index or registry do not answer, or writers of the index were faster
            again and again.
    """
    deleted = services.registry.upkeep.deleted(key, GRACE_SECONDS)
    if dry_run:
        found = compare_index_with_registry(services, key)
        purgeable = services.registry.upkeep.purgeable(key, deleted)
        return Purged(len(purgeable), len(found.differing))
    differing, strays = doubt_differences(services, key)
    return Purged(purge_deleted(services, key, deleted, strays), len(differing))


def sweep_collection(services: Services, key: str, dry_run: bool = False) -> Swept:
    """Remove what nothing in the registry names. Runs and submissions go on meanwhile.

    Raises:
        PermanentError: of kind ``not_found`` when there is no such collection.
        TransientError: when storage or registry do not answer.
    """
    registry = services.registry
    collection = registry.collections.get(key)
    # What a run stored stays until it is recorded, however long the run takes.
    in_work = registry.upkeep.oldest_claim_seconds(key)
    bytes_grace = BYTES_GRACE_SECONDS + in_work
    artifacts = _sweep_artifacts(services, collection, GRACE_SECONDS + in_work, dry_run)
    forgotten = registry.upkeep.forget_superseded(key, bytes_grace, dry_run=dry_run)
    used = registry.upkeep.object_keys(key)
    objects = services.objects.sweep(collection.name, used, bytes_grace, dry_run=dry_run)
    return _swept(artifacts, forgotten, objects)


def sweep_deleted(services: Services, name: CollectionName, dry_run: bool = False) -> Swept | None:
    """Remove what a deleted collection has left in the storage.

    None where there is a collection of that name again: it sweeps what was left with its own.
    """
    if services.registry.collections.find(name.key) is not None:
        return None
    artifacts = services.artifacts.sweep(name, GRACE_SECONDS, dry_run=dry_run)
    objects = services.objects.sweep(name, (), BYTES_GRACE_SECONDS, dry_run=dry_run)
    return _swept(artifacts, 0, objects)


def _swept(artifacts: Sequence[Dated], versions: int, objects: Sequence[Dated]) -> Swept:
    return Swept(
        artifacts_removed=len(artifacts),
        artifact_bytes_removed=sum(each.bytes for each in artifacts),
        versions_forgotten=versions,
        objects_removed=len(objects),
        object_bytes_removed=sum(each.bytes for each in objects),
    )


def _sweep_artifacts(
    services: Services, collection: Collection, grace: float, dry_run: bool
) -> list[Dated]:
    """Remove the results that no stage of any document names, and answers about earlier bytes."""
    history = services.settings.history_days * SECONDS_PER_DAY
    recorded = services.registry.upkeep.fingerprints(collection.key)
    ages = services.registry.upkeep.version_ages(collection.key)
    swept: list[Dated] = []
    for document_id in list(services.artifacts.document_ids(collection.name)):
        known = document_id in recorded
        keep = () if document_id == ANSWERS_OF_BUILDS else recorded.get(document_id)
        if known and keep is None:
            continue  # a run works on it
        swept += services.artifacts.sweep_document(
            collection.name,
            document_id,
            keep,
            older_than=grace,
            answers_unused_for=max(history, ages.get(document_id, 0.0)),
            dry_run=dry_run,
        )
    return swept


def compact_collection(services: Services, key: str, dry_run: bool = False) -> Compacted:
    """Compact a collection's tables, and drop those that nobody fills or keeps any more.

    Tables beside the one that is searched, of other embedding models, are compacted too. Readers
    and runs go on meanwhile; a version that a backup reads stays.

    Raises:
        PermanentError: of kind ``not_found`` when there is no such collection.
        TransientError: when the index does not answer, or its writers were faster again and again.
    """
    collection = services.registry.collections.get(key)
    index = services.index(collection)
    before = index.stored()
    dropped = 0
    if dry_run:
        rows = index.snapshot().counts().chunks
    else:
        dropped = tidy(services, collection)
        rows = index.maintain(thorough=True).rows
        for beside in services.registry.generations.beside(key):
            services.index_of(collection, beside.fingerprint).maintain(thorough=True)
    after = index.stored()
    return Compacted(rows, dropped, before.versions, after.versions, before.bytes, after.bytes)


def drop_deleted(
    services: Services, name: CollectionName, dry_run: bool = False
) -> Compacted | None:
    """Drop the tables that a deleted collection has left, and forget it when nothing is left.

    None where there is a collection of that name again: what there is is its own.

    Raises:
        TransientError: when the index does not answer.
    """
    if services.registry.collections.find(name.key) is not None:
        if not dry_run:
            forget_deletion(services, name)
        return None
    address = services.settings.lancedb_address
    before = stored_of(address, name.table)
    dropped = drop_collection(address, name.table, dry_run=dry_run)
    after = stored_of(address, name.table)
    left = services.artifacts.sweep(name, dry_run=True)
    left += services.objects.sweep(name, (), dry_run=True)
    if not (dry_run or left or after.tables):
        forget_deletion(services, name)
    return Compacted(0, dropped, before.versions, after.versions, before.bytes, after.bytes)
