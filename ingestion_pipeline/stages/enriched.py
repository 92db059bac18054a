"""The stage *enriched*: what is added to chunks so that they are found more easily.

Reads the parsed document, its chunks, what the collection's configuration asks for, and the tagged
collection it may name. Writes an ``Enrichment``; the language, at least, is in it. A pipeline makes
it of parts, each of which is stored by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import chain

from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment import enrich
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.model.enrichment import ChunkEnrichment, Enrichment, Tag
from ingestion_pipeline.stages.work import Material, Tools, Work

logger = logging.getLogger(__name__)


def run(
    work: Work, tools: Tools, parsed: ParsedDocument, chunks: Sequence[Chunk], control: Control
) -> Enrichment:
    """Enrich the document, or load what was made before."""
    return work.memoised(
        Stage.ENRICHED,
        load=lambda: load(work, tools),
        compute=lambda: _enrich(work, tools, parsed, chunks, control),
        store=lambda value: _store(work, tools, Stage.ENRICHED, value),
    )


def run_part(
    work: Work,
    tools: Tools,
    step: str,
    parsed: ParsedDocument,
    chunks: Sequence[Chunk],
    control: Control,
) -> Enrichment:
    """Add one part, or load what was made before."""

    def compute() -> Enrichment:
        document = work.document
        llm = tools.llm(document.document_id)
        made = tools.parts[step](Material(document, parsed, chunks, llm, tools.tags, control))
        return _warned(work, made)

    return work.memoised(
        step,
        load=lambda: load(work, tools, step),
        compute=compute,
        store=lambda value: _store(work, tools, step, value),
    )


def questions(
    work: Work, tools: Tools, parsed: ParsedDocument, chunks: Sequence[Chunk], control: Control
) -> Enrichment:
    """Return what vectors are made from besides the chunks: the parts that give questions."""
    asked = (run_part(work, tools, step, parsed, chunks, control) for step in sorted(tools.asked))
    return _merged(asked, len(chunks))


def load(work: Work, tools: Tools, step: str = Stage.ENRICHED) -> Enrichment | None:
    """Return the stored result, if there is one."""
    return tools.artifacts.get_enrichment(
        tools.collection.name, work.document.document_id, work.fingerprints[step]
    )


def _enrich(
    work: Work, tools: Tools, parsed: ParsedDocument, chunks: Sequence[Chunk], control: Control
) -> Enrichment:
    config = tools.collection.config.enrichment
    enrichment = enrich(
        parsed,
        chunks,
        config,
        tools.llm(work.document.document_id),
        tools.tags(config.tags) if config.tags else None,
        control,
    )
    _warned(work, enrichment)
    parts = [run_part(work, tools, step, parsed, chunks, control) for step in tools.parts]
    return _merged([enrichment, *parts], len(chunks)) if parts else enrichment


def _warned(work: Work, enrichment: Enrichment) -> Enrichment:
    for warning in enrichment.warnings:
        logger.warning("%s: %s", work.document.name, warning)
    return enrichment


def _store(work: Work, tools: Tools, step: str, enrichment: Enrichment) -> None:
    """Store a result, unless it may be better another time."""
    if enrichment.complete:
        tools.artifacts.put_enrichment(
            tools.collection.name, work.document.document_id, work.fingerprints[step], enrichment
        )


def _merged(parts: Iterable[Enrichment], chunks: int) -> Enrichment:
    """Put together what was added; of one metadata field, or the contents, the first counts."""
    found = list(parts)
    of_chunks = zip(*(each.chunks or (ChunkEnrichment(),) * chunks for each in found), strict=True)
    return Enrichment(
        chunks=tuple(map(_together, of_chunks)) or (ChunkEnrichment(),) * chunks,
        language=next((each.language for each in found if each.language), None),
        metadata={key: value for each in reversed(found) for key, value in each.metadata.items()},
        toc=next((each.toc for each in found if each.toc), ()),
        tokens=sum(each.tokens for each in found),
        warnings=tuple(chain.from_iterable(each.warnings for each in found)),
        complete=all(each.complete for each in found),
    )


def _together(parts: Sequence[ChunkEnrichment]) -> ChunkEnrichment:
    tags: dict[str, Tag] = {}
    for tag in chain.from_iterable(each.tags for each in parts):
        tags.setdefault(tag[0], tag)
    return ChunkEnrichment(
        keywords=tuple(dict.fromkeys(chain.from_iterable(each.keywords for each in parts))),
        questions=tuple(dict.fromkeys(chain.from_iterable(each.questions for each in parts))),
        tags=tuple(tags.values()),
    )
