"""Giving back the room that deleted rows leave in a file of SQLite, while others use it.

Belongs here: one file. Does not belong here: which files there are. PostgreSQL does the same by
itself.

SQLite fills that room again, so giving it back is never urgent, and a file that is busy is left as
it is. ``VACUUM`` writes the whole file anew in one transaction: with a write-ahead log readers go
on, and writers wait for it.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

LOCK_SECONDS = 5.0
"""How long we wait for other writers."""
LEAST_BYTES = 1024**2
LEAST_SHARE = 0.1
"""What has to be free for it to be worth writing the rest."""
BYTES_PER_SECOND = 32 * 1024**2
"""How fast a file is written at least: measured on two cores with seven times as much to do as they
can; they take 0.1 s of CPU for 27 MB."""
STEPS_BETWEEN_LOOKS = 10_000


@dataclass(frozen=True)
class Vacuumed:
    """What a file took before and takes now, its log included, and what of it was free."""

    bytes_before: int
    bytes: int
    free_bytes: int
    problem: str | None = None
    """Why it stayed as it was although there was enough free."""


def vacuum(path: Path, seconds: float, *, dry_run: bool = False) -> Vacuumed:
    """Give back what is free in a file, if it is worth it; other writers wait ``seconds`` at most.

    A file that would take longer, or that others keep busy, stays as it is.
    """
    if not path.exists():
        return Vacuumed(0, 0, 0)
    before = _size(path)
    with closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
        page, pages, free = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
        free_bytes, used_bytes = page * free, page * (pages - free)
        worth_it = free_bytes >= max(LEAST_BYTES, LEAST_SHARE * page * pages)
        problem = None
        if worth_it and not dry_run:
            if used_bytes > seconds * BYTES_PER_SECOND:
                problem = f"too large to be written anew within {seconds:g} s"
            else:
                problem = _rewritten(connection, seconds)
    return Vacuumed(before, _size(path), free_bytes, problem)


def _rewritten(connection: sqlite3.Connection, seconds: float) -> str | None:
    """Write a file anew; return why it could not be."""
    until = time.monotonic() + LOCK_SECONDS + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
    try:
        connection.execute("VACUUM")
        # The new pages are in the log now, which is as long as the file: into the file with them.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:  # it is locked, the disk is full, or time is over
        return str(error)
    return None


def _size(path: Path) -> int:
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
