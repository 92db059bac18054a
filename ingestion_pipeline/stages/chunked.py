"""The stage *chunked*: token-capped passages.

Reads the parsed document, the tokenizer of the embedding model (for the strategy ``semantic`` the
model itself), and what the collection says of kinds, strategy and sizes. Writes chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ingestion_pipeline.chunking import ChunkPlan, cut
from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.stages.work import Tools, Work
from ingestion_pipeline.storage.parts import ROWS_IN_PART, StoredChunks


def run(work: Work, tools: Tools, parsed: ParsedDocument, control: Control) -> StoredChunks:
    """Chunk the document, or load the chunks made before."""
    return work.memoised(
        Stage.CHUNKED,
        load=lambda: load(work, tools),
        compute=lambda: tools.artifacts.put_chunks(
            tools.collection.name,
            work.document.document_id,
            work.fingerprints[Stage.CHUNKED],
            _in_parts(_chunks(work, tools, parsed, control)),
        ),
    )


def load(work: Work, tools: Tools) -> StoredChunks | None:
    """Return the stored result, if there is one."""
    return tools.artifacts.get_chunks(
        tools.collection.name, work.document.document_id, work.fingerprints[Stage.CHUNKED]
    )


def _in_parts(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    while True:
        part = list(islice(chunks, ROWS_IN_PART))
        yield part
        if len(part) < ROWS_IN_PART:
            return


def _chunks(work: Work, tools: Tools, parsed: ParsedDocument, control: Control) -> Iterator[Chunk]:
    config = tools.collection.config
    plan = ChunkPlan(
        kind=work.document.parser or config.parser,
        strategy=config.chunker,
        max_tokens=tools.chunk_tokens,
        overlap=config.chunk_overlap,
        delimiters=config.chunk_delimiters,
        parent_tokens=config.parent_tokens,
        levels=config.chunk_levels,
        depth=config.chunk_depth,
    )
    chunks = cut(
        parsed,
        work.document.document_id,
        tools.embedder.tokenizer,
        plan,
        lambda texts: tools.embedder.encode(texts, control),
    )
    first = next(chunks, None)
    if first is not None:
        yield first
        yield from chunks
    elif not parsed.attachments and work.document.confirmed != work.version:
        raise PermanentError(ErrorKind.EMPTY, f"{work.document.name} contains no text")
