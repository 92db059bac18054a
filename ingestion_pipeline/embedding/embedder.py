"""Running an embedding model.

Belongs here: loading it once and encoding texts in batches. Does not belong here: where its files
are (``models``), what is done with the vectors (``weighting``, ``indexing``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control
from ingestion_pipeline.embedding import models, precision
from ingestion_pipeline.embedding.tokenizer import Tokenizer, without_surrogates
from ingestion_pipeline.embedding.turns import turn
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import EmbeddingPrecision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

_MODELS_IN_MEMORY = 2
_FEW_TEXTS = 2
"""Up to so many texts one thread is faster: it has nobody to wait for, least of all on a busy
machine (measured for a question: 17 ms, against 38 to 77 ms on two threads)."""


class Embedder:
    """A model that turns texts into vectors; may be shared by threads.

    Everything but ``encode`` works without loading the model, where its files tell enough.
    """

    def __init__(
        self,
        name: str,
        batch_size: int,
        wanted_precision: EmbeddingPrecision = EmbeddingPrecision.AUTO,
        turns: Path | None = None,
    ) -> None:
        """Find the model; processes that name the same file for ``turns`` do not run at once.

        Raises:
            PermanentError: if it is not on this machine.
        """
        self.name = name
        self.batch_size = batch_size
        self._wanted_precision = wanted_precision
        self._turns = turns
        self._folder = models.model_folder(name)
        self._lock = RLock()

    @cached_property
    def fingerprint(self) -> str:
        """The model's identity: a hash of its files, equal wherever they lie."""
        return models.fingerprint(self._folder)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return Tokenizer(self._folder)

    @cached_property
    def dimension(self) -> int:
        """The length of a vector."""
        return models.declared_dimension(self._folder) or self._measured_dimension()

    @cached_property
    def max_tokens(self) -> int:
        """The most tokens the model reads of a text, special tokens included."""
        return models.declared_max_tokens(self._folder) or self._loaded_max_tokens()

    @cached_property
    def languages(self) -> frozenset[str] | None:
        """The ISO 639 codes of the languages it was made for, None if its files do not tell."""
        return models.declared_languages(self._folder)

    def load(self) -> None:
        """Load the model now, rather than when it is first needed.

        Raises:
            PermanentError: of kind ``broken`` if that is not possible.
        """
        self._model  # noqa: B018

    def encode(self, texts: Sequence[str], control: Control) -> NDArray[np.float32]:
        """Return one vector of length 1 per text, shaped (texts, dimension), in float32.

        Texts of similar length share a batch, so that little is padded. What a text holds beyond
        ``max_tokens`` is not read. Threads take turns, batch by batch; torch uses all cores.
        """
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        longest_first = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        for first in range(0, len(texts), self.batch_size):
            control.check()
            batch = longest_first[first : first + self.batch_size]
            with self._lock, self._turn(len(batch)), _threads_for(len(batch)):
                vectors[batch] = self._model.encode(
                    [without_surrogates(texts[index]) for index in batch],
                    batch_size=self.batch_size,
                    show_progress_bar=False,
                )
        # Not in the model's own precision, in which lengths would be off by some thousandths.
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors

    def _turn(self, texts: int) -> AbstractContextManager[None]:
        """Wait for our turn at all cores; few texts take one, and wait for nobody."""
        return turn(self._turns) if self._turns and texts > _FEW_TEXTS else nullcontext()

    @property
    def _model(self) -> SentenceTransformer:
        with self._lock:
            return self._loaded_model

    @cached_property
    def _loaded_model(self) -> SentenceTransformer:
        import torch
        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        dtype = getattr(torch, precision.chosen(self._wanted_precision))
        try:
            return SentenceTransformer(
                str(self._folder), local_files_only=True, model_kwargs={"dtype": dtype}
            )
        except (OSError, ValueError, SafetensorError) as error:
            raise PermanentError(
                ErrorKind.BROKEN,
                f"the embedding model {self.name!r} cannot be loaded ({error}); "
                "check its folder or configure another embedding_model",
            ) from error

    def _measured_dimension(self) -> int:
        return int(self._model.encode([""], show_progress_bar=False).shape[1])

    def _loaded_max_tokens(self) -> int:
        limit = self._model.max_seq_length
        if limit is None:
            raise PermanentError(
                ErrorKind.UNSUPPORTED,
                f"the embedding model {self.name!r} does not say how many tokens it reads; "
                "write max_seq_length into its sentence_bert_config.json",
            )
        return limit


@contextmanager
def _threads_for(texts: int) -> Iterator[None]:
    """Have torch use one thread for few texts, and what it used before for many."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if texts <= _FEW_TEXTS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def load_embedder(
    name: str,
    batch_size: int,
    wanted_precision: EmbeddingPrecision = EmbeddingPrecision.AUTO,
    turns: Path | None = None,
) -> Embedder:
    """Return the embedder of that name, one per process, so that its model is loaded once.

    Raises:
        PermanentError: if the model is not on this machine.
    """
    with _CACHE_LOCK:
        return _cached_embedder(name, batch_size, wanted_precision, turns)


_CACHE_LOCK = Lock()
_cached_embedder = lru_cache(maxsize=_MODELS_IN_MEMORY)(Embedder)
