"""The stage *chunked*: token-capped passages.

Reads the parsed document, the tokenizer of the embedding model, and the collection's chunk size
and overlap. Writes chunks.
"""

from __future__ import annotations

from ingestion_pipeline.chunking import chunk
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.stages.work import Tools, Work


def run(work: Work, tools: Tools, parsed: ParsedDocument) -> list[Chunk]:
    """Chunk the document, or load the chunks made before."""
    fingerprint = work.fingerprints[Stage.CHUNKED]
    return work.memoised(
        Stage.CHUNKED,
        load=lambda: load(work, tools),
        compute=lambda: _chunk(work, tools, parsed),
        store=lambda value: tools.artifacts.put_chunks(
            tools.collection.name, work.document.document_id, fingerprint, value
        ),
    )


def load(work: Work, tools: Tools) -> list[Chunk] | None:
    """Return the stored result, if there is one."""
    return tools.artifacts.get_chunks(
        tools.collection.name, work.document.document_id, work.fingerprints[Stage.CHUNKED]
    )


def _chunk(work: Work, tools: Tools, parsed: ParsedDocument) -> list[Chunk]:
    chunks = chunk(
        parsed,
        work.document.document_id,
        tools.embedder.tokenizer,
        max_tokens=tools.chunk_tokens,
        overlap=tools.collection.config.chunk_overlap,
    )
    if not chunks and work.document.confirmed != work.version:
        raise PermanentError(ErrorKind.EMPTY, f"{work.document.name} contains no text")
    return chunks
