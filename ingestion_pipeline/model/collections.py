"""Collections (knowledge bases), their names and their typed configuration.

Belongs here: naming rules, configuration and its validation. Does not belong here: where
collections are stored (``registry``).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.graph import EntityType, ExtractionMethod
from ingestion_pipeline.model.times import Cron, TimeZone

DEFAULT_TENANT = "default"
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


class ParserKind(StrEnum):
    """What kind of document something is: which structure is looked for (the first seed's keys)."""

    AUTO = "auto"
    """By format: slides are presentations, images pictures, mails mails, all else general."""
    GENERAL = "general"
    PAPER = "paper"
    BOOK = "book"
    LAWS = "laws"
    MANUAL = "manual"
    QA = "qa"
    TABLE = "table"
    TAG = "tag"
    PRESENTATION = "presentation"
    PICTURE = "picture"
    EMAIL = "email"
    RESUME = "resume"
    AUDIO = "audio"
    ONE = "one"


class Partitioner(StrEnum):
    """Who reads the formats that several can read."""

    NATIVE = "native"
    """Our own parsers: faster, and they find more structure."""
    UNSTRUCTURED = "unstructured"
    """The library of that name, with its elements, for what it reads offline; needs the extra
    ``unstructured``. PDFs and all other formats are read by our own parsers."""


class ChunkStrategy(StrEnum):
    """How a document is cut into chunks."""

    GENERAL = "general"
    PARENT_CHILD = "parent_child"
    BY_TITLE = "by_title"
    BY_PAGE = "by_page"
    SEMANTIC = "semantic"
    ROWS = "rows"
    QA = "qa"
    HIERARCHY = "hierarchy"
    """What is under one heading, down to a depth, stays together."""
    ONE = "one"


class EnrichmentConfig(BaseModel):
    """What is added to chunks; nothing by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keywords: Annotated[int, Field(ge=0, le=30)] = 0
    """Keywords per chunk."""
    questions: Annotated[int, Field(ge=0, le=10)] = 0
    """Questions per chunk that it answers; needs the configured LLM."""
    tags: Annotated[str, Field(max_length=63)] | None = None
    """The collection (of the same tenant) whose tagged chunks teach the tags; None: no tags."""
    metadata: dict[str, str] | None = None
    """A field and what to put there, for each; needs the configured LLM."""
    toc: bool = False
    """Whether to make a table of contents of each document."""


class RaptorScope(StrEnum):
    """What a tree of summaries spans."""

    DOCUMENT = "document"
    COLLECTION = "collection"
    """Trees of documents, and above them summaries across documents."""


class RaptorMethod(StrEnum):
    """How what is to be summarised together is found, across documents."""

    COMMUNITIES = "communities"
    """Of a graph of nearest neighbours."""
    CLASSIC = "classic"
    """Gaussian mixtures after a reduction of dimensions, as the paper and the first seed."""


class RaptorConfig(BaseModel):
    """Trees of summaries; none by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = False
    """Whether they are built of themselves, when the collection changed and is quiet again."""
    scope: RaptorScope = RaptorScope.DOCUMENT
    method: RaptorMethod = RaptorMethod.COMMUNITIES
    max_tokens: Annotated[int, Field(ge=32, le=2048)] = 256
    """Most tokens of a summary; the embedding model's limit holds too."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Least probability with which a member belongs to a group; of the classic method."""
    max_cluster: Annotated[int, Field(ge=2, le=1024)] = 64
    """Most groups of a layer, or of a part of it; of the classic method."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    prompt: str | None = None
    """What the configured LLM is asked, with ``{cluster_content}`` in it; None is ours."""
    max_errors: Annotated[int, Field(ge=0, le=1000)] = 3
    """Answers the LLM may fail to give; then the rest of the build quotes sentences instead."""


class GraphConfig(BaseModel):
    """Graphs of knowledge; none by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = False
    """Whether they are built of themselves, when the collection changed and is quiet again."""
    method: ExtractionMethod = ExtractionMethod.LINGUISTIC
    """How entities and relations are found; the other two need the configured LLM."""
    resolution: bool = True
    """Whether different names of one entity are brought together."""
    resolve_with_llm: bool = False
    """Whether the configured LLM is asked about names that may be of one entity."""
    communities: bool = True
    """Whether communities of entities are found, and reports written of them."""
    entity_types: tuple[EntityType, ...] = ()
    """The only types of entities to keep; none named means all."""


class MindMapConfig(BaseModel):
    """Mind maps; none by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = False
    """Whether they are drawn of themselves, when the collection changed and is quiet again."""


class AlertsConfig(BaseModel):
    """When somebody is told of documents that failed or wait; never by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failed_documents: Annotated[int, Field(ge=1)] | None = None
    """From how many on."""
    failed_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """From which share of the collection on."""
    waiting_seconds: Annotated[float, Field(gt=0)] | None = None
    """For how long a document may wait for being indexed, from when that was asked for."""

    @property
    def of_failed(self) -> bool:
        """Whether there is a limit of failed documents."""
        return self.failed_documents is not None or self.failed_share is not None


class CollectionConfig(BaseModel):
    """How the documents of one collection are processed; every field has a working default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parser: ParserKind = ParserKind.AUTO
    """The kind of its documents; a task may say otherwise for one."""
    partitioner: Partitioner = Partitioner.NATIVE
    """Who reads its documents; another one parses them again."""
    chunker: ChunkStrategy | None = None
    """How documents are cut; None is what fits their kind."""
    chunk_tokens: Annotated[int, Field(ge=16, le=8192)] | None = None
    """Most tokens in a chunk, special tokens included; None is the model's limit."""
    chunk_overlap: Annotated[int, Field(ge=0, le=4096)] = 0
    """Tokens repeated from the end of the chunk before; must be under half the chunk size."""
    chunk_delimiters: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts after which a chunk always ends."""
    parent_tokens: Annotated[int, Field(ge=32, le=32768)] = 1024
    """Most tokens of a parent passage, for the strategy ``parent_child``."""
    chunk_levels: tuple[tuple[Annotated[str, Field(min_length=1)], ...], ...] = ()
    """Regular expressions of the lines that are headings, by level, highest first, for the strategy
    ``hierarchy``; none: the headings that the parser found."""
    chunk_depth: Annotated[int, Field(ge=1, le=6)] = 2
    """Down to which level a heading begins a new chunk, for the strategy ``hierarchy``."""
    title_weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the title's vector in each chunk's vector; 0 leaves the title out."""
    embedding_model: Annotated[str, Field(min_length=1)] | None = None
    """A name or folder that sentence-transformers loads; None is the configured default."""
    rollback_days: Annotated[float, Field(ge=0, le=365)] = 7
    """For how long the index of the embedding model before is kept."""
    max_parallel_runs: Annotated[int, Field(ge=1, le=64)] = 1
    """How many runs may share the backlog of this collection."""
    schedule: Cron | None = None
    """When what is stale is reindexed; None is every night, with all others."""
    timezone: TimeZone | None = None
    """Of the schedule, or of the night; None is that of the settings."""
    quiet_seconds: Annotated[float, Field(ge=0, le=86_400)] = 300
    """For how long nothing must have changed before trees and maps are built."""
    automation: bool = False
    """Whether Dagster's automation conditions have them built, in place of ``quiet_seconds``."""
    enrichment: EnrichmentConfig = EnrichmentConfig()
    """Keys below it are written ``enrichment.keywords`` and so on."""
    raptor: RaptorConfig = RaptorConfig()
    graph: GraphConfig = GraphConfig()
    mindmap: MindMapConfig = MindMapConfig()
    alerts: AlertsConfig = AlertsConfig()

    def flat(self) -> dict[str, Any]:
        """Return every option by its key, as people write it: ``enrichment.keywords``."""
        return _flat(self.model_dump(mode="json"), type(self))

    def updated(self, changes: dict[str, Any]) -> CollectionConfig:
        """Return a copy with ``changes`` validated and applied; None restores a default.

        Raises:
            PermanentError: of kind ``invalid_option``, naming the nearest known key.
        """
        known = self.flat()
        for key in changes:
            if key not in known:
                nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                raise PermanentError(
                    ErrorKind.INVALID_OPTION,
                    f"unknown collection option {key!r}; did you mean {nearest!r}?",
                )
        merged = _flat(self.model_dump(mode="json", exclude_unset=True), type(self)) | changes
        try:
            return CollectionConfig.model_validate(_nested(merged))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                f"collection option {key!r}: {first['msg'].removeprefix('Value error, ')} "
                f"(got {first['input']!r})",
            ) from error


def options_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return options that may stand in their groups, by their keys: ``enrichment.keywords``."""
    return _flat(values, CollectionConfig)


def _flat(values: dict[str, Any], form: type[BaseModel]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        group = form.model_fields[key].annotation if key in form.model_fields else None
        if isinstance(group, type) and issubclass(group, BaseModel) and isinstance(value, dict):
            flat |= {f"{key}.{inner}": each for inner, each in _flat(value, group).items()}
        else:
            flat[key] = value
    return flat


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        if value is None:
            continue
        *groups, last = key.split(".")
        inner = nested
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return nested


@dataclass(frozen=True)
class CollectionName:
    """A collection's full name: a tenant and a name within it."""

    tenant: str
    name: str

    def __post_init__(self) -> None:
        for part in (self.tenant, self.name):
            if not NAME_PATTERN.fullmatch(part):
                raise PermanentError(
                    ErrorKind.INVALID_OPTION,
                    f"{part!r} is not a valid name: use 1 to 63 of a-z, 0-9, '_', '.', '-', "
                    "starting with a letter or digit",
                )

    @property
    def key(self) -> str:
        """The partition key: the bare name for the default tenant, else ``tenant/name``."""
        return self.name if self.tenant == DEFAULT_TENANT else f"{self.tenant}/{self.name}"

    @property
    def table(self) -> str:
        """The table and folder name: unambiguous, and free of '/' for any file system.

        Names never start with '_', so the length-prefixed form cannot meet a bare name.
        """
        if self.tenant == DEFAULT_TENANT:
            return self.name
        return f"_{len(self.tenant)}_{self.tenant}_{self.name}"

    @classmethod
    def from_key(cls, key: str) -> CollectionName:
        """Read a partition key back; the inverse of ``key``."""
        tenant, separator, name = key.rpartition("/")
        return cls(tenant if separator else DEFAULT_TENANT, name)


@dataclass(frozen=True)
class Collection:
    """A registered collection."""

    name: CollectionName
    config: CollectionConfig
    created_at: float
    """Seconds since the epoch, by the database's clock."""
    searched_model: str | None = None
    """The embedding model of what is searched, which stays until a reindex with the configured one
    is complete; None before anything is published."""

    @property
    def key(self) -> str:
        """The partition key."""
        return self.name.key
