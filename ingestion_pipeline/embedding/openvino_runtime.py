"""Running a model in OpenVINO: on processors, without torch in this process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion_pipeline.embedding import conversion, graphs, precision
from ingestion_pipeline.embedding.models import Model
from ingestion_pipeline.settings import EmbeddingPrecision, EmbeddingRuntime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class CannotRunError(Exception):
    """OpenVINO cannot run this model here; says why."""


class OpenVinoRuntime:
    """A converted model.

    It is converted when it is first needed, which takes some 10 s, and kept in a folder that may
    be deleted at any time. Whatever is wrong with what was kept is found by a few examples, and it
    is made again. That a model cannot be converted is kept too.
    """

    kind = EmbeddingRuntime.OPENVINO

    def __init__(self, model: Model, wanted: EmbeddingPrecision, cache: Path) -> None:
        """Load it, and convert it before if need be.

        Raises:
            CannotRunError: if that is not possible.
        """
        try:
            graphs.openvino()
        except ImportError as error:
            raise CannotRunError(f"it cannot be imported: {error}") from error
        self.precision = precision.chosen(wanted)
        self._pad_id = model.pad_id
        self._folder = cache / conversion.name_of(model.fingerprint)
        if self._is_loaded():
            return
        try:
            with conversion.alone(self._folder):
                if not self._is_loaded():  # nobody has made it while we waited
                    conversion.convert(model.folder, self._folder)
                    if not self._is_loaded():
                        raise CannotRunError("what was converted cannot be loaded")
        except (OSError, conversion.ConversionError) as error:
            raise CannotRunError(str(error)) from error

    def _is_loaded(self) -> bool:
        """Load the converted model; tell whether it is there and answers as it should.

        Raises:
            CannotRunError: if the model cannot be converted.
        """
        try:
            file = self._folder / conversion.NOTES
            notes = json.loads(file.read_bytes())
            with suppress(OSError):  # it may be somebody else's
                file.touch()  # it is in use: see ``conversion.sweep``
            refused = notes.get("refused")
            if not refused:
                self.dimension = int(notes["dimension"])
                self.max_tokens = int(notes["max_tokens"])
                graph = self._folder / conversion.GRAPH
                self._graph = graphs.Graph(graph, self.precision, self._pad_id, self.max_tokens)
                return self._graph.answers(notes["examples"])
        except (OSError, RuntimeError, ValueError, LookupError, TypeError):
            return False
        raise CannotRunError(refused)

    @property
    def batches_at_once(self) -> int:
        """As many as there are cores."""
        return self._graph.batches_at_once

    def encode(
        self,
        texts: Sequence[str],  # noqa: ARG002 - their tokens are all it needs
        ids: Sequence[NDArray[np.int64]],
    ) -> NDArray[np.float32]:
        """Return one vector for each text."""
        return self._graph.encode(ids)
