"""Results of any length, of which one part or two are in memory.

Belongs here: what stages hold in place of all chunks or all vectors of a document. Does not belong
here: where parts are stored (``artifacts``).

Each part but the last holds ``ROWS_IN_PART`` rows, and the last one fewer; so nearly every document
has one part, which is at hand. Other parts are read again whenever they are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.memory import give_back
from ingestion_pipeline.model.chunks import Chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROWS_IN_PART = 8192
"""Some 10 MiB of chunks; as vectors of 384 floats 12 MiB."""

Part = TypeVar("Part", "list[Chunk]", "NDArray[np.float32]")


@dataclass(frozen=True)
class ReadTexts:
    """Texts that a model read, each by a hash of both, and their vectors, (n, dim)."""

    keys: Sequence[bytes]
    vectors: NDArray[np.float32]


class Parts(Generic[Part]):
    """The parts of a result: the first, and of those behind it the one that was asked for last."""

    def __init__(self, first: Part, rows: int, read: Callable[[int], Part | None]) -> None:
        self.first: Part = first
        self.rows = rows
        self._read: Callable[[int], Part | None] = read
        self._number = 0
        self._part: Part = first

    def between(self, start: int, stop: int) -> Iterator[Part]:
        """Yield what there is of the rows ``start..stop`` in each part that has any.

        Raises:
            TransientError: of kind ``unavailable`` if a part is gone or damaged since.
        """
        while start < stop:
            number, offset = divmod(start, ROWS_IN_PART)
            rows = self._of(number)[offset : offset + stop - start]
            yield rows
            start += len(rows)

    def _of(self, number: int) -> Part:
        if number == 0:
            return self.first
        if number != self._number:
            self._number, self._part = 0, self.first  # lets go of the part before
            give_back()
            part = self._read(number)
            if part is None:
                raise TransientError(
                    ErrorKind.UNAVAILABLE,
                    "what was stored of a long document is gone or damaged; try again",
                )
            self._number, self._part = number, part
        return self._part


class StoredChunks(Sequence[Chunk]):
    """The chunks of a document."""

    def __init__(self, parts: Parts[list[Chunk]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return self._parts.rows

    def __iter__(self) -> Iterator[Chunk]:
        for some in self._parts.between(0, len(self)):
            yield from some

    @overload
    def __getitem__(self, index: int) -> Chunk: ...
    @overload
    def __getitem__(self, index: slice) -> list[Chunk]: ...
    def __getitem__(self, index: int | slice) -> Chunk | list[Chunk]:
        if isinstance(index, int):
            (chunk,) = self._at(range(len(self))[index])
            return chunk
        start, stop, step = index.indices(len(self))
        if step == 1:
            return [chunk for some in self._parts.between(start, stop) for chunk in some]
        return [chunk for place in range(start, stop, step) for chunk in self._at(place)]

    def _at(self, place: int) -> list[Chunk]:
        return next(self._parts.between(place, place + 1))


class StoredVectors:
    """The vectors of a document, to be sliced like an array of shape (n, dim)."""

    def __init__(self, parts: Parts[NDArray[np.float32]]) -> None:
        self._parts = parts
        self.shape = (parts.rows, parts.first.shape[1])

    def __len__(self) -> int:
        return self._parts.rows

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        """Return rows that follow each other."""
        import numpy as np

        start, stop, _ = rows.indices(len(self))
        return np.concatenate([self._parts.first[:0], *self._parts.between(start, stop)])
