"""Letting a document's title weigh in the vectors of its chunks.

Belongs here: the arithmetic. Does not belong here: which weight a collection has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def title_weighted(
    text_vectors: NDArray[np.float32], title_vectors: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    """Return ``weight * title + (1 - weight) * text``, scaled to length 1.

    The mix is RAGFlow's. Vectors are shaped (texts, dimension); titles may also be one vector,
    shaped (dimension,), for all texts. A weight of 0 returns the text vectors untouched, of 1 the
    titles'.

    Raises:
        PermanentError: of kind ``invalid_option`` for a weight outside 0..1.
    """
    import numpy as np

    if not 0 <= weight <= 1:
        raise PermanentError(
            ErrorKind.INVALID_OPTION, f"a title weight of {weight} is not in 0..1; set title_weight"
        )
    if weight == 0:
        return text_vectors
    titles = np.broadcast_to(title_vectors, text_vectors.shape)
    if weight == 1:
        return titles.copy()
    mixed = np.float32(weight) * titles + np.float32(1 - weight) * text_vectors
    lengths = np.linalg.norm(mixed, axis=1, keepdims=True)
    return np.asarray(np.divide(mixed, lengths, out=mixed, where=lengths > 0), dtype=np.float32)
