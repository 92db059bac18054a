"""Which process works, told from every other one, also from a later one with the same number.

Belongs here: naming a process and ending it by that name. Elsewhere than on Linux, and for
processes of other machines, ending is not possible, and fencing has to do.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

START_FIELD = 19
"""Of ``/proc/PID/stat`` behind the command's name: when the process was started, in ticks."""


def own_identity() -> str:
    """Return ``host:pid:start`` of this process."""
    return _identity(os.getpid())


def kill(identity: str | None) -> bool:
    """Kill a process of this machine, even a stopped one; return whether it was there."""
    number = (identity or "").rpartition(":")[0].rpartition(":")[2]
    if not number.isdigit() or _started(int(number)) is None:
        return False
    if _identity(int(number)) != identity:
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(int(number), signal.SIGKILL)
    return True


def _identity(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{_started(pid) or ''}"


def _started(pid: int) -> str | None:
    try:
        # The command's name comes second, in brackets, and may hold anything.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[START_FIELD]
    except (OSError, IndexError):
        return None
