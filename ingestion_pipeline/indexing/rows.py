"""Rows on their way into a table and out of it.

Belongs here: handing over rows that are made while LanceDB writes them, vectors as columns, how
many rows are read at a time. Does not belong here: what is in them (``schema``, ``summary_rows``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


READ_AT_ONCE = 4096
"""Rows that a reader of everything holds; those of one document it holds however many."""


class Rows:
    """Rows that LanceDB takes while it writes, and what went wrong on their side of it."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._error: Exception | None = None

    def reader(self, schema: pa.Schema) -> pa.RecordBatchReader:
        """Return what LanceDB reads."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(schema, self._watched())

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what making rows raised, of which LanceDB passes on the words alone."""
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            if self._error is None:
                raise
            raise self._error from error

    def _watched(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._batches
        except Exception as error:
            self._error = error
            raise


def batch(
    rows: list[dict[str, Any]], vectors: NDArray[np.float32] | None, schema: pa.Schema
) -> pa.RecordBatch:
    """Return rows with their vectors, (rows, dimension), or with none, as one batch."""
    import pyarrow as pa

    vector = schema.field("vector")
    if vectors is None:
        column = pa.nulls(len(rows), vector.type)
    else:
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), type=vector.type)
    place = schema.get_field_index("vector")
    others = pa.RecordBatch.from_pylist(rows, schema.remove(place))
    return others.add_column(place, vector, column)


def vectors_of(table: pa.Table) -> NDArray[np.float32]:
    """Return the vectors of some rows, (rows, dimension)."""
    import numpy as np

    column = table["vector"].combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float32).reshape(len(column), column.type.list_size)


def packed(document_ids: Sequence[str], counts: Sequence[int]) -> Iterator[list[str]]:
    """Yield documents in their order, as many at a time as have few enough rows together."""
    some: list[str] = []
    rows = 0
    for document_id, count in zip(document_ids, counts, strict=True):
        if some and rows + count > READ_AT_ONCE:
            yield some
            some, rows = [], 0
        some.append(document_id)
        rows += count
    if some:
        yield some
