"""Maintenance: removing what nobody needs any more, and looking whether index and registry agree.

Belongs here: what is done to each collection every night. Each part may be done again, and be
killed at any moment; what it removes is named by nothing. Does not belong here: everyday upkeep of
an index (a run's end), repairs (``doubts``), Dagster's own records (``execution.housekeeping``).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.tasks.doubts import doubt_differences
from ingestion_pipeline.tasks.generations import tidy
from ingestion_pipeline.tasks.purge import purge_deleted
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

GRACE_SECONDS = 3600.0
"""How long a document is deleted before it is purged, and an artifact stored before it is swept."""
BYTES_GRACE_SECONDS = 24 * 3600.0
"""The same for source bytes: a message that names them may wait in a stream for its reader."""


@dataclass(frozen=True)
class Maintained:
    """What maintenance did for a collection."""

    key: str
    documents_purged: int = 0
    differences: int = 0
    """Documents in which index and registry differed; they are repaired within seconds."""
    artifacts_removed: int = 0
    versions_forgotten: int = 0
    objects_removed: int = 0
    index_rows: int = 0
    index_bytes: int = 0
    problem: str | None = None
    """Why it was given up; the next night does the rest."""


def maintain(services: Services) -> list[Maintained]:
    """Maintain one collection after the other; one that cannot be does not keep the others back."""
    done: list[Maintained] = []
    for collection in services.registry.collections.all():
        try:
            done.append(maintain_collection(services, collection.key))
        except IngestError as error:
            done.append(Maintained(collection.key, problem=error.message))
        except Exception as error:
            logger.exception("maintenance of %s failed", collection.key)
            done.append(Maintained(collection.key, problem=f"unexpected: {type(error).__name__}"))
    return done


def maintain_collection(services: Services, key: str) -> Maintained:
    """Purge, sweep, compact and compare a collection.

    Readers and runs go on meanwhile.

    Raises:
        PermanentError: of kind ``not_found`` when there is no such collection.
        TransientError: when storage, index or registry do not answer, or writers of the index were
            faster again and again.
    """
    collection = services.registry.collections.get(key)
    # What a run stored stays until it is recorded, however long the run takes.
    in_work = services.registry.upkeep.oldest_claim_seconds(key)
    bytes_grace = BYTES_GRACE_SECONDS + in_work
    differing, strays = doubt_differences(services, key)
    deleted = services.registry.upkeep.deleted(key, GRACE_SECONDS)
    purged = purge_deleted(services, key, deleted, strays)
    artifacts = _sweep_artifacts(services, collection, GRACE_SECONDS + in_work)
    forgotten = services.registry.upkeep.forget_superseded(key, bytes_grace)
    objects = _sweep_objects(services, collection, bytes_grace)
    tidy(services, collection)
    index = services.index(collection).maintain(thorough=True)
    return Maintained(
        key=key,
        documents_purged=purged,
        differences=len(differing),
        artifacts_removed=artifacts,
        versions_forgotten=forgotten,
        objects_removed=objects,
        index_rows=index.rows,
        index_bytes=index.bytes,
    )


def _sweep_artifacts(services: Services, collection: Collection, grace: float) -> int:
    """Remove the results that no stage of any document names."""
    recorded = services.registry.upkeep.fingerprints(collection.key)
    removed = 0
    for document_id in list(services.artifacts.document_ids(collection.name)):
        keep = recorded.get(document_id, set())
        if keep is not None:
            removed += services.artifacts.sweep_document(
                collection.name, document_id, keep, older_than=grace
            )
    return removed


def _sweep_objects(services: Services, collection: Collection, grace: float) -> int:
    """Remove the bytes that no version of any document names."""
    used = services.registry.upkeep.object_keys(collection.key)
    removed = 0
    # Each goes as soon as its age was seen: one that is stored again meanwhile is young.
    for key in services.objects.keys(collection.name, older_than=grace):
        if key not in used:
            services.objects.delete(collection.name, key)
            removed += 1
    return removed
