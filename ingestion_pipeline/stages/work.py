"""One document on its way through the stages, and what the stages need from outside.

Belongs here: the data that is handed from stage to stage. Does not belong here: the stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.enrichment import TagModel
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import Document, Stage
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.model.enrichment import Enrichment
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.registry.results import DocumentResult
from ingestion_pipeline.registry.stage_records import StageResult
from ingestion_pipeline.stages.recipes import chunk_tokens, fingerprints
from ingestion_pipeline.storage.artifacts import ArtifactStore
from ingestion_pipeline.storage.objects import SourceObjects
from ingestion_pipeline.storage.parts import StoredChunks, StoredVectors
from ingestion_pipeline.storage.sources import SourcePolicy

T = TypeVar("T")


@dataclass(frozen=True)
class Tools:
    """What the stages of one collection work with."""

    collection: Collection
    objects: SourceObjects
    artifacts: ArtifactStore
    parsers: ParserPool
    embedder: Embedder
    index: CollectionIndex
    sources: SourcePolicy
    parallel: int
    """Documents prepared at the same time."""
    password: Callable[[str], str | None]
    """What a person answered for a document, by its id."""
    recipes: dict[Stage, str]
    """The current recipe of each stage."""
    llm: Callable[[str], ChatModel | None]
    """The language model, if one is configured, with what it said about a document before."""
    describes_pictures: bool
    """Whether the language model can look at pictures."""
    tags: TagModel | None
    """What the tagged collection teaches, if the configuration names one."""

    @property
    def chunk_tokens(self) -> int:
        """The cap on tokens per chunk."""
        return chunk_tokens(self.collection.config, self.embedder)


@dataclass(frozen=True)
class Step:
    """What one stage did for one document."""

    computed: bool
    seconds: float


@dataclass
class Work:
    """One document of a batch, and what the stages made of it so far."""

    document: Document
    recipes: dict[Stage, str]
    result: DocumentResult
    task_ids: tuple[str, ...] = ()
    """The tasks that wait for it, for log lines."""
    steps: dict[Stage, Step] = field(default_factory=dict)
    fingerprints: dict[Stage, str] = field(default_factory=dict)
    parsed: ParsedDocument | None = None
    """Without its elements once later stages need them no more."""
    characters: int = 0
    """Of its text."""
    chunks: StoredChunks | None = None
    enrichment: Enrichment | None = None
    vectors: StoredVectors | None = None
    withdrawn: bool = False
    """Whether nobody wants it any more; what was made of it is then not recorded."""
    waits_for: Stage | None = None
    """The upstream stage that must be brought up to date first, when it is not selected."""

    @property
    def version(self) -> str:
        """The sha256 of the bytes at hand."""
        if self.result.version is None:
            raise RuntimeError("a document has no version before it is sourced")
        return self.result.version

    def has_version(self, version: str) -> None:
        """Settle which version of the document this is about, and with it all fingerprints."""
        self.result.version = version
        self.fingerprints = fingerprints(self.document, version, self.recipes)

    def is_recorded(self, stage: Stage) -> bool:
        """Whether the registry knows this very result of a stage."""
        return self.document.stages.get(stage) == self.fingerprints[stage]

    def done(self, stage: Stage) -> None:
        """Note that the result of a stage is stored."""
        self.result.stages[stage] = StageResult(self.recipes[stage], self.fingerprints[stage])

    def memoised(
        self,
        stage: Stage,
        load: Callable[[], T | None],
        compute: Callable[[], T],
        store: Callable[[T], None] | None = None,
    ) -> T:
        """Return a stage's stored result, or compute and store it; a forced one is computed.

        Without ``store`` it is stored as it is computed.
        """
        with self.timed(stage) as timer:
            value = None if self.document.force else load()
            timer.computed = value is None
            if value is None:
                value = compute()
                if store is not None:
                    store(value)
        self.done(stage)
        return value

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[Timer]:
        """Time a stage, also when it fails."""
        timer = Timer()
        began = time.perf_counter()
        try:
            yield timer
        finally:
            self.steps[stage] = Step(timer.computed, time.perf_counter() - began)


@dataclass
class Timer:
    """Says of a timed stage whether it computed something or used a stored result."""

    computed: bool = True
