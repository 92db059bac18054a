"""Running a model in torch: on graphics cards, and what nothing else runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from ingestion_pipeline.embedding import precision
from ingestion_pipeline.embedding.models import Model
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import EmbeddingPrecision, EmbeddingRuntime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

FEW_TEXTS = 2
"""Up to so many texts run on one thread (measured for a question: 3 ms, against 3 to 11 ms on two
threads of a busy machine)."""


class TorchRuntime:
    """A model as sentence-transformers runs it."""

    kind = EmbeddingRuntime.TORCH
    batches_at_once = 1

    def __init__(self, model: Model, wanted: EmbeddingPrecision) -> None:
        """Load it.

        Raises:
            PermanentError: of kind ``broken`` if that is not possible.
        """
        import torch
        from safetensors import SafetensorError

        self.precision = precision.chosen(wanted, on_graphics_card=torch.cuda.is_available())
        try:
            self._model = load(model.folder, self.precision)
        except (OSError, ValueError, SafetensorError) as error:
            raise PermanentError(
                ErrorKind.BROKEN,
                f"the embedding model {model.name!r} cannot be loaded ({error}); "
                "check its folder or configure another embedding_model",
            ) from error
        self.max_tokens: int | None = self._model.max_seq_length
        self._lock = Lock()
        self.dimension = int(self._model.encode([""], show_progress_bar=False).shape[1])

    def encode(
        self,
        texts: Sequence[str],
        ids: Sequence[NDArray[np.int64]],  # noqa: ARG002 - it reads the texts itself
    ) -> NDArray[np.float32]:
        """Return one vector for each text."""
        import numpy as np

        with self._lock, _one_thread(len(texts) <= FEW_TEXTS):
            vectors = self._model.encode(
                list(texts), batch_size=len(texts), show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)


def load(folder: Path, wanted: EmbeddingPrecision) -> SentenceTransformer:
    """Return a model from its files alone, without a word on the screen."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return SentenceTransformer(
        str(folder), local_files_only=True, model_kwargs={"dtype": getattr(torch, wanted)}
    )


@contextmanager
def _one_thread(few: bool) -> Iterator[None]:
    """Have torch use one thread for few texts, and what it used before for many."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if few else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
