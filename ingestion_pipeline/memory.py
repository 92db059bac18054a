"""Having the C library give memory back to the system.

Belongs here: nothing else. What is freed is free for what comes next in this process, but not for
others: glibc keeps the pages between what is still in use, and, once a large block was freed, no
longer asks the system for blocks of up to 32 MiB each by itself. Elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

_MMAP_THRESHOLD = -3
"""The parameter's number: from how many bytes on a block has pages of its own."""
_SMALL = 256 * 1024
_USUAL = 32 * 1024**2
"""What glibc comes to by itself."""


def give_back() -> None:
    """Return free pages to the system; takes a millisecond or two."""
    _function("malloc_trim")(0)


@contextmanager
def sparing() -> Iterator[None]:
    """Have blocks of some size go back to the system as soon as they are freed.

    For work that takes and frees many, as LanceDB's. A model's blocks are taken again at once.
    """
    give_back()
    _function("mallopt")(_MMAP_THRESHOLD, _SMALL)
    try:
        yield
    finally:
        _function("mallopt")(_MMAP_THRESHOLD, _USUAL)
        give_back()


@cache
def _function(name: str) -> Callable[..., int]:
    if sys.platform != "linux":
        return lambda *_: 0
    return getattr(ctypes.CDLL(None), name, lambda *_: 0)
