"""Looking at the tree of a collection as it is: what checks tell.

Belongs here: comparing summaries with the chunks that are visible. Does not belong here: building
them (``stages.summarised``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ingestion_pipeline.indexing import Snapshot, SummaryIndex, SummarySnapshot
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.summaries import Summary
from ingestion_pipeline.raptor import doubts, leaves_hash
from ingestion_pipeline.tasks.services import Services

LISTED = 20
"""How many chunks a report names one by one."""


@dataclass(frozen=True)
class TreeReport:
    """A tree beside the chunks that it should be of."""

    built: bool
    summaries: int
    uncovered: tuple[str, ...]
    """Chunks under no summary, of documents that have enough for a tree."""
    dangling: tuple[str, ...]
    """Chunks that are cited and are not there, or not as long as the citation says."""


def look_at_tree(services: Services, collection_key: str) -> TreeReport:
    """Compare the summaries of a collection with its chunks."""
    snapshot, tree = _opened(services, collection_key)
    if tree.empty:
        return TreeReport(False, 0, (), ())
    spans_documents = any(indexed.summary.document_id is None for indexed in tree.all())
    found = doubts(_summaries(tree), _chunks(snapshot), every=spans_documents)
    dangling = dict.fromkeys(citation.chunk_id for citation in found.dangling)
    return TreeReport(True, tree.count(), found.uncovered, tuple(dangling))


def tree_is_current(services: Services, collection_key: str) -> tuple[bool, str]:
    """Say whether the tree is of the chunks that are visible now, and in words."""
    inputs = services.tree_inputs(services.registry.collections.get(collection_key))
    origin = inputs.summaries.snapshot().origin
    if origin is None:
        return True, "no tree was built"
    if origin.leaves != leaves_hash(inputs.snapshot.leaf_ids()):
        return (
            False,
            "chunks have changed since the tree was built: `ingest build raptor` renews it",
        )
    if origin.recipe != inputs.recipe:
        return False, "it is to be built in another way now: `ingest build raptor` renews it"
    return True, "the tree is of the chunks that are visible now"


def _opened(services: Services, collection_key: str) -> tuple[Snapshot, SummarySnapshot]:
    index = services.index(services.registry.collections.get(collection_key))
    return index.snapshot(), SummaryIndex(index).snapshot()


def _summaries(tree: SummarySnapshot) -> Iterator[Summary]:
    for indexed in tree.all():
        summary = indexed.summary
        # Above documents, only the chunks that are there because they have no summary count.
        yield summary if summary.chunk_ids else replace(summary, chunk_ids=summary.children)


def _chunks(snapshot: Snapshot) -> Iterator[Chunk]:
    for _, chunks, _ in snapshot.sources(snapshot.document_ids()):
        yield from chunks
