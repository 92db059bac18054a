"""What a child process owes its parent.

Belongs here: what every child does first, whatever it is for. Does not belong here: starting one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have this process end with its parent, however that ends and whatever is under way here.

    Elsewhere than on Linux only a parent that is gone already is noticed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
