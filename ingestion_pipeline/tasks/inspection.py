"""Looking at a collection as it is: what checks and status reports tell.

Belongs here: comparisons between index and registry, without any repair.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ingestion_pipeline.indexing import CollectionIndex, IndexedVersion
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import Document, DocumentState
from ingestion_pipeline.registry.generations import Generation
from ingestion_pipeline.tasks.services import Services

LISTED = 50
"""How many documents a report names one by one."""
SETTLE_ATTEMPTS = 5
SETTLE_SECONDS = 0.5
"""Between index commit and registry commit the two differ for a moment; then it is looked again."""


@dataclass(frozen=True)
class Unindexed:
    """Documents that readers cannot find in their newest version."""

    total: int
    documents: tuple[Document, ...]
    """Failed ones first."""

    @property
    def summary(self) -> str:
        """Say it in one line."""
        if not self.documents:
            return f"all {self.total} documents are indexed"
        failed = sum(document.state is DocumentState.FAILED for document in self.documents)
        waiting = len(self.documents) - failed
        return f"of {self.total} documents {failed} failed and {waiting} are not done"


@dataclass(frozen=True)
class LongestChunk:
    """The longest chunk of an index, and the longest that its model reads, in tokens."""

    longest: int
    limit: int


@dataclass(frozen=True)
class Comparison:
    """What the index holds, and in what it differs from the registry."""

    documents: int
    chunks: int
    differences: tuple[str, ...]
    differing: tuple[str, ...] = ()
    """The documents of which the differences tell, in the same order."""


@dataclass(frozen=True)
class DeletedDocuments:
    """The deleted documents that are not purged yet, and those that readers still find."""

    total: int
    visible: tuple[str, ...]


def unindexed_documents(services: Services, collection_key: str) -> Unindexed:
    """Return which documents of a collection are not indexed."""
    documents = services.registry.documents.find(collection_key)
    live = [document for document in documents if document.state is not DocumentState.DELETED]
    missing = [document for document in live if document.state is not DocumentState.INDEXED]
    missing.sort(key=lambda document: (document.state is not DocumentState.FAILED, document.name))
    return Unindexed(len(live), tuple(missing))


def longest_chunk(services: Services, collection_key: str) -> LongestChunk:
    """Return the longest chunk of a collection's index beside the model's limit."""
    collection = services.registry.collections.get(collection_key)
    longest = services.index(collection).snapshot().largest_tokens()
    return LongestChunk(longest, services.embedder(collection).max_tokens)


def compare_index_with_registry(services: Services, collection_key: str) -> Comparison:
    """Compare the index with what the registry says was published, document by document.

    A difference counts only if it stays: a publication under way shows in the index first.
    """
    collection = services.registry.collections.get(collection_key)
    for _ in range(SETTLE_ATTEMPTS):
        comparison = _compare(services, collection)
        if not comparison.differences:
            break
        time.sleep(SETTLE_SECONDS)
    return comparison


def differences(
    services: Services,
    index: CollectionIndex,
    generation: Generation,
    document_ids: Sequence[str] | None = None,
) -> list[str]:
    """Return the documents of which a table holds something else than was published to it."""
    there: dict[str, list[tuple[str, int]]] = {}
    for each in index.snapshot().document_versions(document_ids):
        there.setdefault(each.document_id, []).append((each.version, each.chunks))
    recorded = services.registry.generations.copies(generation, document_ids)
    return [
        document_id
        for document_id in sorted({*there, *recorded})
        if there.get(document_id, [])
        != ([recorded[document_id]] if recorded.get(document_id, ("", 0))[1] else [])
    ]


def deleted_documents(services: Services, collection_key: str) -> DeletedDocuments:
    """Return which deleted documents of a collection readers still find.

    One whose rows are being removed just now does not count, unless that has ended meanwhile.
    """
    collection = services.registry.collections.get(collection_key)
    for _ in range(SETTLE_ATTEMPTS):
        found = _deleted(services, collection)
        if not found.visible:
            break
        time.sleep(SETTLE_SECONDS)
    return found


def _deleted(services: Services, collection: Collection) -> DeletedDocuments:
    # In this order: what is not in doubt any more was removed before the index is looked at.
    deleted = set(services.registry.upkeep.deleted(collection.key, older_than=0))
    removed = deleted - services.registry.upkeep.doubtful(collection.key)
    if not removed:
        return DeletedDocuments(len(deleted), ())
    indexed = services.index(collection).snapshot().document_versions()
    visible = {version.document_id for version in indexed} & removed
    return DeletedDocuments(len(deleted), tuple(sorted(visible)))


def _compare(services: Services, collection: Collection) -> Comparison:
    index = services.index(collection)
    indexed = index.snapshot().document_versions()
    published = services.registry.documents.published(collection.key, index.name)
    by_document: dict[str, list[IndexedVersion]] = {}
    for version in indexed:
        by_document.setdefault(version.document_id, []).append(version)
    looked_at = {
        document_id: _difference(
            document_id, by_document.get(document_id, []), published.get(document_id)
        )
        for document_id in sorted(by_document.keys() | published.keys())
    }
    differences = {document_id: told for document_id, told in looked_at.items() if told}
    return Comparison(
        documents=len(by_document),
        chunks=sum(version.chunks for version in indexed),
        differences=tuple(differences.values()),
        differing=tuple(differences),
    )


def _difference(
    document_id: str, indexed: list[IndexedVersion], published: tuple[str, int] | None
) -> str | None:
    if published is None:
        return f"{document_id} is in the index but was not published"
    version, chunks = published
    if not indexed:
        if chunks == 0:  # a person had a document without text go on
            return None
        return f"{document_id} was published but is not in the index"
    if len(indexed) > 1:
        return f"{document_id} is in the index {len(indexed)} times"
    if indexed[0].version != version:
        return f"{document_id} is in the index in another version than was published"
    if indexed[0].chunks != chunks:
        return f"{document_id} has {indexed[0].chunks} chunks in the index, {chunks} were published"
    return None
