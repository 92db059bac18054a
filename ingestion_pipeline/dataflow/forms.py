"""The types of components, each with its settings: what may stand in a pipeline's file.

Belongs here: fields, their defaults and their limits; what a component reads and gives. Does not
belong here: how components fit together (``pipeline``), and what any of them does (``parts``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import (
    ChunkStrategy,
    EnrichmentConfig,
    ParserKind,
    Partitioner,
)
from ingestion_pipeline.model.documents import Document
from ingestion_pipeline.model.enrichment import ChunkEnrichment

PipelineName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
ComponentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Kind(StrEnum):
    """What one component hands to the next."""

    BYTES = "bytes"
    ELEMENTS = "elements"
    CHUNKS = "chunks"
    """With what was added to them so far."""
    VECTORS = "vectors"
    INDEX = "index"


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, StringConstraints(min_length=1), AfterValidator(_compiles)]
"""A regular expression."""
Text = Annotated[str, StringConstraints(min_length=1)]


class Component(BaseModel):
    """What all components have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reads: ClassVar[tuple[Kind, ...]] = ()
    """What its inputs may give; one input of the first kind is needed."""
    gives: ClassVar[Kind]
    version: ClassVar[str] = "1"
    """To be raised when its code gives other results."""

    type: str
    name: ComponentName | None = None
    """How others name it among their inputs; its type in lower case, if left out."""
    inputs: Annotated[tuple[ComponentName, ...], Field(min_length=1)] | None = None
    """What it reads; the component above it, if left out."""

    @property
    def gives_questions(self) -> bool:
        """Whether it adds questions, which vectors are made from too."""
        return False

    def settings(self) -> dict[str, Any]:
        """Return what its results depend on."""
        return self.model_dump(mode="json", exclude={"name", "inputs"})


class File(Component):
    """The source: fetches what is not stored yet, and settles which version there is."""

    gives: ClassVar[Kind] = Kind.BYTES

    type: Literal["File"]
    suffixes: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,16}$")], ...] = ()
    """Endings of the names that it takes, such as pdf; none named means all."""


class Parser(Component):
    """Bytes to typed elements: headings, paragraphs, tables, pictures."""

    reads: ClassVar[tuple[Kind, ...]] = (Kind.BYTES,)
    gives: ClassVar[Kind] = Kind.ELEMENTS

    type: Literal["Parser"]
    partitioner: Partitioner = Partitioner.NATIVE
    """Who reads the formats that several can read."""


class _Cutting(Component):
    reads: ClassVar[tuple[Kind, ...]] = (Kind.ELEMENTS,)
    gives: ClassVar[Kind] = Kind.CHUNKS

    kind: ParserKind = ParserKind.AUTO
    """What kind of document it is: which structure is looked for."""
    tokens: Annotated[int, Field(ge=16, le=8192)] | None = None
    """Most tokens in a chunk; the embedding model's limit, if left out."""
    overlap: Annotated[int, Field(ge=0, le=4096)] = 0
    """Tokens repeated from the end of the chunk before."""

    @model_validator(mode="after")
    def _overlaps_little(self) -> Self:
        if self.tokens is not None and self.overlap >= self.tokens / 2:
            raise ValueError("'overlap' has to be less than half of 'tokens'")
        return self


class Splitter(_Cutting):
    """Elements to chunks under the embedding model's limit of tokens."""

    type: Literal["Splitter"]
    strategy: ChunkStrategy | None = None
    """How it cuts; what fits the kind, if left out."""
    delimiters: tuple[Text, ...] = ()
    """Texts after which a chunk always ends."""
    parent_tokens: Annotated[int, Field(ge=32, le=32768)] = 1024
    """Most tokens of a parent, for the strategy parent_child."""

    @model_validator(mode="after")
    def _is_not_by_hierarchy(self) -> Self:
        if self.strategy is ChunkStrategy.HIERARCHY:
            raise ValueError("to cut by hierarchy, use a HierarchicalMerger")
        return self


class HierarchicalMerger(_Cutting):
    """Elements to chunks along the headings: what is under one of them stays together."""

    type: Literal["HierarchicalMerger"]
    levels: tuple[Annotated[tuple[Pattern, ...], Field(min_length=1)], ...] = ()
    """For each level of headings, highest first, the regular expressions of lines that are one;
    the headings that the parser found, if left out."""
    depth: Annotated[int, Field(ge=1, le=6)] = 2
    """Down to which level a heading begins a new chunk."""


class Into(StrEnum):
    """Where an extractor puts what it finds."""

    KEYWORDS = "keywords"
    QUESTIONS = "questions"
    TAGS = "tags"


class _Adding(Component):
    reads: ClassVar[tuple[Kind, ...]] = (Kind.CHUNKS,)
    gives: ClassVar[Kind] = Kind.CHUNKS


class Extractor(_Adding):
    """Takes something out of each chunk: by a pattern, or by asking the language model."""

    type: Literal["Extractor"]
    into: Into
    pattern: Pattern | None = None
    """What to find; its first group, if it has one."""
    prompt: Text | None = None
    """What to ask the language model about each chunk; it answers a line for each find."""
    most: Annotated[int, Field(ge=1, le=50)] = 10
    """Finds that are kept of a chunk."""

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.pattern is None) == (self.prompt is None):
            raise ValueError("an Extractor has either a 'pattern' or a 'prompt'")
        return self

    @property
    def gives_questions(self) -> bool:
        """Whether that is what it puts."""
        return self.into is Into.QUESTIONS


class Enricher(_Adding, EnrichmentConfig):
    """Adds keywords, questions, tags, metadata or a table of contents, as a collection can."""

    type: Literal["Enricher"]

    @model_validator(mode="after")
    def _adds_something(self) -> Self:
        if not any(self.enrichment().model_dump().values()):
            fields = ", ".join(EnrichmentConfig.model_fields)
            raise ValueError(f"an Enricher has at least one of: {fields}")
        return self

    def enrichment(self) -> EnrichmentConfig:
        """Return what it adds."""
        return EnrichmentConfig(**self.model_dump(include=set(EnrichmentConfig.model_fields)))

    @property
    def gives_questions(self) -> bool:
        """Whether it is set to."""
        return self.questions > 0


class ChunkComponent(_Adding):
    """One's own component: derive from it, give it fields for its settings, and write ``add``.

    A pipeline names it by its module and class, as ``type: my_package.my_module.MyComponent``.
    """

    def add(self, document: Document, chunks: Sequence[Chunk]) -> Sequence[ChunkEnrichment]:
        """Return what is added to each of the chunks, in their order."""
        raise NotImplementedError


class Embedder(Component):
    """Chunks, and their questions if there are any, to vectors of the collection's model."""

    reads: ClassVar[tuple[Kind, ...]] = (Kind.CHUNKS,)
    gives: ClassVar[Kind] = Kind.VECTORS

    type: Literal["Embedder"]
    title_weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the document's title in each vector."""


class Indexer(Component):
    """Publishes: all documents of a batch in one commit to the collection's index."""

    reads: ClassVar[tuple[Kind, ...]] = (Kind.VECTORS, Kind.CHUNKS)
    gives: ClassVar[Kind] = Kind.INDEX

    type: Literal["Indexer"]


class Own(Component):
    """One's own component, before its class is looked for."""

    model_config = ConfigDict(extra="allow", frozen=True)

    gives: ClassVar[Kind] = Kind.CHUNKS

    type: Annotated[str, StringConstraints(pattern=r"^\w+(\.\w+)+$")]
    """The module and class of a ``dataflow.ChunkComponent``; its settings stand beside it."""


BUILT_IN: dict[str, type[Component]] = {
    each.__name__: each
    for each in (
        File,
        Parser,
        Splitter,
        HierarchicalMerger,
        Extractor,
        Enricher,
        Embedder,
        Indexer,
    )
}
_OWN = "own"


def _tag(value: object) -> str | None:
    """Tell which form a component has by its type."""
    named = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if not isinstance(named, str):
        return None
    return named if named in BUILT_IN else _OWN if "." in named else None


AnyComponent = Annotated[
    Annotated[File, Tag("File")]
    | Annotated[Parser, Tag("Parser")]
    | Annotated[Splitter, Tag("Splitter")]
    | Annotated[HierarchicalMerger, Tag("HierarchicalMerger")]
    | Annotated[Extractor, Tag("Extractor")]
    | Annotated[Enricher, Tag("Enricher")]
    | Annotated[Embedder, Tag("Embedder")]
    | Annotated[Indexer, Tag("Indexer")]
    | Annotated[Own, Tag(_OWN)],
    Discriminator(_tag),
]


class PipelineForm(BaseModel):
    """A pipeline as it is declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: PipelineName
    """What messages, the command line and the asset call it."""
    description: str = ""
    components: Annotated[tuple[AnyComponent, ...], Field(min_length=1)]
    """In the order in which they run, unless their inputs say otherwise."""
