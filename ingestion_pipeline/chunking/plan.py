"""How a document is to be cut, as the caller says it.

Belongs here: the plan and what it may not ask for. Does not belong here: following it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import ChunkStrategy, ParserKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Gives each text a vector of length 1, as rows of ``float32 (n, d)``."""

SMALLEST_CAP = 16
"""Tokens; below this a single character with the special tokens might not fit."""


@dataclass(frozen=True)
class ChunkPlan:
    """What to look for in a document and how to cut it.

    ``strategy`` None is what fits the kind. ``max_tokens`` caps each chunk, special tokens
    included. ``overlap`` is the most tokens that a chunk repeats from the end of the one before,
    within a section. A chunk always ends after one of the ``delimiters``. ``parent_tokens`` caps
    the parents of the strategy ``parent_child``, whose chunks take at most half of that. For the
    strategy ``hierarchy``, ``levels`` are patterns of headings, highest first, and ``depth`` says
    down to which level one begins a new chunk.

    Raises:
        PermanentError: of kind ``invalid_option``, for a cap or an overlap that cannot work.
    """

    kind: ParserKind
    strategy: ChunkStrategy | None
    max_tokens: int
    overlap: int = 0
    delimiters: tuple[str, ...] = ()
    parent_tokens: int = 1024
    levels: tuple[tuple[str, ...], ...] = ()
    depth: int = 2

    def __post_init__(self) -> None:
        if self.max_tokens < SMALLEST_CAP:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                f"a chunk of {self.max_tokens} tokens is too small; set chunk_tokens to at least "
                f"{SMALLEST_CAP}",
            )
        if not 0 <= self.overlap < self.max_tokens / 2:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                f"an overlap of {self.overlap} tokens does not fit chunks of {self.max_tokens}; "
                "set chunk_overlap to less than half of chunk_tokens",
            )
