"""Source objects: the bytes of documents, by content, each in its own collection.

Belongs here: their keys and who may read them. Does not belong here: fetching sources from
elsewhere (``stages``).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.storage.base import Dated, ObjectStore, checked_key, missing

SCHEME = "object:"


class SourceObjects:
    """Bytes under ``objects/{tenant}/{collection}/{sha256[:2]}/{sha256}``.

    The same bytes are kept once per collection and never shared between two, so nobody can
    learn or reach what another tenant has.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, collection: CollectionName, data: bytes) -> tuple[str, str]:
        """Store a document's bytes if they are new; return their key and SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        key = self.key(collection, sha256)
        # The size too: a loss of power may have torn what an earlier life of the disk held.
        # Touched, so that no sweep takes what is old and belongs to nobody before it is recorded.
        if self._store.size(key) != len(data) or not self._store.touch(key):
            self._store.put(key, data)
        return key, sha256

    def key(self, collection: CollectionName, sha256: str) -> str:
        """Return the key of the bytes with this hash, whether or not they are there."""
        return f"{_folder(collection)}/{sha256[:2]}/{sha256}"

    def renew(self, collection: CollectionName, key: str) -> bool:
        """Have sweeps spare a document's bytes as if put just now; return whether they are there.

        Raises:
            PermanentError: of kind ``forbidden_source`` if the key is another collection's.
        """
        return self._store.touch(_own(collection, key))

    def get(self, collection: CollectionName, key: str) -> bytes:
        """Return a document's bytes.

        Raises:
            PermanentError: of kind ``forbidden_source`` if the key belongs to another
                collection, ``not_found`` if there is no such object, ``broken`` if the stored
                bytes are not those the key was made from.
        """
        data = self._store.get(_own(collection, key))
        if hashlib.sha256(data).hexdigest() != key.rpartition("/")[2]:
            raise PermanentError(
                ErrorKind.BROKEN, f"the stored object {key!r} is damaged: submit the source again"
            )
        return data

    def size(self, collection: CollectionName, key: str) -> int:
        """Return the length of a document's bytes.

        Raises:
            PermanentError: of kind ``forbidden_source`` if the key belongs to another
                collection, ``not_found`` if there is no such object.
        """
        size = self._store.size(_own(collection, key))
        if size is None:
            raise missing(key)
        return size

    def sweep(
        self,
        collection: CollectionName,
        used: Collection[str],
        older_than: float = 0.0,
        *,
        dry_run: bool = False,
    ) -> list[Dated]:
        """Remove a collection's objects whose keys are not in ``used``; return them.

        Those that somebody put in the last ``older_than`` seconds stay: what names them may be on
        its way. In a ``dry_run`` all of them do.
        """
        latest = time.time() - older_than
        swept: list[Dated] = []
        # Each goes as soon as its age was seen: one that is stored again meanwhile is young.
        for each in self._store.dated(_folder(collection)):
            if each.key not in used and each.modified <= latest:
                swept.append(each)
                if not dry_run:
                    self._store.delete(each.key)
        return swept

    def delete(self, collection: CollectionName, key: str) -> None:
        """Remove a document's bytes; the caller knows that no other document has the same.

        Raises:
            PermanentError: of kind ``forbidden_source`` if the key is another collection's.
        """
        self._store.delete(_own(collection, key))


def object_uri(key: str) -> str:
    """Return the URI by which messages name a stored object."""
    return SCHEME + checked_key(key)


def object_key(uri: str) -> str:
    """Read the key back out of an ``object:`` URI.

    Raises:
        PermanentError: of kind ``invalid_option`` if it is none.
    """
    if not uri.startswith(SCHEME):
        raise PermanentError(
            ErrorKind.INVALID_OPTION, f"{uri[:200]!r} does not name a stored object (object:…)"
        )
    return checked_key(uri.removeprefix(SCHEME))


def _folder(collection: CollectionName) -> str:
    return f"objects/{collection.tenant}/{collection.name}"


def _own(collection: CollectionName, key: str) -> str:
    if not checked_key(key).startswith(f"{_folder(collection)}/"):
        raise PermanentError(
            ErrorKind.FORBIDDEN_SOURCE,
            f"the object {key!r} does not belong to the collection {collection.key!r}: "
            "submit the file to this collection",
        )
    return key
