"""Stand-ins for what is slow: a small deterministic embedding model, services that use it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from ingestion_pipeline.embedding import Tokenizer, model_folder
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.settings import (
    PACKAGED_MODEL,
    EmbeddingPrecision,
    EmbeddingRuntime,
    Settings,
)
from ingestion_pipeline.stages.work import Tools
from ingestion_pipeline.tasks.services import Services

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingestion_pipeline.control import Control
    from ingestion_pipeline.embedding import Embedder
    from ingestion_pipeline.model.collections import Collection

POISON = "unembeddable"
"""A text with this word breaks the fake model."""


@lru_cache(maxsize=1)
def packaged_tokenizer() -> Tokenizer:
    return Tokenizer(model_folder(PACKAGED_MODEL))


class FakeEmbedder:
    """Turns a text into eight numbers that depend on nothing but the text."""

    dimension = 8
    max_tokens = 64
    languages: frozenset[str] | None = frozenset({"en"})
    runtime = EmbeddingRuntime.TORCH
    precision = EmbeddingPrecision.FLOAT32

    def __init__(self, fingerprint: str = "fake") -> None:
        self.name = fingerprint
        self.fingerprint = fingerprint
        self.tokenizer = packaged_tokenizer()
        self.encoded: list[str] = []
        self.rests = 0

    def load(self) -> None:
        """There is nothing to load."""

    def rest(self) -> None:
        self.rests += 1

    def encode(self, texts: Sequence[str], control: Control) -> NDArray[np.float32]:
        import numpy as np

        control.check()
        if any(POISON in text for text in texts):
            raise ValueError("the model broke")
        self.encoded += texts
        digests = [
            hashlib.sha256(text.encode("utf-8", "replace")).digest()[: self.dimension]
            for text in texts
        ]
        vectors = np.array([list(digest) for digest in digests], dtype=np.float32) - 127.5
        vectors = vectors.reshape(len(texts), self.dimension)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fake_embedder(services: Services, collection: Collection) -> FakeEmbedder:
    """Stand in for ``Services.embedder``."""
    return FakeEmbedder(collection.searched_model or services.configured_model(collection))


class FakeServices(Services):
    """The real services with the fake model, and with parser children that others use too.

    A collection may name another model.
    """

    def __init__(self, settings: Settings, parsers: ParserPool | None = None) -> None:
        super().__init__(settings)
        self._shared_parsers = parsers
        self.embedders: dict[str, FakeEmbedder] = {}

    @contextmanager
    def tools(self, collection: Collection, pipeline: str | None = None) -> Iterator[Tools]:
        with super().tools(collection, pipeline) as tools:
            yield replace(tools, parsers=self._shared_parsers or tools.parsers)

    def embedder(self, collection: Collection) -> Embedder:
        name = collection.searched_model or self.configured_model(collection)
        return cast("Embedder", self.embedders.setdefault(name, FakeEmbedder(name)))

    def configured_model(self, collection: Collection) -> str:
        return collection.config.embedding_model or "fake"
