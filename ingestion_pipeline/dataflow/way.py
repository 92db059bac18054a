"""What follows from a pipeline for the stages: their configuration, their recipes, their parts.

Belongs here: translating. Does not belong here: the stages, and the rules of pipelines. The stages
that every pipeline has are those of collections, with the same recipes: a document that comes to a
pipeline is not parsed again when it would be parsed alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ingestion_pipeline.dataflow.forms import (
    ChunkComponent,
    Component,
    Embedder,
    Enricher,
    Extractor,
    File,
    HierarchicalMerger,
    Parser,
    Splitter,
)
from ingestion_pipeline.dataflow.pipeline import Node, Pipeline
from ingestion_pipeline.embedding import Embedder as Model
from ingestion_pipeline.enrichment import enrich, extract
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import ChunkStrategy, CollectionConfig, EnrichmentConfig
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.enrichment import Enrichment
from ingestion_pipeline.stages.recipes import (
    recipe_of_part,
    recipe_of_parts,
    recipes_of_chunks,
    recipes_of_the_rest,
)
from ingestion_pipeline.stages.work import Material, Part


@dataclass(frozen=True)
class Way:
    """How documents are taken through the stages; see ``stages.work.Tools``."""

    config: CollectionConfig
    recipes: Mapping[str, str]
    parts: Mapping[str, Part] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()


def way(
    pipeline: Pipeline,
    config: CollectionConfig,
    model: Model,
    llm: str | None,
    lessons: Callable[[str], str | None],
) -> Way:
    """Return the way of a pipeline's documents in a collection.

    ``config`` is that of the collection; the embedding model is always its own. ``llm`` names the
    configured language model, if there is one; ``lessons`` the version of a tagged collection.
    """
    source = pipeline.of(Stage.SOURCED).component
    effective = _config(pipeline, config)
    recipes = recipes_of_chunks(effective, model)
    for node in pipeline.parts:
        settings = node.component.settings()
        upstream = [recipes[step] for step in pipeline.upstream(node)]
        recipes[node.step] = recipe_of_part(
            settings, node.component.version, upstream, _reads(node.component, llm, lessons)
        )
    before = pipeline.before(pipeline.of(Stage.EMBEDDED))
    asked = [
        node.step
        for node in pipeline.parts
        if node.name in before and node.component.gives_questions
    ]
    enriched = recipe_of_parts(
        recipes[Stage.CHUNKED], [recipes[node.step] for node in pipeline.parts]
    )
    of_vectors = [recipes[Stage.CHUNKED], *(recipes[step] for step in asked)]
    return Way(
        effective,
        recipes | recipes_of_the_rest(effective, model, enriched, of_vectors),
        {node.step: _part(node) for node in pipeline.parts},
        frozenset(asked),
        source.suffixes if isinstance(source, File) else (),
    )


def _config(pipeline: Pipeline, config: CollectionConfig) -> CollectionConfig:
    """Return the configuration of a collection that would take documents the same way."""
    changes: dict[str, object] = {"enrichment": EnrichmentConfig()}
    for node in pipeline.nodes:
        component = node.component
        if isinstance(component, Parser):
            changes["partitioner"] = component.partitioner
        elif isinstance(component, Splitter | HierarchicalMerger):
            changes |= _cut(component)
        elif isinstance(component, Embedder):
            changes["title_weight"] = component.title_weight
    return config.model_copy(update=changes)


def _cut(component: Splitter | HierarchicalMerger) -> dict[str, object]:
    changes: dict[str, object] = {
        "parser": component.kind,
        "chunk_tokens": component.tokens,
        "chunk_overlap": component.overlap,
    }
    if isinstance(component, HierarchicalMerger):
        return changes | {
            "chunker": ChunkStrategy.HIERARCHY,
            "chunk_delimiters": (),
            "chunk_levels": component.levels,
            "chunk_depth": component.depth,
        }
    return changes | {
        "chunker": component.strategy,
        "chunk_delimiters": component.delimiters,
        "parent_tokens": component.parent_tokens,
    }


def _reads(
    component: Component, llm: str | None, lessons: Callable[[str], str | None]
) -> list[str | None]:
    """Name what a component asks besides what it reads."""
    if isinstance(component, Enricher):
        return [llm, lessons(component.tags) if component.tags else None]
    if isinstance(component, Extractor):
        return [llm if component.prompt else None]
    return []


def _part(node: Node) -> Part:
    """Return what a component does."""
    component = node.component

    def enriched(material: Material) -> Enrichment:
        assert isinstance(component, Enricher)  # noqa: S101 - chosen below
        config = component.enrichment()
        tags = material.tags(config.tags) if config.tags else None
        return enrich(
            material.parsed, material.chunks, config, material.llm, tags, material.control
        )

    def extracted(material: Material) -> Enrichment:
        assert isinstance(component, Extractor)  # noqa: S101 - chosen below
        return extract(
            material.chunks,
            component.into,
            component.most,
            pattern=component.pattern,
            prompt=component.prompt,
            llm=material.llm,
            control=material.control,
        )

    def own(material: Material) -> Enrichment:
        assert isinstance(component, ChunkComponent)  # noqa: S101 - chosen below
        added = tuple(component.add(material.document, material.chunks))
        if len(added) != len(material.chunks):
            raise PermanentError(
                ErrorKind.INTERNAL,
                f"{component.type} added to {len(added)} of {len(material.chunks)} chunks: its "
                "'add' has to return something for each",
            )
        return Enrichment(added)

    if isinstance(component, Enricher):
        return enriched
    return extracted if isinstance(component, Extractor) else own
