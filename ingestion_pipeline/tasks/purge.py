"""Purging documents: removing for good what is stored of them.

Belongs here: index, artifacts and source bytes, in an order that can be done again after a crash;
the registry forgets a document last. Does not belong here: which documents those are, and which
bytes nothing else uses (``registry``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from ingestion_pipeline.indexing import purge_collection
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.tasks.services import Services


def purge_documents(
    services: Services, name: CollectionName, documents: Mapping[str, Collection[str]]
) -> None:
    """Remove everything that is stored of ``documents`` of one collection.

    ``documents`` has for each id the keys of its source bytes, of all its versions, as far as no
    other document has the same bytes. Purging many at once costs hardly more than purging one: the
    index is rewritten once (see ``purge_collection``, also for what readers notice). To be called
    when the registry lets nobody publish these documents any more; may be repeated.

    Raises:
        PermanentError: of kind ``forbidden_source`` if a key belongs to another collection.
        TransientError: of kind ``unavailable`` if the storage does not answer, or other writers of
            the index came first again and again; what was removed stays removed.
    """
    services.artifacts.delete_map(name)  # it has titles of documents
    for document_id, keys in documents.items():
        services.artifacts.delete_document(name, document_id)
        for key in keys:
            services.objects.delete(name, key)
    purge_collection(services.settings.lancedb_address, name.table, removed=documents)


def purge_deleted(
    services: Services, key: str, document_ids: Sequence[str], strays: Collection[str] = ()
) -> int:
    """Purge those of the documents of a collection that are deleted; return how many.

    One whose rows in the index are still in doubt is left for the next time. ``strays`` go with
    them: documents that are in the index although the registry has forgotten them.

    Raises:
        TransientError: as ``purge_documents`` does; what was removed stays removed.
    """
    registry = services.registry
    ids = list(registry.upkeep.purgeable(key, document_ids))
    if not ids and not strays:
        return 0
    name = registry.collections.get(key).name
    purge_documents(services, name, dict.fromkeys((*ids, *strays), ()))
    # The bytes last, while nobody can ask for them again.
    forgotten = registry.upkeep.forget_deleted(key, ids, partial(services.objects.delete, name))
    # One that was submitted again meanwhile may have lost what a run has published since.
    wanted = registry.documents.find(key, sorted(set(ids) - forgotten))
    registry.publications.doubt(key, [document.document_id for document in wanted])
    return len(forgotten)
