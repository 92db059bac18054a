"""Pins: versions of tables that a backup still reads, which upkeep leaves alone.

Belongs here: how a version is pinned (a tag of LanceDB's), for how long at most, and what upkeep
does about it. Does not belong here: reading what is pinned (``transfer``).

LanceDB removes no old version at all of a table while one of them is tagged. So everyday upkeep
goes on without removing any, and a purge, which is there to remove them, waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from ingestion_pipeline.errors import ErrorKind, TransientError

if TYPE_CHECKING:
    from lancedb.table import LanceTable

PIN_SECONDS = 6 * 3600
"""After which a pin is taken for that of a backup which was killed."""

_PREFIX = "backup-"


@dataclass(frozen=True)
class Pin:
    """A version that stays until it is released."""

    table: LanceTable
    tag: str

    def release(self) -> None:
        """Let the version go; it is no error if somebody else did, or dropped the table."""
        with suppress(OSError, RuntimeError, ValueError):
            self.table.tags.delete(self.tag)


def pin(table: LanceTable) -> Pin:
    """Pin the version that a table was opened at."""
    tag = f"{_PREFIX}{int(time.time()) + PIN_SECONDS}-{uuid4().hex}"
    table.tags.create(tag, table.version)
    return Pin(table, tag)


def release_lapsed(table: LanceTable) -> int:
    """Release the pins of backups that must be dead; return how many others there are."""
    live = 0
    for tag in table.tags.list():
        lapses = tag.removeprefix(_PREFIX).partition("-")[0]
        if not (tag.startswith(_PREFIX) and lapses.isdigit()):
            continue
        if int(lapses) > time.time():
            live += 1
        else:
            Pin(table, tag).release()
    return live


def require_unpinned(table: LanceTable) -> None:
    """Make sure that old versions may go.

    Raises:
        TransientError: of kind ``unavailable`` while a backup reads one.
    """
    if release_lapsed(table):
        raise TransientError(
            ErrorKind.UNAVAILABLE, f"a backup is being taken of {table.name}; try again after it"
        )


@contextmanager
def respected() -> Iterator[None]:
    """Let old versions stay where one of them is pinned; what was compacted is compacted."""
    try:
        yield
    except RuntimeError as error:
        if "tagged version" not in str(error):
            raise
