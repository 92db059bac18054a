"""What searches keep in memory of what was published, until it is published anew.

Belongs here: for how many collections, and until when. Does not belong here: what is kept
(``graph``, ``summaries``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from ingestion_pipeline.indexing import CollectionIndex

COLLECTIONS_KEPT = 4
"""In memory, in each process."""

Read = TypeVar("Read")


class Kept(Generic[Read]):
    """What was read of the collections that were asked last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._read: OrderedDict[tuple[str, str], tuple[str, Read]] = OrderedDict()

    def of(self, index: CollectionIndex, version: str, read: Callable[[], Read]) -> Read:
        """Return what was read of a version, or read it now."""
        key = index.uri, index.name
        with self._lock:
            before, known = self._read.get(key, ("", None))
        # Read outside of the lock: other collections, and children of a fork, do not wait for it.
        if known is None or before != version:
            known = read()
        with self._lock:
            self._read[key] = version, known
            self._read.move_to_end(key)
            if len(self._read) > COLLECTIONS_KEPT:
                self._read.popitem(last=False)
        return known
