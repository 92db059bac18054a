"""Converted models: graphs that OpenVINO runs.

Belongs here: compiling and running one, and whether it answers as it should. Does not belong here:
making one (``conversion``), when to use one (``runtimes``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.settings import EmbeddingPrecision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_COSINE = 0.999
"""Between the vectors of a converted model and its own."""

_REPORTER = "openvino.tools.ovc"
_STEP = 8
"""Batches are as wide as a multiple of this: what the library prepares for one width serves many
lengths, which saves more than the padding costs."""
_MOST_AT_ONCE = 8
"""Batches, each of which needs memory of its own."""
_HINTS = {EmbeddingPrecision.FLOAT32: "f32", EmbeddingPrecision.BFLOAT16: "bf16"}


def openvino() -> ModuleType:
    """Import OpenVINO without its converter, which tells its maker of every import."""
    sys.modules.setdefault(_REPORTER, None)  # type: ignore[arg-type]  # "not to be imported"
    return import_module("openvino")


class Graph:
    """A converted model, compiled for this processor; may be shared by threads.

    It runs as many batches side by side as there are cores, each on one: they wait for each other
    nowhere, while the cores of a batch that has several wait for the last one after each layer
    (0.9 of the tokens a second, measured on two cores).
    """

    def __init__(
        self, file: Path, precision: EmbeddingPrecision, pad_id: int, max_tokens: int
    ) -> None:
        """Compile it, for texts of ``max_tokens`` at most.

        Raises:
            RuntimeError: if the file is not what it should be.
        """
        cores = _cores()
        self.batches_at_once = min(cores, _MOST_AT_ONCE)
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": cores,
            "NUM_STREAMS": self.batches_at_once,
        }
        self._pad_id = pad_id
        self._max_tokens = max_tokens
        compiled = openvino().Core().compile_model(file, "CPU", options)
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.batches_at_once):
            self._idle.put(compiled.create_infer_request())

    def encode(self, ids: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return one vector for each text, of whatever length, given its tokens."""
        import numpy as np

        longest = max(map(len, ids))
        shape = len(ids), min(max(1, -(-longest // _STEP)) * _STEP, self._max_tokens)
        tokens = np.full(shape, self._pad_id, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, own in enumerate(ids):
            tokens[row, : len(own)] = own
            mask[row, : len(own)] = 1
        request = self._idle.get()
        try:
            return np.array(request.infer({0: tokens, 1: mask})[0], dtype=np.float32)
        finally:
            self._idle.put(request)

    def answers(self, examples: Sequence[Mapping[str, Any]]) -> bool:
        """Whether examples (``ids``, ``vector`` of length 1) get the vectors they should."""
        import numpy as np

        vectors = self.encode([np.array(example["ids"], dtype=np.int64) for example in examples])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        expected = np.array([example["vector"] for example in examples], dtype=np.float32)
        return bool(((vectors * expected).sum(axis=1) >= LEAST_COSINE).all())


def _cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
