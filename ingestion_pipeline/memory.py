"""Having the C library give memory back to the system.

Belongs here: nothing else. What is freed is free for what comes next in this process, but not for
others: glibc keeps the pages between what is still in use. Elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return free pages to the system; takes a millisecond or two."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not every C library has it
        if trim is not None:
            trim(0)
