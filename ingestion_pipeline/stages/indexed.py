"""The stage *indexed*: chunks that readers can find.

Reads chunks, what was added to them, and vectors. Writes LanceDB rows: all documents of a batch in
one commit, which also removes what those documents had before. The lease is checked right before
each commit attempt, and the pictures that chunks show are stored then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from ingestion_pipeline.indexing import Extras, IndexedDocument
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.enrichment import ChunkEnrichment, Enrichment
from ingestion_pipeline.stages.work import Step, Tools, Work


def run(works: Sequence[Work], tools: Tools, fence: int, before_commit: Callable[[], None]) -> None:
    """Publish the documents, each of which has its chunks and vectors at hand."""
    began = time.perf_counter()

    def prepare() -> None:
        before_commit()
        for work in works:
            _store_pictures(work, tools)

    tools.index.publish([_document(work, fence) for work in works], before_commit=prepare)
    seconds = (time.perf_counter() - began) / len(works)
    for work in works:
        work.steps[Stage.INDEXED] = Step(True, seconds)
        work.result.index_table = tools.index.name
        work.done(Stage.INDEXED)


def _store_pictures(work: Work, tools: Tools) -> None:
    """Store what the chunks show: only now, as nobody may see pictures of what is not published."""
    pictures = {each.picture_id: each for each in (work.parsed.pictures if work.parsed else ())}
    shown = {picture_id for chunk in work.chunks or () for picture_id in chunk.pictures}
    for picture_id in sorted(shown & pictures.keys()):
        tools.artifacts.put_picture(
            tools.collection.name, work.document.document_id, pictures[picture_id]
        )


def _document(work: Work, fence: int) -> IndexedDocument:
    if work.chunks is None or work.vectors is None or work.enrichment is None:
        raise RuntimeError("a document is indexed only after all other stages")
    enrichment = work.enrichment
    metadata = enrichment.metadata
    return IndexedDocument(
        document_id=work.document.document_id,
        version=work.version,
        fence=fence,
        name=work.document.name,
        uri=work.document.uri,
        media_type=work.result.media_type or work.document.media_type or "",
        chunks=work.chunks,
        vectors=work.vectors,
        extras=_extras(work.chunks, enrichment),
        language=enrichment.language,
        metadata=json.dumps(metadata, ensure_ascii=False) if metadata else None,
    )


def _extras(chunks: Sequence[Chunk], enrichment: Enrichment) -> list[Extras]:
    added = enrichment.chunks or [ChunkEnrichment()] * len(chunks)
    return [
        Extras(each.keywords, each.questions, (*chunk.tags, *(tag for tag, _ in each.tags)))
        for chunk, each in zip(chunks, added, strict=True)
    ]
