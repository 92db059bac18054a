"""Having a process hold little more memory than it uses.

Belongs here: how the libraries below us set memory aside, and having the C library give it back to
the system. What is freed is free for what comes next in this process, but not for others: glibc
keeps the pages between what is still in use, and does so for each thread apart. Elsewhere than on
Linux nothing of this applies.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable

ARENAS = 2
"""Pools of memory that threads share; else glibc makes eight for each core."""
LARGE_BYTES = 4 * 1024 * 1024
"""What is allocated at once from here on goes back as soon as it is freed. Left alone, glibc raises
this with what it sees, and what is freed then leaves gaps that nothing else fits in."""

ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # Arrow's own keeps what it has freed
    "MALLOC_ARENA_MAX": str(ARENAS),
    "MALLOC_MMAP_THRESHOLD_": str(LARGE_BYTES),
    "MALLOC_TRIM_THRESHOLD_": str(LARGE_BYTES),
}
"""What a process is started with to hold little; what somebody set before stays as it is."""

_MALLOPT = {
    "MALLOC_ARENA_MAX": -8,
    "MALLOC_MMAP_THRESHOLD_": -3,
    "MALLOC_TRIM_THRESHOLD_": -1,
}
"""What glibc reads when a process starts, and the numbers by which it takes it later."""


def hold_little(names: Iterable[str]) -> None:
    """Have this process do as if it had been started with these of ``ENVIRONMENT``.

    To be called before threads are started. It is for what glibc reads when a process starts; what
    libraries read, they find in the environment.
    """
    mallopt = _of_c_library("mallopt")
    if mallopt is not None:
        for name in _MALLOPT.keys() & set(names):
            mallopt(_MALLOPT[name], int(ENVIRONMENT[name]))


def give_back() -> None:
    """Return free pages to the system; takes a millisecond or two."""
    trim = _of_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def _of_c_library(name: str) -> ctypes._NamedFuncPointer | None:
    """Return one of glibc's own functions; not every C library has it."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
