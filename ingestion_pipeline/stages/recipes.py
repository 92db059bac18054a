"""Recipes and fingerprints: what decides whether a stored result is used again.

A *recipe* hashes what a stage does to any document of a collection: its code version, the
configuration it reads, and the recipes of its upstream. A *fingerprint* hashes what it did to one
document: the recipe and the document's own inputs. Same fingerprint, same result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from ingestion_pipeline import installed
from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.indexing.schema import SCHEMA_VERSION
from ingestion_pipeline.indexing.summary_rows import Origin
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import (
    ChunkStrategy,
    CollectionConfig,
    GraphConfig,
    Partitioner,
    RaptorConfig,
    RaptorMethod,
    RaptorScope,
)
from ingestion_pipeline.model.documents import Document, Stage
from ingestion_pipeline.model.graph import Correction, ExtractionMethod
from ingestion_pipeline.stages.versions import (
    CODE_VERSIONS,
    GRAPH_VERSION,
    MAP_VERSION,
    TREE_VERSION,
)


def chunk_tokens(config: CollectionConfig, embedder: Embedder) -> int:
    """Return the cap on tokens per chunk: what is configured, never above the model's limit."""
    return min(config.chunk_tokens or embedder.max_tokens, embedder.max_tokens)


def summary_tokens(config: RaptorConfig, embedder: Embedder) -> int:
    """Return the cap on tokens per summary: what is configured, never above the model's limit."""
    return min(config.max_tokens, embedder.max_tokens)


def recipes(
    config: CollectionConfig,
    embedder: Embedder,
    *,
    llm: str | None = None,
    lessons: str | None = None,
) -> dict[str, str]:
    """Return the recipe of each stage for a collection (64 hex digits each).

    ``llm`` names the configured endpoint and model, if there is one; ``lessons`` the version of the
    collection that tags are learned from. Vectors do not depend on what was added to chunks, but
    for the questions that these answer.
    """
    found = recipes_of_chunks(config, embedder)
    enrichment = config.enrichment.model_dump(mode="json")
    enriched = _recipe(
        Stage.ENRICHED,
        found[Stage.CHUNKED],
        enrichment=enrichment,
        llm=llm if any(enrichment.values()) else None,
        lessons=lessons,
    )
    asked = enriched if config.enrichment.questions else found[Stage.CHUNKED]
    return found | recipes_of_the_rest(config, embedder, enriched, [asked])


def recipes_of_chunks(config: CollectionConfig, embedder: Embedder) -> dict[str, str]:
    """Return the recipes of the stages up to *chunked*."""
    sourced = _recipe(Stage.SOURCED)
    parsed = _recipe(
        Stage.PARSED,
        sourced,
        recognises_text=installed.reads_pictures(),
        **_read_by(config.partitioner),
    )
    chunked = _recipe(
        Stage.CHUNKED,
        parsed,
        tokenizer=embedder.tokenizer.fingerprint,
        tokens=chunk_tokens(config, embedder),
        overlap=config.chunk_overlap,
        kind=config.parser,
        strategy=config.chunker,
        delimiters=config.chunk_delimiters,
        parent_tokens=config.parent_tokens,
        model=embedder.fingerprint if config.chunker is ChunkStrategy.SEMANTIC else None,
        **_headings(config),
    )
    return {Stage.SOURCED: sourced, Stage.PARSED: parsed, Stage.CHUNKED: chunked}


def recipe_of_part(
    settings: Mapping[str, Any], version: str, upstream: Sequence[str], reads: Sequence[str | None]
) -> str:
    """Return the recipe of a part of the stage *enriched*, which a pipeline has several of.

    ``upstream`` are the recipes of what it reads; ``reads`` names what it asks besides.
    """
    return _recipe(Stage.ENRICHED, *upstream, settings=settings, version=version, reads=reads)


def recipe_of_parts(chunked: str, parts: Sequence[str]) -> str:
    """Return the recipe of the stage *enriched* that is made of parts."""
    return _recipe(Stage.ENRICHED, chunked, *parts)


def recipes_of_the_rest(
    config: CollectionConfig, embedder: Embedder, enriched: str, asked: Sequence[str]
) -> dict[str, str]:
    """Return the recipes from *enriched* on; ``asked`` are those that vectors follow from."""
    embedded = _recipe(
        Stage.EMBEDDED, *asked, model=embedder.fingerprint, title_weight=config.title_weight
    )
    indexed = _recipe(Stage.INDEXED, embedded, enriched, schema=SCHEMA_VERSION)
    return {Stage.ENRICHED: enriched, Stage.EMBEDDED: embedded, Stage.INDEXED: indexed}


def summary_recipe(config: RaptorConfig, embedder: Embedder, *, llm: str | None = None) -> str:
    """Return what a summary follows from, besides what it is of; part of its id.

    Not how things are grouped: a group that comes out the same is not summarised again.
    """
    model, tokens = embedder.fingerprint, summary_tokens(config, embedder)
    return _hash(["summary", TREE_VERSION, model, tokens, llm, config.prompt if llm else None])


def tree_recipe(config: RaptorConfig, embedder: Embedder, *, llm: str | None = None) -> str:
    """Return what the trees of a collection follow from, besides its chunks and their vectors."""
    grouping: list[object] = [config.scope]
    if config.scope is RaptorScope.COLLECTION:
        grouping += [config.method, config.seed]
        if config.method is RaptorMethod.CLASSIC:
            grouping += [config.threshold, config.max_cluster]
    return _hash([summary_recipe(config, embedder, llm=llm), grouping])


def extraction_recipe(config: GraphConfig, *, llm: str | None = None) -> str:
    """Return what the graph of a document follows from, besides that document."""
    asked = None if config.method is ExtractionMethod.LINGUISTIC else llm
    method = config.method if asked else ExtractionMethod.LINGUISTIC
    models = [installed.reads_english(), installed.reads_chinese()]
    return _hash(["extraction", GRAPH_VERSION, method, asked, models])


def document_fingerprint(title: str | None, chunks: Sequence[Chunk], recipe: str) -> str:
    """Return the fingerprint of the graph of a document; ``recipe`` is that of extraction."""
    own = [(chunk.chunk_id, chunk.text, chunk.heading_path) for chunk in chunks]
    return _hash([title, own, recipe])


def vector_recipe(config: CollectionConfig, embedder: Embedder) -> str:
    """Return what the vectors of chunks follow from, besides the texts of these."""
    questions = config.enrichment.questions
    return _hash(["vectors", embedder.fingerprint, config.title_weight, questions])


def report_recipe(embedder: Embedder, *, llm: str | None = None) -> str:
    """Return what the text of a report follows from, besides what it is of.

    Not its vector: that is made anew in each build, of those of the chunks that it cites.
    """
    return _hash(["report", GRAPH_VERSION, llm, embedder.fingerprint if llm else None])


def graph_recipe(
    config: GraphConfig,
    embedder: Embedder,
    corrections: Sequence[Correction] = (),
    *,
    llm: str | None = None,
    vectors: str | None = None,
) -> str:
    """Return what the graph of a collection follows from, besides its chunks.

    ``vectors`` is the recipe of theirs: they tell homonyms apart, and reports are found by them.
    """
    vectors = vectors or embedder.fingerprint
    homonyms = vectors if config.resolution else None
    judge = llm if config.resolve_with_llm else None
    merging = [homonyms, judge, sorted(config.entity_types), list(map(_said, corrections))]
    reports = [report_recipe(embedder, llm=llm), vectors] if config.communities else None
    return _hash(["graph", extraction_recipe(config, llm=llm), merging, reports])


def _said(correction: Correction) -> list[object]:
    return [type(correction).__name__, *astuple(correction)]


def map_recipe(tree: Origin | None) -> str:
    """Return what a mind map follows from besides the chunks: the tree, if there is one."""
    return _hash(["map", MAP_VERSION, tree and [tree.leaves, tree.recipe]])


def _read_by(partitioner: Partitioner) -> dict[str, str]:
    """Name the partitioner, but for ours: what it read before others came is used on."""
    return {} if partitioner is Partitioner.NATIVE else {"partitioner": partitioner}


def _headings(config: CollectionConfig) -> dict[str, Any]:
    """Name what headings cut by hierarchy, where that is how documents are cut."""
    if config.chunker is not ChunkStrategy.HIERARCHY:
        return {}
    return {"levels": config.chunk_levels, "depth": config.chunk_depth}


def _recipe(stage: Stage, *upstream: str, **reads: Any) -> str:
    return _hash([stage, CODE_VERSIONS[stage], upstream, reads])


def fingerprints(document: Document, version: str, recipes: Mapping[str, str]) -> dict[str, str]:
    """Return the fingerprint of the result of each stage, or part, for a version of a document.

    The document's id is part of it, so that no result is shared between documents: deleting one
    can never take away what another needs.
    """
    own = [document.document_id, document.name, version]
    if document.parser is not None:
        own.append(document.parser)
    return {stage: _hash([*own, recipe]) for stage, recipe in recipes.items()}


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
