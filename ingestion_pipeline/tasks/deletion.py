"""Deleting a collection with everything that is stored for it."""

from __future__ import annotations

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.indexing import drop_collection
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.services import Services


def delete_collection(services: Services, name: CollectionName) -> None:
    """Delete documents, index, objects and artifacts of a collection; its tasks stay on record.

    Raises:
        PermanentError: of kind ``not_found`` when there is no such collection.
        TransientError: of kind ``unavailable`` while a run works on it.
    """
    collection = services.registry.collections.get(name.key)
    if services.registry.claims.live_runs().get(collection.key):
        raise TransientError(
            ErrorKind.UNAVAILABLE,
            f"a run works on collection {name.key!r}: try again when it has ended",
        )
    # The registry first: what is left over after a crash belongs to nobody and is found by nobody.
    tell(services.events, services.registry.collections.delete(collection.name))
    drop_collection(services.settings.lancedb_address, name.table)
    for kind in ("objects", "artifacts"):
        for key in list(services.store.keys(f"{kind}/{name.tenant}/{name.name}")):
            services.store.delete(key)
