"""Artifacts: the stored results of stages, found again by document and fingerprint.

Belongs here: their keys, their integrity, and what is stored of one document. Does not belong
here: fingerprints (``stages``), forms (``codecs``), and which documents there are (``registry``).
"""

from __future__ import annotations

import hashlib
import logging
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, count, groupby
from math import inf
from typing import TYPE_CHECKING, TypeVar

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.elements import ParsedDocument, Picture
from ingestion_pipeline.model.enrichment import Enrichment
from ingestion_pipeline.model.graph import DocumentGraph
from ingestion_pipeline.storage import codecs
from ingestion_pipeline.storage.base import Dated, ObjectStore
from ingestion_pipeline.storage.parts import (
    ROWS_IN_PART,
    Part,
    Parts,
    ReadTexts,
    StoredChunks,
    StoredVectors,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CHECKSUM_BYTES = 4
_PICTURE = "picture"
_ANSWER = "answer"
_GRAPH = "graph"


class ArtifactStore:
    """Results under ``artifacts/{tenant}/{collection}/{shard}/{document_id}``, by fingerprint.

    All that was ever made of a document, in every version and configuration, is in one folder. The
    shard, two hex digits of the id's hash, keeps 100,000 documents at 400 folders side by side.

    So are the pictures that its chunks show, and one graph: that of its last version.

    Each result is sealed with a CRC-32: what can be made again is written without syncing, so it
    may be damaged after a loss of power. What cannot be read counts as absent, with a warning.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get(
        self, collection: CollectionName, document_id: str, stage: Stage, fingerprint: str
    ) -> bytes | None:
        """Return a stored result; None if there is none."""
        return _decoded(self._store, _key(collection, document_id, stage, fingerprint), bytes)

    def put(
        self,
        collection: CollectionName,
        document_id: str,
        stage: Stage,
        fingerprint: str,
        data: bytes,
    ) -> None:
        """Store a result."""
        key = _key(collection, document_id, stage, fingerprint)
        self._store.put(key, _sealed(data), durable=False)

    def get_parsed(
        self, collection: CollectionName, document_id: str, fingerprint: str
    ) -> ParsedDocument | None:
        """Return a stored parsed document; None if there is none."""
        key = _key(collection, document_id, Stage.PARSED, fingerprint)
        return _decoded(self._store, key, codecs.decode_parsed)

    def put_parsed(
        self, collection: CollectionName, document_id: str, fingerprint: str, parsed: ParsedDocument
    ) -> None:
        """Store a parsed document."""
        data = codecs.encode_parsed(parsed)
        self.put(collection, document_id, Stage.PARSED, fingerprint, data)

    def get_chunks(
        self, collection: CollectionName, document_id: str, fingerprint: str
    ) -> StoredChunks | None:
        """Return the stored chunks of a document; None if there are none, or not all."""
        key = _key(collection, document_id, Stage.CHUNKED, fingerprint)
        parts = self._get_parts(key, codecs.decode_chunks)
        return StoredChunks(parts) if parts else None

    def put_chunks(
        self,
        collection: CollectionName,
        document_id: str,
        fingerprint: str,
        parts: Iterable[list[Chunk]],
    ) -> StoredChunks:
        """Store the chunks of a document: full parts and a last one that is not (``parts``)."""
        key = _key(collection, document_id, Stage.CHUNKED, fingerprint)
        encoded = ((part, codecs.encode_chunks(part)) for part in parts)
        return StoredChunks(self._put_parts(key, encoded, codecs.decode_chunks))

    def get_enrichment(
        self, collection: CollectionName, document_id: str, fingerprint: str
    ) -> Enrichment | None:
        """Return what was added to a document, as stored; None if nothing is."""
        key = _key(collection, document_id, Stage.ENRICHED, fingerprint)
        return _decoded(self._store, key, codecs.decode_enrichment)

    def put_enrichment(
        self,
        collection: CollectionName,
        document_id: str,
        fingerprint: str,
        enrichment: Enrichment,
    ) -> None:
        """Store what was added to a document."""
        data = codecs.encode_enrichment(enrichment)
        self.put(collection, document_id, Stage.ENRICHED, fingerprint, data)

    def get_vectors(
        self, collection: CollectionName, document_id: str, fingerprint: str
    ) -> StoredVectors | None:
        """Return the stored vectors of a document; None if there are none, or not all."""
        key = _key(collection, document_id, Stage.EMBEDDED, fingerprint)
        parts = self._get_parts(key, codecs.decode_vectors)
        return StoredVectors(parts) if parts else None

    def put_vectors(
        self,
        collection: CollectionName,
        document_id: str,
        fingerprint: str,
        parts: Iterable[tuple[NDArray[np.float32], ReadTexts]],
    ) -> StoredVectors:
        """Store the vectors of a document, of shape (n, dim), in parts as its chunks are.

        And with those of each part what the model read for them, which others may be made of.
        """
        key = _key(collection, document_id, Stage.EMBEDDED, fingerprint)
        encoded = ((part, codecs.encode_vectors(part, read)) for part, read in parts)
        return StoredVectors(self._put_parts(key, encoded, codecs.decode_vectors))

    def read_texts(
        self, collection: CollectionName, document_id: str, fingerprint: str
    ) -> Iterator[ReadTexts]:
        """Yield what the model read for the vectors of a document, a part at a time, if stored."""
        key = _key(collection, document_id, Stage.EMBEDDED, fingerprint)
        for number in count():
            found = _decoded(self._store, _part_key(key, number), codecs.decode_read)
            if found is None:
                return
            rows, read = found
            yield read
            if rows < ROWS_IN_PART:
                return

    def _get_parts(self, key: str, decode: Callable[[bytes], Part]) -> Parts[Part] | None:
        """Read a result once, to know that all of it is there."""
        read = partial(self._part, key, decode)
        first = part = read(0)
        rows = 0
        while first is not None and part is not None:
            rows += len(part)
            if len(part) != ROWS_IN_PART:
                return Parts(first, rows, read)
            part = read(rows // ROWS_IN_PART)
        return None

    def _put_parts(
        self,
        key: str,
        parts: Iterable[tuple[Part, bytes]],
        decode: Callable[[bytes], Part],
    ) -> Parts[Part]:
        """Store each part before the next is asked for, but the first at last: it tells of all."""
        numbered = enumerate(parts)
        _, (first, beginning) = next(numbered)
        rows = len(first)
        for number, (part, encoded) in numbered:
            self._store.put(_part_key(key, number), _sealed(encoded), durable=False)
            rows += len(part)
        self._store.put(key, _sealed(beginning), durable=False)
        return Parts(first, rows, partial(self._part, key, decode))

    def _part(self, key: str, decode: Callable[[bytes], Part], number: int) -> Part | None:
        return _decoded(self._store, _part_key(key, number), decode)

    def put_picture(self, collection: CollectionName, document_id: str, picture: Picture) -> None:
        """Store a picture that published chunks show, unless it is there."""
        key = _picture_key(collection, document_id, picture.picture_id)
        if not self._store.touch(key):
            self._store.put(key, _sealed(picture.data))

    def get_picture(
        self, collection: CollectionName, document_id: str, picture_id: str
    ) -> bytes | None:
        """Return a picture's bytes; None if there is none."""
        return _decoded(self._store, _picture_key(collection, document_id, picture_id), bytes)

    def put_graph(
        self, collection: CollectionName, document_id: str, fingerprint: str, graph: DocumentGraph
    ) -> None:
        """Store the graph of a document, in place of the one before."""
        data = fingerprint.encode() + b"\n" + codecs.encode_graph(graph)
        self._store.put(_graph_key(collection, document_id), _sealed(data), durable=False)

    def get_graph(
        self, collection: CollectionName, document_id: str, fingerprint: str
    ) -> DocumentGraph | None:
        """Return the graph of a document; None if there is none, or one of another fingerprint."""

        def decode(data: bytes) -> DocumentGraph | None:
            found, _, graph = data.partition(b"\n")
            return codecs.decode_graph(graph) if found == fingerprint.encode() else None

        return _decoded(self._store, _graph_key(collection, document_id), decode)

    def put_map(self, collection: CollectionName, data: bytes) -> None:
        """Store the mind map of a collection, in place of the one before."""
        self._store.put(_map_key(collection), _sealed(data), durable=False)

    def get_map(self, collection: CollectionName) -> bytes | None:
        """Return the mind map of a collection, as stored; None if there is none."""
        return _decoded(self._store, _map_key(collection), bytes)

    def delete_map(self, collection: CollectionName) -> None:
        """Remove the mind map of a collection, which has titles of its documents."""
        self._store.delete(_map_key(collection))

    def answers(self, collection: CollectionName, document_id: str) -> DocumentAnswers:
        """Return what a language model was asked about a document, and may be asked again."""
        return DocumentAnswers(self._store, _folder(collection, document_id))

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
        keep: Collection[str] | None,
        older_than: float = 0.0,
        answers_unused_for: float = inf,
        *,
        dry_run: bool = False,
    ) -> list[Dated]:
        """Remove a document's results whose fingerprints are not in ``keep``; return them.

        Pictures go with the chunks that show them, and the graph, of which there is but one, with
        the document; answers of a language model, which were paid for, when nobody has used them
        for ``answers_unused_for`` seconds. Where ``keep`` is None there is no such document, and
        everything goes. What was made in the last ``older_than`` seconds stays: a run may be about
        to record it. In a ``dry_run`` all of it stays.
        """
        now = time.time()
        dated = list(self._store.dated(_folder(collection, document_id)))
        wanted: set[str] = set()
        if keep is not None:
            wanted = self._wanted(collection, document_id, [each.key for each in dated], keep)
            unused = [each for each in dated if each.modified <= now - answers_unused_for]
            wanted -= {each.key for each in unused if _is(_ANSWER, each.key)}
        swept = [
            each for each in dated if each.key not in wanted and each.modified <= now - older_than
        ]
        for each in swept if not dry_run else ():
            self._store.delete(each.key)
        return swept

    def sweep(
        self, collection: CollectionName, older_than: float = 0.0, *, dry_run: bool = False
    ) -> list[Dated]:
        """Remove all results of a collection that is not there any more; return them.

        What was made in the last ``older_than`` seconds stays: one of that name may have begun. In
        a ``dry_run`` all of it does.
        """
        latest = time.time() - older_than
        map_key = _map_key(collection)
        maps = self._store.dated(map_key.rpartition("/")[0])
        own_map = (each for each in maps if each.key == map_key)
        swept: list[Dated] = []
        for each in chain(self._store.dated(_root(collection)), own_map):
            if each.modified <= latest:
                swept.append(each)
                if not dry_run:
                    self._store.delete(each.key)
        return swept

    def keys(
        self, collection: CollectionName, recorded: Mapping[str, Collection[str]]
    ) -> Iterator[str]:
        """Yield where everything is that is worth keeping of a collection.

        ``recorded`` has the fingerprints of the results of each document that there is.
        """
        folders = groupby(self._store.keys(_root(collection)), lambda key: key.rpartition("/")[0])
        for folder, keys in folders:
            document_id = folder.rpartition("/")[2]
            if document_id in recorded:
                yield from sorted(
                    self._wanted(collection, document_id, list(keys), recorded[document_id])
                )
        if self._store.exists(_map_key(collection)):
            yield _map_key(collection)

    def _wanted(
        self,
        collection: CollectionName,
        document_id: str,
        keys: Collection[str],
        fingerprints: Collection[str],
    ) -> set[str]:
        """Return those of the keys of a document that are not to be removed."""
        if any(_is(_PICTURE, key) for key in keys):
            fingerprints = {*fingerprints, *self._shown(collection, document_id, fingerprints)}
        return {
            key
            for key in keys
            if key.rpartition("-")[2] in fingerprints or _is(_ANSWER, key) or _is(_GRAPH, key)
        }

    def _shown(
        self, collection: CollectionName, document_id: str, fingerprints: Collection[str]
    ) -> set[str]:
        """Return the ids of the pictures that chunks with these fingerprints show."""
        return {
            picture_id
            for fingerprint in fingerprints
            for chunk in self.get_chunks(collection, document_id, fingerprint) or ()
            for picture_id in chunk.pictures
        }


class DocumentAnswers:
    """Answers of a language model about one document, by what was asked; they go with it."""

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store = store
        self._folder = folder

    def get(self, key: str) -> str | None:
        """Return the answer kept under a key; None if there is none, or it cannot be had."""
        try:
            answer = _decoded(self._store, self._key(key), bytes.decode)
            if answer is not None:
                self._store.touch(self._key(key))  # it is in use
            return answer
        except IngestError as error:
            logger.warning("an answer of the language model cannot be looked up: %s", error)
            return None

    def put(self, key: str, answer: str) -> None:
        """Keep an answer; one that cannot be kept is no reason to lose it."""
        try:
            self._store.put(self._key(key), _sealed(answer.encode()), durable=False)
        except IngestError as error:
            logger.warning("an answer of the language model cannot be kept: %s", error)

    def _key(self, key: str) -> str:
        return f"{self._folder}/{_ANSWER}-{key}"


def _decoded(store: ObjectStore, key: str, decode: Callable[[bytes], T]) -> T | None:
    """Read what is stored under a key; None if nothing is, or nothing that can be read."""
    try:
        return decode(_unsealed(store.get(key)))
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


def _part_key(key: str, number: int) -> str:
    """Return the key of a part: the first has the result's, others their number before the dash."""
    head, _, fingerprint = key.rpartition("-")
    return f"{head}.{number}-{fingerprint}" if number else key


def _map_key(collection: CollectionName) -> str:
    """Return a key that is not among those of documents."""
    return f"maps/{collection.tenant}/{collection.name}"


def _picture_key(collection: CollectionName, document_id: str, picture_id: str) -> str:
    return f"{_folder(collection, document_id)}/{_PICTURE}-{picture_id}"


def _graph_key(collection: CollectionName, document_id: str) -> str:
    return f"{_folder(collection, document_id)}/{_GRAPH}-last"


def _is(kind: str, key: str) -> bool:
    return key.rpartition("/")[2].startswith(f"{kind}-")


def _sealed(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big") + data


def _unsealed(sealed: bytes) -> bytes:
    checksum, data = sealed[:_CHECKSUM_BYTES], sealed[_CHECKSUM_BYTES:]
    if zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
        raise ValueError("its checksum does not match")
    return data
