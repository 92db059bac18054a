"""The stage *enriched*: what is added to chunks so that they are found more easily.

Reads the parsed document, its chunks, what the collection's configuration asks for, and the tagged
collection it may name. Writes an ``Enrichment``; the language, at least, is in it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment import enrich
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.model.enrichment import Enrichment
from ingestion_pipeline.stages.work import Tools, Work

logger = logging.getLogger(__name__)


def run(
    work: Work, tools: Tools, parsed: ParsedDocument, chunks: Sequence[Chunk], control: Control
) -> Enrichment:
    """Enrich the document, or load what was made before."""
    return work.memoised(
        Stage.ENRICHED,
        load=lambda: load(work, tools),
        compute=lambda: _enrich(work, tools, parsed, chunks, control),
        store=lambda value: _store(work, tools, value),
    )


def load(work: Work, tools: Tools) -> Enrichment | None:
    """Return the stored result, if there is one."""
    return tools.artifacts.get_enrichment(
        tools.collection.name, work.document.document_id, work.fingerprints[Stage.ENRICHED]
    )


def _enrich(
    work: Work, tools: Tools, parsed: ParsedDocument, chunks: Sequence[Chunk], control: Control
) -> Enrichment:
    enrichment = enrich(
        parsed,
        chunks,
        tools.collection.config.enrichment,
        tools.llm(work.document.document_id),
        tools.tags,
        control,
    )
    for warning in enrichment.warnings:
        logger.warning("%s: %s", work.document.name, warning)
    return enrichment


def _store(work: Work, tools: Tools, enrichment: Enrichment) -> None:
    """Store a result, unless it may be better another time."""
    if enrichment.complete:
        tools.artifacts.put_enrichment(
            tools.collection.name,
            work.document.document_id,
            work.fingerprints[Stage.ENRICHED],
            enrichment,
        )
