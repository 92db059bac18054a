"""Which library runs an embedding model here.

Belongs here: what a runtime can do, and the choice. Does not belong here: how each does it
(``torch_runtime``, ``openvino_runtime``). A runtime is no part of a model's fingerprint: vectors of
the two agree to a cosine of .999, so that they may share an index.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ingestion_pipeline.embedding.models import Model
from ingestion_pipeline.embedding.openvino_runtime import CannotRunError, OpenVinoRuntime
from ingestion_pipeline.embedding.torch_runtime import TorchRuntime
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import EmbeddingPrecision, EmbeddingRuntime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_DEVICES = Path("/dev")
_GRAPHICS_CARDS = ("nvidia[0-9]*", "dxg")
"""Files that stand for graphics cards; where there is none, torch need not be asked."""


class Runtime(Protocol):
    """A model that is loaded."""

    kind: EmbeddingRuntime
    precision: EmbeddingPrecision
    dimension: int

    @property
    def max_tokens(self) -> int | None:
        """The most tokens it reads of a text, special ones included; None if nothing tells."""

    @property
    def batches_at_once(self) -> int:
        """How many it is best given at the same time; if but one, that uses all cores."""

    def encode(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return one vector for each text of a batch, of whatever length; may be used by threads.

        ``ids`` are the texts' tokens, cut where the model stops reading.
        """


def opened(
    model: Model, runtime: EmbeddingRuntime, precision: EmbeddingPrecision, cache: Path
) -> Runtime:
    """Load a model; what has to be made of its files for that is kept in ``cache``.

    ``auto`` is torch on a graphics card. Elsewhere it is OpenVINO, which is faster there and takes
    a third of the memory, or torch where OpenVINO cannot run the model.

    Raises:
        PermanentError: of kind ``broken`` if the model cannot be loaded; ``unsupported`` if it
            cannot be loaded in the runtime that is asked for.
    """
    if runtime is EmbeddingRuntime.TORCH or (
        runtime is EmbeddingRuntime.AUTO and _has_graphics_card()
    ):
        return TorchRuntime(model, precision)
    try:
        return OpenVinoRuntime(model, precision, cache)
    except CannotRunError as error:
        if runtime is EmbeddingRuntime.OPENVINO:
            raise PermanentError(
                ErrorKind.UNSUPPORTED,
                f"OpenVINO cannot run the embedding model {model.name!r} ({error}); "
                "set INGEST_EMBEDDING_RUNTIME to auto or torch",
            ) from error
        logger.warning("torch runs the embedding model %s, not OpenVINO: %s", model.name, error)
        return TorchRuntime(model, precision)


def _has_graphics_card() -> bool:
    if not any(file for pattern in _GRAPHICS_CARDS for file in _DEVICES.glob(pattern)):
        return False
    import torch

    return torch.cuda.is_available()
