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

KIBIBYTE = 1024
START_FIELD = 19
"""Of ``/proc/PID/stat`` behind the command's name: when the process was started, in ticks."""


def own_identity() -> str:
    """Return ``host:pid:start`` of this process."""
    return _identity(os.getpid())


def is_gone(identity: str | None) -> bool:
    """Whether a process of this machine is known to have ended; of others nobody here knows."""
    host, number = _parts(identity)
    return host == socket.gethostname() and _identity(number) != identity


def kill(identity: str | None) -> bool:
    """Kill a process of this machine, even a stopped one; return whether it was there."""
    _, number = _parts(identity)
    if _started(number) is None or _identity(number) != identity:
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(number, signal.SIGKILL)
    return True


def memory_bytes(*pids: int) -> int:
    """Return the memory of processes, a page that several of them share counted once in all."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name == "Pss":
                    total += int(rest.split()[0]) * KIBIBYTE
    return total


def _parts(identity: str | None) -> tuple[str, int]:
    host, _, number = (identity or "").rpartition(":")[0].rpartition(":")
    return host, int(number) if number.isdigit() else 0


def _identity(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{_started(pid) or ''}"


def _started(pid: int) -> str | None:
    try:
        # The command's name comes second, in brackets, and may hold anything.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[START_FIELD]
    except (OSError, IndexError):
        return None
