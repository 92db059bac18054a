"""Comparing index and registry where they may differ, and repairing what does.

Belongs here: documents whose publication was announced and not recorded, and those that were
deleted. What was not published, or was deleted, is removed from the index; what is there in another
version than was recorded is published again by a run. Does not belong here: when to look
(``reconciliation``, and whoever has just left a doubt).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ingestion_pipeline.errors import ErrorKind, LeaseLostError, PermanentError, TransientError
from ingestion_pipeline.indexing import CollectionIndex, IndexedVersion
from ingestion_pipeline.registry.publications import Doubts
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)


@dataclass
class Settled:
    """What a look at doubtful documents found."""

    looked_at: int = 0
    removed: int = 0
    to_republish: int = 0


@dataclass(frozen=True)
class Repair:
    """What has to be done about documents in which index and registry differ."""

    agreeing: tuple[str, ...]
    remove: tuple[str, ...]
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


def repair(
    document_ids: Sequence[str],
    indexed: Sequence[IndexedVersion],
    published: dict[str, tuple[str, int]],
) -> Repair:
    """Decide what to do, given what the index holds and what was recorded as published."""
    by_document: dict[str, list[IndexedVersion]] = {}
    for version in indexed:
        by_document.setdefault(version.document_id, []).append(version)
    agreeing: list[str] = []
    remove: list[str] = []
    republish: list[str] = []
    for document_id in document_ids:
        there = [(each.version, each.chunks) for each in by_document.get(document_id, [])]
        recorded = published.get(document_id)
        if recorded is None:
            (remove if there else agreeing).append(document_id)
        elif there == [recorded] or (not there and recorded[1] == 0):
            agreeing.append(document_id)
        else:
            republish.append(document_id)
    return Repair(tuple(agreeing), tuple(remove), tuple(republish))


def _settle_collection(services: Services, key: str, settled: Settled) -> None:
    publications = services.registry.publications
    try:
        index = services.index(services.registry.collections.get(key))
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
        found = _compare(services, index, doubts)
        if found.remove:
            # Announced like a publication: it too may come late, after one of a successor.
            announce = partial(_announce, services, doubts, found.remove)
            index.publish((), removed=found.remove, before_commit=announce)
        publications.settle(doubts, (*found.agreeing, *found.remove), found.republish)
    except LeaseLostError:
        return
    finally:
        publications.returned(doubts.claim_id)
        services.registry.claims.release(doubts.claim_id)
    settled.looked_at += len(doubts.document_ids)
    settled.removed += len(found.remove)
    settled.to_republish += len(found.republish)
    if found.remove or found.republish:
        logger.info(
            "%s: %d documents removed from the index, %d to be published again",
            key,
            len(found.remove),
            len(found.republish),
        )


def _announce(services: Services, doubts: Doubts, removed: Sequence[str]) -> None:
    if services.registry.publications.announce(doubts.claim_id, removed) != set(removed):
        raise LeaseLostError("some of the documents were taken back")


def _compare(services: Services, index: CollectionIndex, doubts: Doubts) -> Repair:
    indexed = index.snapshot().document_versions(doubts.document_ids)
    published = services.registry.documents.published(
        doubts.collection_key, index.name, doubts.document_ids
    )
    return repair(doubts.document_ids, indexed, published)
