"""Artifacts: the stored results of stages, found again by document and fingerprint.

Belongs here: their keys, their integrity, and what is stored of one document. Does not belong
here: fingerprints (``stages``), forms (``codecs``), and which documents there are (``registry``).
"""

from __future__ import annotations

import hashlib
import logging
import time
import zlib
from collections.abc import Callable, Collection, Iterator
from itertools import groupby
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
    """Results under ``artifacts/{tenant}/{collection}/{shard}/{document_id}``, by fingerprint.

    All that was ever made of a document, in every version and configuration, is in one folder. The
    shard, two hex digits of the id's hash, keeps 100,000 documents at 400 folders side by side.

    Each result is sealed with a CRC-32: what can be made again is written without syncing, so it
    may be damaged after a loss of power. What cannot be read counts as absent, with a warning.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get(
        self, collection: CollectionName, document_id: str, stage: Stage, fingerprint: str
    ) -> bytes | None:
        """Return a stored result; None if there is none."""
        return self._decoded(collection, document_id, stage, fingerprint, bytes)

    def put(
        self,
        collection: CollectionName,
        document_id: str,
        stage: Stage,
        fingerprint: str,
        data: bytes,
    ) -> None:
        """Store a result."""
        checksum = zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big")
        key = _key(collection, document_id, stage, fingerprint)
        self._store.put(key, checksum + data, durable=False)

    def get_parsed(
        self, collection: CollectionName, document_id: str, fingerprint: str
    ) -> ParsedDocument | None:
        """Return a stored parsed document; None if there is none."""
        return self._decoded(
            collection, document_id, Stage.PARSED, fingerprint, codecs.decode_parsed
        )

    def put_parsed(
        self, collection: CollectionName, document_id: str, fingerprint: str, parsed: ParsedDocument
    ) -> None:
        """Store a parsed document."""
        data = codecs.encode_parsed(parsed)
        self.put(collection, document_id, Stage.PARSED, fingerprint, data)

    def get_chunks(
        self, collection: CollectionName, document_id: str, fingerprint: str
    ) -> list[Chunk] | None:
        """Return the stored chunks of a document; None if there are none."""
        return self._decoded(
            collection, document_id, Stage.CHUNKED, fingerprint, codecs.decode_chunks
        )

    def put_chunks(
        self, collection: CollectionName, document_id: str, fingerprint: str, chunks: list[Chunk]
    ) -> None:
        """Store the chunks of a document."""
        data = codecs.encode_chunks(chunks)
        self.put(collection, document_id, Stage.CHUNKED, fingerprint, data)

    def get_vectors(
        self, collection: CollectionName, document_id: str, fingerprint: str
    ) -> NDArray[np.float32] | None:
        """Return the stored vectors of a document, of shape (n, dim); None if there are none."""
        return self._decoded(
            collection, document_id, Stage.EMBEDDED, fingerprint, codecs.decode_vectors
        )

    def put_vectors(
        self,
        collection: CollectionName,
        document_id: str,
        fingerprint: str,
        vectors: NDArray[np.float32],
    ) -> None:
        """Store the vectors of a document, of shape (n, dim)."""
        data = codecs.encode_vectors(vectors)
        self.put(collection, document_id, Stage.EMBEDDED, fingerprint, data)

    def document_ids(self, collection: CollectionName) -> Iterator[str]:
        """Yield the id of each document of which something is stored, once."""
        folders = (key.rpartition("/")[0] for key in self._store.keys(_root(collection)))
        for folder, _ in groupby(folders):
            yield folder.rpartition("/")[2]

    def delete_document(self, collection: CollectionName, document_id: str) -> int:
        """Remove everything that was ever made of a document; return how many results."""
        keys = list(self._store.keys(_folder(collection, document_id)))
        for key in keys:
            self._store.delete(key)
        return len(keys)

    def sweep_document(
        self,
        collection: CollectionName,
        document_id: str,
        keep: Collection[str],
        older_than: float = 0.0,
    ) -> int:
        """Remove a document's results whose fingerprints are not in ``keep``; return how many.

        Those made in the last ``older_than`` seconds stay: a run may be about to record them.
        """
        latest = time.time() - older_than
        unwanted = [
            key
            for key, modified in self._store.dated(_folder(collection, document_id))
            if key.rpartition("-")[2] not in keep and modified <= latest
        ]
        for key in unwanted:
            self._store.delete(key)
        return len(unwanted)

    def _decoded(
        self,
        collection: CollectionName,
        document_id: str,
        stage: Stage,
        fingerprint: str,
        decode: Callable[[bytes], T],
    ) -> T | None:
        key = _key(collection, document_id, stage, fingerprint)
        try:
            return decode(_unsealed(self._store.get(key)))
        except PermanentError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
        except ValueError as error:
            logger.warning("the artifact %s is made again: it cannot be read (%s)", key, error)
        return None


def _root(collection: CollectionName) -> str:
    return f"artifacts/{collection.tenant}/{collection.name}"


def _folder(collection: CollectionName, document_id: str) -> str:
    shard = hashlib.sha256(document_id.encode()).hexdigest()[:2]
    return f"{_root(collection)}/{shard}/{document_id}"


def _key(collection: CollectionName, document_id: str, stage: Stage, fingerprint: str) -> str:
    return f"{_folder(collection, document_id)}/{stage}-{fingerprint}"


def _unsealed(sealed: bytes) -> bytes:
    checksum, data = sealed[:_CHECKSUM_BYTES], sealed[_CHECKSUM_BYTES:]
    if zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
        raise ValueError("its checksum does not match")
    return data
