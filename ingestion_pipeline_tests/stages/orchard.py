"""Collections to build trees of, kept in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.indexing.summary_rows import IndexedSummary, Origin, with_chunk_ids
from ingestion_pipeline.model.chunks import Chunk, chunk_id
from ingestion_pipeline.model.collections import RaptorConfig, RaptorScope
from ingestion_pipeline.stages.summarised import TreeInputs, TreeReport, build
from ingestion_pipeline_tests.fakes import POISON, FakeEmbedder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingestion_pipeline.control import Control
    from ingestion_pipeline.embedding import Embedder
    from ingestion_pipeline.indexing import Snapshot
    from ingestion_pipeline.indexing.summaries import SummaryIndex

_WORDS = (
    "harbour ferry winter ice engine keeper lamp tower storm signal rope island pilot chart glass "
    "brass oil tide current anchor sail crew captain fog horn rock shoal channel buoy"
)
WORDS = _WORDS.split()

Documents = Mapping[str, Sequence[str]]
"""The passages of documents, by their ids."""


def passage(number: int) -> str:
    """Return three sentences that no other number has."""
    one, other, third = (WORDS[(number * step) % len(WORDS)] for step in (1, 7, 11))
    return (
        f"The {one} of Station {number} met the {other} in {1800 + number}. "
        f"Nobody had seen a {third} near the {one} before. "
        f"Report {number} says that the {other} was lost."
    )


def chunks_of(document_id: str, texts: Sequence[str]) -> list[Chunk]:
    """Cut a document into one chunk for each text; ``#Heading`` before it stands above it."""
    made = []
    for place, text in enumerate(texts):
        heading, _, said = text.rpartition("#")
        before = texts[:place].count(text)
        made.append(
            Chunk(
                chunk_id(document_id, said, before),
                document_id,
                place,
                said,
                8,
                1000 * place,
                1000 * place + len(said),
                (),
                (heading,) if heading else (),
            )
        )
    return made


class Chunks:
    """A snapshot of what is indexed."""

    def __init__(self, documents: Documents) -> None:
        self._documents = {
            document_id: chunks_of(document_id, texts)
            for document_id, texts in sorted(documents.items())
            if texts
        }

    def document_ids(self) -> list[str]:
        return list(self._documents)

    def document_names(self) -> dict[str, str]:
        return {document_id: f"{document_id}.txt" for document_id in self._documents}

    def leaf_ids(self) -> list[str]:
        return [chunk.chunk_id for chunks in self._documents.values() for chunk in chunks]

    def sources(
        self, document_ids: Sequence[str]
    ) -> Iterator[tuple[str, list[Chunk], NDArray[np.float32]]]:
        for document_id in document_ids:
            if chunks := self._documents.get(document_id):
                texts = [chunk.text.replace(POISON, "fine") for chunk in chunks]
                yield document_id, chunks, FakeEmbedder().encode(texts, NoControl())

    def hits(self, chunk_ids: Sequence[str]) -> dict[str, Any]:
        found = (chunk for chunks in self._documents.values() for chunk in chunks)
        return {chunk.chunk_id: chunk for chunk in found if chunk.chunk_id in chunk_ids}


@dataclass
class Rows:
    """What ``SummaryIndex`` does, with dictionaries."""

    published: dict[str, IndexedSummary] = field(default_factory=dict)
    origin: Origin | None = None
    draft: dict[str, IndexedSummary] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    def publish(
        self,
        summaries: Iterable[IndexedSummary],
        origin: Origin,
        dimension: int,
        before_commit: Callable[[], None],
    ) -> int:
        rows = list(summaries)
        assert all(row.vector.shape == (dimension,) for row in rows)
        before_commit()
        self.published = {row.summary.summary_id: row for row in rows}
        assert len(self.published) == len(rows)
        self.origin = origin
        self.draft = {}
        return len(rows)

    def keep(self, summaries: Sequence[IndexedSummary]) -> None:
        self.kept += [row.summary.summary_id for row in summaries]
        self.draft |= {row.summary.summary_id: row for row in summaries}

    def known(self, document_ids: Collection[str] | None) -> dict[str, IndexedSummary]:
        wanted = {None} if document_ids is None else set(document_ids)
        return {
            summary_id: replace(row, summary=replace(row.summary, chunk_ids=()))
            for summary_id, row in (self.published | self.draft).items()
            if row.summary.document_id in wanted
        }

    def snapshot(self) -> Rows:
        return copy.copy(self)

    def all(self) -> Iterator[IndexedSummary]:
        of_documents = [row for row in self.published.values() if row.summary.document_id]
        yield from with_chunk_ids(of_documents)
        across = (row for row in self.published.values() if not row.summary.document_id)
        yield from (replace(row, summary=replace(row.summary, chunk_ids=())) for row in across)

    def of_document(self, document_id: str) -> list[IndexedSummary]:
        return [row for row in self.all() if row.summary.document_id == document_id]

    def as_bytes(self) -> set[tuple[Any, ...]]:
        """Return all that readers see, in a form that can be compared."""
        return {
            (replace(row.summary, chunk_ids=()), row.vector.tobytes(), row.inputs, row.documents)
            for row in self.published.values()
        }


@dataclass
class Orchard:
    """A collection whose trees are built again and again."""

    rows: Rows = field(default_factory=Rows)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    config: RaptorConfig = field(
        default_factory=lambda: RaptorConfig(scope=RaptorScope.COLLECTION, max_tokens=64)
    )

    def inputs(self, documents: Documents, **changes: Any) -> TreeInputs:
        inputs = TreeInputs(
            snapshot=cast("Snapshot", Chunks(documents)),
            summaries=cast("SummaryIndex", self.rows),
            config=self.config,
            embedder=cast("Embedder", self.embedder),
        )
        return replace(inputs, **changes)

    def build(
        self,
        documents: Documents,
        control: Control | None = None,
        document_ids: Collection[str] | None = None,
        **changes: Any,
    ) -> TreeReport:
        return build(
            self.inputs(documents, **changes),
            control or NoControl(),
            lambda: None,
            document_ids=document_ids,
        )
