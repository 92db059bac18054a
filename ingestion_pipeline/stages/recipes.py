"""Recipes and fingerprints: what decides whether a stored result is used again.

A *recipe* hashes what a stage does to any document of a collection: its code version, the
configuration it reads, and the recipe of its upstream. A *fingerprint* hashes what it did to one
document: the recipe and the document's own inputs. Same fingerprint, same result.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.indexing.schema import SCHEMA_VERSION
from ingestion_pipeline.model.collections import CollectionConfig
from ingestion_pipeline.model.documents import Document, Stage
from ingestion_pipeline.stages.versions import CODE_VERSIONS


def chunk_tokens(config: CollectionConfig, embedder: Embedder) -> int:
    """Return the cap on tokens per chunk: what is configured, never above the model's limit."""
    return min(config.chunk_tokens or embedder.max_tokens, embedder.max_tokens)


def recipes(config: CollectionConfig, embedder: Embedder) -> dict[Stage, str]:
    """Return the recipe of each stage for a collection (64 hex digits each)."""
    reads: dict[Stage, dict[str, Any]] = {
        Stage.SOURCED: {},
        Stage.PARSED: {},
        Stage.CHUNKED: {
            "tokenizer": embedder.tokenizer.fingerprint,
            "tokens": chunk_tokens(config, embedder),
            "overlap": config.chunk_overlap,
        },
        Stage.EMBEDDED: {"model": embedder.fingerprint, "title_weight": config.title_weight},
        Stage.INDEXED: {"schema": SCHEMA_VERSION},
    }
    found: dict[Stage, str] = {}
    upstream = ""
    for stage, configuration in reads.items():
        upstream = _hash([upstream, stage, CODE_VERSIONS[stage], configuration])
        found[stage] = upstream
    return found


def fingerprints(document: Document, version: str, recipes: dict[Stage, str]) -> dict[Stage, str]:
    """Return the fingerprint of each stage's result for one version of a document.

    The document's id is part of it, so that no result is shared between documents: deleting one
    can never take away what another needs.
    """
    own = [document.document_id, document.name, version]
    return {stage: _hash([*own, recipe]) for stage, recipe in recipes.items()}


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
