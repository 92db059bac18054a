"""Taking turns at the processor, between the processes of one machine.

Two models that each use all cores at the same time wait for each other's threads, and are slower
than one after the other: 426 documents a minute in two runs, against 738 in one (two cores).

Belongs here: whose turn it is. Does not belong here: what is done in it (``embedder``).
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LONGEST_WAIT_SECONDS = 5.0
"""Somebody who was stopped in the middle of a turn must not hold up the others for ever."""
POLL_SECONDS = 0.005


@contextmanager
def turn(file: Path) -> Iterator[None]:
    """Have the block to ourselves among all who name this file, or after a while all the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as opened:  # closing it ends the turn
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while not _is_ours(opened) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        yield


def _is_ours(opened: IO[bytes]) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
