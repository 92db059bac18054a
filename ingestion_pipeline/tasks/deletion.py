"""Deleting: documents, and collections with everything that is stored for them.

Belongs here: finishing what accepting a delete task began. Does not belong here: marking documents
as deleted (``registry.acceptance``) or removing their rows (``doubts``).

Making documents invisible is quick. Purging them rewrites an index, which may take a minute: that
is for whoever asked (``finish_purges``, in the process of a client) or for a run of its own, never
for a sensor.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.indexing import drop_collection
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import Task
from ingestion_pipeline.tasks.doubts import settle_doubts
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.purge import purge_deleted
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

CLIENT_SECONDS = 60.0
"""How long a purge is left to the client that asked for it; one that died did not do it."""
_DELETED = "deleted"
"""Where marks are kept of collections that were deleted, ``deleted/{tenant}/{collection}``."""


def apply_deletions(services: Services) -> None:
    """Make deleted documents invisible now, and end the tasks that asked for no more than that."""
    if services.registry.tasks.deletions():
        settle_doubts(services)
        finish_deletions(services)


def finish_deletions(services: Services) -> None:
    """End the delete tasks of whose documents nothing is left in the index, nor to be purged."""
    to_purge = {task.task_id for task, _ in _purges(services)}
    for task in services.registry.tasks.deletions():
        if task.task_id not in to_purge:
            tell(services.events, services.registry.tasks.finish_deletion(task.task_id))


def purges_wait(services: Services) -> bool:
    """Whether there is something to purge that whoever asked for it did not."""
    return any(time.time() - task.created_at > CLIENT_SECONDS for task, _ in _purges(services))


def finish_purges(services: Services) -> int:
    """Purge what delete tasks ask to be purged, and end them; return how many documents.

    Each index is rewritten once. Where it is too busy for that, the tasks stay open for the next
    time.
    """
    wanted: dict[str, list[str]] = {}
    for task, document_ids in _purges(services):
        wanted.setdefault(_key(task), []).extend(document_ids)
    purged = 0
    for key, document_ids in wanted.items():
        try:
            purged += purge_deleted(services, key, document_ids)
        except TransientError as error:
            logger.warning("%s is purged later: %s", key, error)
    finish_deletions(services)
    return purged


def _purges(services: Services) -> Iterator[tuple[Task, list[str]]]:
    """Yield the delete tasks that ask for a purge, with the documents that are ready for it."""
    for task in services.registry.tasks.deletions():
        if task.options.get("purge"):
            documents = services.registry.tasks.documents_of(task.task_id)
            if ready := services.registry.upkeep.purgeable(_key(task), documents):
                yield task, list(ready)


def _key(task: Task) -> str:
    return CollectionName(task.tenant, task.collection).key


def delete_collection(services: Services, name: CollectionName) -> None:
    """Delete documents, index, objects and artifacts of a collection; its tasks stay on record.

    A mark is left of it, by which the night finds what is left over where this is killed, or what
    a run that nobody counts on any more stores afterwards.

    Raises:
        PermanentError: of kind ``not_found`` when there is no such collection.
        TransientError: of kind ``unavailable`` while a run works on it.
    """
    collection = services.registry.collections.get(name.key)
    registry = services.registry
    if registry.claims.live_runs().get(collection.key) or registry.builds.at_work(collection.key):
        raise TransientError(
            ErrorKind.UNAVAILABLE,
            f"a run works on collection {name.key!r}: try again when it has ended",
        )
    services.store.put(_mark(name), b"")
    # The registry first: what is left over after a crash belongs to nobody and is found by nobody,
    # unless a new collection takes its name before the night.
    tell(services.events, services.registry.collections.delete(collection.name))
    drop_collection(services.settings.lancedb_address, name.table)
    services.artifacts.delete_map(name)
    for kind in ("objects", "artifacts"):
        for key in list(services.store.keys(f"{kind}/{name.tenant}/{name.name}")):
            services.store.delete(key)


def deleted_collections(services: Services, seconds: float) -> list[CollectionName]:
    """Return the collections whose deletion began so long ago, and that were not forgotten.

    One of that name may be there again.
    """
    latest = time.time() - seconds
    marks = [each.key for each in services.store.dated(_DELETED) if each.modified <= latest]
    return [CollectionName(*mark.split("/")[1:]) for mark in sorted(marks)]


def forget_deletion(services: Services, name: CollectionName) -> None:
    """Remove the mark of a deleted collection."""
    services.store.delete(_mark(name))


def _mark(name: CollectionName) -> str:
    return f"{_DELETED}/{name.tenant}/{name.name}"
