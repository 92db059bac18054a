"""One document on its way through the stages, and what the stages need from outside.

Belongs here: the data that is handed from stage to stage. Does not belong here: the stages.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from ingestion_pipeline.control import Control
from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.enrichment import TagModel
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.chunks import Chunk
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

logger = logging.getLogger(__name__)
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
    recipes: Mapping[str, str]
    """The current recipe of each stage, and of each part of one."""
    llm: Callable[[str], ChatModel | None]
    """The language model, if one is configured, with what it said about a document before."""
    describes_pictures: bool
    """Whether the language model can look at pictures."""
    tags: Callable[[str], TagModel | None]
    """What a tagged collection teaches, by its name; None if it is not there."""
    embedded_before: Callable[[Sequence[str]], Mapping[str, tuple[str, str]]]
    """Which document has been embedded with stored bytes, and the fingerprint of that result."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """What a pipeline adds to chunks, by step: its stage *enriched* is made of these parts."""
    asked: frozenset[str] = frozenset()
    """Those of them that give questions."""
    suffixes: tuple[str, ...] = ()
    """The only endings of names that a pipeline takes; none named means all."""

    @property
    def chunk_tokens(self) -> int:
        """The cap on tokens per chunk."""
        return chunk_tokens(self.collection.config, self.embedder)


@dataclass(frozen=True)
class Material:
    """What a part of the stage *enriched* works with."""

    document: Document
    parsed: ParsedDocument
    chunks: Sequence[Chunk]
    llm: ChatModel | None
    tags: Callable[[str], TagModel | None]
    control: Control


Part = Callable[[Material], Enrichment]
"""Adds something to the chunks of a document."""


@dataclass(frozen=True)
class Step:
    """What one stage did for one document."""

    computed: bool
    seconds: float


@dataclass
class Work:
    """One document of a batch, and what the stages made of it so far."""

    document: Document
    recipes: Mapping[str, str]
    result: DocumentResult
    task_ids: tuple[str, ...] = ()
    """The tasks that wait for it, for log lines."""
    steps: dict[str, Step] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    parsed: ParsedDocument | None = None
    """Without its elements once later stages need them no more."""
    characters: int = 0
    """Of its text."""
    chunks: StoredChunks | None = None
    enrichment: Enrichment | None = None
    vectors: StoredVectors | None = None
    embedded_by: str | None = None
    """What ran the model, and in which arithmetic, if its vectors were computed now."""
    embedded_chunks: int = 0
    """That the model read for that."""
    embedded_tokens: int = 0
    """In these."""
    redo: str | None = None
    """The only step that is done again by force; None means all."""
    withdrawn: bool = False
    """Whether nobody wants it any more; what was made of it is then not recorded."""
    waits_for: Stage | None = None
    """The upstream stage that must be brought up to date first, when it is not selected."""

    @property
    def chunks_read_before(self) -> int:
        """Those of its chunks that the model did not read now, as it had done so before."""
        return (self.result.chunks or 0) - self.embedded_chunks

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

    def is_recorded(self, stage: str) -> bool:
        """Whether the registry knows this very result of a stage."""
        return self.document.stages.get(stage) == self.fingerprints[stage]

    def is_forced(self, stage: str) -> bool:
        """Whether a step is done again although its result is stored."""
        wanted = self.redo in (None, stage) or (
            self.redo == Stage.INDEXED and stage == Stage.ENRICHED  # which it puts together first
        )
        return self.document.force and wanted and stage not in self.document.fresh

    def done(self, stage: str) -> None:
        """Note that the result of a stage is stored."""
        self.result.stages[stage] = StageResult(self.recipes[stage], self.fingerprints[stage])

    def memoised(
        self,
        stage: str,
        load: Callable[[], T | None],
        compute: Callable[[], T],
        store: Callable[[T], None] | None = None,
    ) -> T:
        """Return the stored result of a step, or compute and store it; a forced one is computed.

        Without ``store`` it is stored as it is computed.
        """
        with self.timed(stage) as timer:
            forced = self.is_forced(stage)
            value = None if forced else load()
            timer.computed = value is None
            if value is None and not forced and self.is_recorded(stage):
                logger.info("%s: no result of %s is stored any more", self.document.name, stage)
            if value is None:
                value = compute()
                if store is not None:
                    store(value)
        self.done(stage)
        return value

    @contextmanager
    def timed(self, stage: str) -> Iterator[Timer]:
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
