"""How the results of stages are written down: JSON or Arrow, never pickle.

Belongs here: one encoder and one decoder per kind of result; decoders raise ValueError for bytes
they cannot read. Does not belong here: where results are stored (``artifacts``).

JSON is compressed with zlib at level 1: 0.05 ms per abstract and 17 ms per MB of text, to 35 % and
27 % of the size (measured). Level 6 is 1.5 to 3 times slower for 1 to 4 points; zstd is no better
on short documents and exists only in heavier packages. Vectors do not compress.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.elements import Element, ParsedDocument
from ingestion_pipeline.model.enrichment import ChunkEnrichment, Enrichment
from ingestion_pipeline.model.graph import DocumentGraph
from ingestion_pipeline.storage.parts import ReadTexts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_COLUMN = "vector"
_KEY = "key"
_AT_ONCE = 1000
"""Elements or chunks that are JSON at the same time: of a long document all would be too much."""


def encode_parsed(parsed: ParsedDocument) -> bytes:
    """Write a parsed document as compressed JSON."""
    frame = _to_json(ParsedDocument, replace(parsed, elements=()))
    return _compressed(_filled(frame, "elements", _listed(Element, parsed.elements)))


def decode_parsed(data: bytes) -> ParsedDocument:
    """Read what ``encode_parsed`` wrote."""
    parsed: ParsedDocument = _from_json(ParsedDocument, data)
    return parsed


def encode_chunks(chunks: list[Chunk]) -> bytes:
    """Write the chunks of a document as compressed JSON."""
    return _compressed(_listed(Chunk, chunks))


def decode_chunks(data: bytes) -> list[Chunk]:
    """Read what ``encode_chunks`` wrote."""
    chunks: list[Chunk] = _from_json(list[Chunk], data)
    return chunks


def encode_enrichment(enrichment: Enrichment) -> bytes:
    """Write what was added to a document as compressed JSON."""
    frame = _to_json(Enrichment, replace(enrichment, chunks=()))
    return _compressed(_filled(frame, "chunks", _listed(ChunkEnrichment, enrichment.chunks)))


def decode_enrichment(data: bytes) -> Enrichment:
    """Read what ``encode_enrichment`` wrote."""
    enrichment: Enrichment = _from_json(Enrichment, data)
    return enrichment


def encode_graph(graph: DocumentGraph) -> bytes:
    """Write what a document says as compressed JSON."""
    return _compressed(iter([_to_json(DocumentGraph, graph)]))


def decode_graph(data: bytes) -> DocumentGraph:
    """Read what ``encode_graph`` wrote."""
    graph: DocumentGraph = _from_json(DocumentGraph, data)
    return graph


def encode_vectors(vectors: NDArray[np.float32], read: ReadTexts) -> bytes:
    """Write vectors of shape (n, dim), and those of the texts they are made of.

    An Arrow IPC file of two batches: the vectors as fixed-size lists, then the others by their key.
    """
    import numpy as np
    import pyarrow as pa

    def batch(keys: Sequence[bytes | None], rows: NDArray[np.float32]) -> pa.RecordBatch:
        flat = np.ascontiguousarray(rows, dtype=np.float32).reshape(-1)
        column = pa.FixedSizeListArray.from_arrays(pa.array(flat), vectors.shape[1])
        return pa.record_batch({_KEY: pa.array(keys, pa.binary()), _COLUMN: column})

    first = batch([None] * len(vectors), vectors)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, first.schema) as writer:
        writer.write_batch(first)
        writer.write_batch(batch(read.keys, read.vectors))
    return bytes(sink.getvalue())


def decode_vectors(data: bytes) -> NDArray[np.float32]:
    """Read what ``encode_vectors`` wrote: float32 of shape (n, dim), free to be written to."""
    return _rows(_batch(data, 0))


def decode_read(data: bytes) -> tuple[int, ReadTexts]:
    """Read how many vectors ``encode_vectors`` wrote, and of which texts they are made."""
    read = _batch(data, 1)
    return len(_batch(data, 0)), ReadTexts(read.column(_KEY).to_pylist(), _rows(read))


def _batch(data: bytes, number: int) -> pa.RecordBatch:
    import pyarrow as pa

    try:
        return pa.ipc.open_file(data).get_batch(number)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"not a file of vectors: {error}") from error


def _rows(batch: pa.RecordBatch) -> NDArray[np.float32]:
    import numpy as np

    try:
        column = batch.column(_COLUMN)
        dimension = column.type.list_size
    except (KeyError, AttributeError) as error:
        raise ValueError(f"not a file of vectors: {error}") from error
    # Copied, because what lies on the file's bytes cannot be written to.
    return np.array(column.flatten(), dtype=np.float32).reshape(-1, dimension)


@cache
def _adapter(form: Any) -> TypeAdapter[Any]:
    return TypeAdapter(form)


def _to_json(form: Any, value: object) -> bytes:
    return _adapter(form).dump_json(value)


def _listed(form: Any, values: Sequence[object]) -> Iterator[bytes]:
    """Yield the JSON of a list."""
    yield b"["
    for first in range(0, len(values), _AT_ONCE):
        some = _to_json(Sequence[form], values[first : first + _AT_ONCE])
        yield (b"," if first else b"") + some[1:-1]
    yield b"]"


def _filled(frame: bytes, name: str, values: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the JSON of an object with a list for its first empty one of that name.

    Only a field can be meant: within a string each quote has a backslash before it.
    """
    before, found, after = frame.partition(f'"{name}":[]'.encode())
    yield before + found.removesuffix(b"[]")
    yield from values
    yield after


def _compressed(parts: Iterator[bytes]) -> bytes:
    compressor = zlib.compressobj(level=1)
    return b"".join([*map(compressor.compress, parts), compressor.flush()])


def _from_json(form: Any, data: bytes) -> Any:
    try:
        return _adapter(form).validate_json(zlib.decompress(data))
    except zlib.error as error:
        raise ValueError(f"not compressed JSON: {error}") from error
