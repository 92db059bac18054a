"""Artifacts: the stored results of stages, found again by fingerprint.

Belongs here: their keys and their integrity. Does not belong here:
fingerprints (``stages``) and forms (``codecs``).
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.storage import codecs
from ingestion_pipeline.storage.base import ObjectStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CHECKSUM_BYTES = 4


class ArtifactStore:
    """Results under ``artifacts/{tenant}/{collection}/{stage}/{fp[:2]}/{fp}``.

    Each is sealed with a CRC-32: what can be made again is written without syncing, so it may be
    damaged after a loss of power. What cannot be read counts as absent, with a warning.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get(self, collection: CollectionName, stage: Stage, fingerprint: str) -> bytes | None:
        """Return a stored result; None if there is none."""
        return self._decoded(collection, stage, fingerprint, bytes)

    def put(self, collection: CollectionName, stage: Stage, fingerprint: str, data: bytes) -> None:
        """Store a result."""
        checksum = zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big")
        self._store.put(_key(collection, stage, fingerprint), checksum + data, durable=False)

    def get_parsed(self, collection: CollectionName, fingerprint: str) -> ParsedDocument | None:
        """Return a stored parsed document; None if there is none."""
        return self._decoded(collection, Stage.PARSED, fingerprint, codecs.decode_parsed)

    def put_parsed(
        self, collection: CollectionName, fingerprint: str, parsed: ParsedDocument
    ) -> None:
        """Store a parsed document."""
        self.put(collection, Stage.PARSED, fingerprint, codecs.encode_parsed(parsed))

    def get_chunks(self, collection: CollectionName, fingerprint: str) -> list[Chunk] | None:
        """Return the stored chunks of a document; None if there are none."""
        return self._decoded(collection, Stage.CHUNKED, fingerprint, codecs.decode_chunks)

    def put_chunks(self, collection: CollectionName, fingerprint: str, chunks: list[Chunk]) -> None:
        """Store the chunks of a document."""
        self.put(collection, Stage.CHUNKED, fingerprint, codecs.encode_chunks(chunks))

    def get_vectors(
        self, collection: CollectionName, fingerprint: str
    ) -> NDArray[np.float32] | None:
        """Return the stored vectors of a document, of shape (n, dim); None if there are none."""
        return self._decoded(collection, Stage.EMBEDDED, fingerprint, codecs.decode_vectors)

    def put_vectors(
        self, collection: CollectionName, fingerprint: str, vectors: NDArray[np.float32]
    ) -> None:
        """Store the vectors of a document, of shape (n, dim)."""
        self.put(collection, Stage.EMBEDDED, fingerprint, codecs.encode_vectors(vectors))

    def _decoded(
        self,
        collection: CollectionName,
        stage: Stage,
        fingerprint: str,
        decode: Callable[[bytes], T],
    ) -> T | None:
        key = _key(collection, stage, fingerprint)
        try:
            return decode(_unsealed(self._store.get(key)))
        except PermanentError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
        except ValueError as error:
            logger.warning("the artifact %s is made again: it cannot be read (%s)", key, error)
        return None


def _key(collection: CollectionName, stage: Stage, fingerprint: str) -> str:
    folder = f"artifacts/{collection.tenant}/{collection.name}/{stage}"
    return f"{folder}/{fingerprint[:2]}/{fingerprint}"


def _unsealed(sealed: bytes) -> bytes:
    checksum, data = sealed[:_CHECKSUM_BYTES], sealed[_CHECKSUM_BYTES:]
    if zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
        raise ValueError("its checksum does not match")
    return data
