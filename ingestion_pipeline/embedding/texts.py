"""Texts that a model reads, each of them once.

Belongs here: which of some texts are new, and the vectors of all. Does not belong here: what was
read before, and where that is kept (``stages``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control
from ingestion_pipeline.embedding.embedder import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KEY_BYTES = 16


class Texts:
    """Some texts and their vectors. A text is known by a hash of itself and of the model."""

    def __init__(self, texts: Iterable[str], embedder: Embedder) -> None:
        """Take texts, of which some may be equal; their vectors are to follow."""
        import numpy as np

        self._model = embedder.fingerprint
        self._texts = {self._key(text): text for text in texts}
        self._rows = {key: row for row, key in enumerate(self._texts)}
        self._vectors = np.empty((len(self._texts), embedder.dimension), dtype=np.float32)
        self._new = set(self._texts)

    def take(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Take over vectors of texts that were read before, those of ours among them."""
        for key, vector in zip(keys, vectors, strict=True):
            if key in self._new:
                self._vectors[self._rows[key]] = vector
                self._new.remove(key)

    def read(self, embedder: Embedder, control: Control) -> None:
        """Have the model read the texts that are new."""
        keys = [key for key in self._texts if key in self._new]
        texts = [self._texts[key] for key in keys]
        self._vectors[[self._rows[key] for key in keys]] = embedder.encode(texts, control)

    def takes_new(self, text: str) -> bool:
        """Whether a text is new; of equal ones, the first that is asked for."""
        key = self._key(text)
        new = key in self._new
        self._new.discard(key)
        return new

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return vectors of ours, (texts, dimension)."""
        return self._vectors[[self._rows[self._key(text)] for text in texts]]

    def named(self, texts: Sequence[str]) -> tuple[list[bytes], NDArray[np.float32]]:
        """Return the keys of texts of ours, each once, and their vectors, (keys, dimension)."""
        keys = list(dict.fromkeys(map(self._key, texts)))
        return keys, self._vectors[[self._rows[key] for key in keys]]

    def _key(self, text: str) -> bytes:
        named = f"{self._model}\0{text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(named, digest_size=_KEY_BYTES).digest()
