"""Comparing index and registry where they may differ, and repairing what does.

Belongs here: documents whose publication was announced and not recorded, and those that were
deleted. What was not published, or was deleted, is removed from the index; what is there in another
version than was recorded is published again by a run, or, where that would take what is wanted now
and is broken, recorded as it is: a reader always finds some version. Does not belong here: when to
look (``reconciliation``, and whoever has just left a doubt).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ingestion_pipeline.errors import ErrorKind, LeaseLostError, PermanentError, TransientError
from ingestion_pipeline.indexing import CollectionIndex, IndexedVersion, SummaryIndex
from ingestion_pipeline.indexing.graphs import GraphIndex
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import Document, Stage
from ingestion_pipeline.registry.publications import Adopted, Doubts
from ingestion_pipeline.stages.recipes import fingerprints
from ingestion_pipeline.tasks.inspection import compare_index_with_registry, differences
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)


@dataclass
class Settled:
    """What a look at doubtful documents found."""

    looked_at: int = 0
    removed: int = 0
    adopted: int = 0
    to_republish: int = 0


@dataclass(frozen=True)
class Repair:
    """What has to be done about documents in which index and registry differ."""

    agreeing: tuple[str, ...]
    remove: tuple[str, ...]
    adopt: tuple[IndexedVersion, ...]
    """To be recorded as they are in the index."""
    republish: tuple[str, ...]


def settle_doubts(services: Services) -> Settled:
    """Compare and repair every doubtful document that nobody works on.

    What an index does not let do now is left for the next time, and keeps no other collection back.
    """
    settled = Settled()
    for key in services.registry.publications.doubtful_collections():
        try:
            _settle_collection(services, key, settled)
        except TransientError as error:
            logger.warning("the index of %s is compared later: %s", key, error)
    return settled


def doubt_differences(services: Services, key: str) -> tuple[Sequence[str], set[str]]:
    """Compare a collection's index with the registry, and put in doubt what differs.

    Returns all documents that differ, and of them the strays: those that the registry forgot when
    they were purged, and a late publisher brought back. Nobody can put these in doubt.

    Raises:
        PermanentError: of kind ``not_found`` when there is no such collection.
        TransientError: when index or registry do not answer.
    """
    differing = compare_index_with_registry(services, key).differing
    known = {each.document_id for each in services.registry.documents.find(key, differing)}
    services.registry.publications.doubt(key, sorted(known))
    return differing, set(differing) - known


def repair(
    document_ids: Sequence[str],
    indexed: Sequence[IndexedVersion],
    published: Mapping[str, tuple[str, int]],
    wanted: Mapping[str, str | None],
) -> Repair:
    """Decide what to do, given what the index holds, what was recorded, and what is wanted now.

    ``published`` has version and number of chunks of each recorded document, ``wanted`` the version
    that a run would publish.
    """
    by_document: dict[str, list[IndexedVersion]] = {}
    for version in indexed:
        by_document.setdefault(version.document_id, []).append(version)
    agreeing: list[str] = []
    remove: list[str] = []
    adopt: list[IndexedVersion] = []
    republish: list[str] = []
    for document_id in document_ids:
        there = by_document.get(document_id, [])
        recorded = published.get(document_id)
        expected = [recorded] if recorded and recorded[1] else []  # without chunks there is nothing
        if [(each.version, each.chunks) for each in there] == expected:
            agreeing.append(document_id)
        elif recorded is None:
            remove.append(document_id)
        elif len(there) == 1 and wanted.get(document_id) != recorded[0]:
            adopt.append(there[0])
        else:
            republish.append(document_id)
    return Repair(tuple(agreeing), tuple(remove), tuple(adopt), tuple(republish))


def _settle_collection(services: Services, key: str, settled: Settled) -> None:
    publications = services.registry.publications
    try:
        collection = services.registry.collections.get(key)
        index = services.index(collection)
    except PermanentError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            logger.warning("the index of %s cannot be compared: %s", key, error)
        return
    run_id = f"settle-{uuid.uuid4().hex[:12]}"
    lease_seconds = services.settings.lease_seconds
    doubts = publications.hold_doubtful(key, run_id, lease_seconds)
    if doubts is None:
        return
    try:
        held = services.registry.documents.find(key, doubts.document_ids)
        _settle_beside(services, collection, doubts)  # first: nobody shall find again what is gone
        found = _compare(services, index, doubts, held)
        if found.remove:
            # Announced like a publication: it too may come late, after one of a successor.
            announce = partial(_announce, services, doubts, found.remove)
            index.publish((), removed=found.remove, before_commit=announce)
            SummaryIndex(index).remove(found.remove)
            GraphIndex(index).remove(found.remove)
            services.artifacts.delete_map(collection.name)
        publications.settle(
            doubts,
            agreeing=(*found.agreeing, *found.remove),
            adopt=_adopted(services, collection, held, found.adopt),
            republish=found.republish,
        )
    except LeaseLostError:
        return
    finally:
        publications.returned(doubts.claim_id)
        services.registry.claims.release(doubts.claim_id)
    settled.looked_at += len(doubts.document_ids)
    settled.removed += len(found.remove)
    settled.adopted += len(found.adopt)
    settled.to_republish += len(found.republish)
    if found.remove or found.adopt or found.republish:
        logger.info(
            "%s: %d documents removed from the index, %d recorded as they are there, "
            "%d to be published again",
            key,
            len(found.remove),
            len(found.adopt),
            len(found.republish),
        )


def _settle_beside(services: Services, collection: Collection, doubts: Doubts) -> None:
    """Remove doubtful documents from the tables beside the one that is searched."""
    generations = services.registry.generations
    for generation in generations.beside(doubts.collection_key):
        index = services.index_of(collection, generation.fingerprint)
        wrong = differences(services, index, generation, doubts.document_ids)
        if wrong:
            generations.forget(generation, wrong)
            announce = partial(_announce, services, doubts, wrong)
            index.publish((), removed=wrong, before_commit=announce)


def _announce(services: Services, doubts: Doubts, removed: Sequence[str]) -> None:
    if services.registry.publications.announce(doubts.claim_id, removed) != set(removed):
        raise LeaseLostError("some of the documents were taken back")


def _compare(
    services: Services, index: CollectionIndex, doubts: Doubts, held: Sequence[Document]
) -> Repair:
    indexed = index.snapshot().document_versions(doubts.document_ids)
    published = services.registry.documents.published(
        doubts.collection_key, index.name, doubts.document_ids
    )
    wanted = {document.document_id: document.sha256 for document in held}
    return repair(doubts.document_ids, indexed, published, wanted)


def _adopted(
    services: Services,
    collection: Collection,
    held: Sequence[Document],
    versions: Sequence[IndexedVersion],
) -> dict[str, Adopted]:
    documents = {document.document_id: document for document in held}
    adopted = {}
    for each in versions:
        document = documents[each.document_id]
        recipes = services.way(collection, document.pipeline).recipes
        adopted[each.document_id] = Adopted(
            each.version,
            each.chunks,
            recipes[Stage.INDEXED],
            fingerprints(document, each.version, recipes)[Stage.INDEXED],
        )
    return adopted
