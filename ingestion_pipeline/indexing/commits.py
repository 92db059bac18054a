"""Commits that lost a race, and storage that cannot be reached: errors that may pass.

Belongs here: how LanceDB says "conflict", "purged" or "no answer" (it has no exception types for
them), and the bounded backoff. Does not belong here: what is committed.

LanceDB itself redoes a merge that conflicts, up to ten times within half a minute; what arrives
here is what it gave up on, or what it never redoes. A commit also starts again when a purge took
the files of the version it began with.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ingestion_pipeline.errors import ErrorKind, TransientError

ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0

_CONFLICT = re.compile(
    r"conflict|contention|too many concurrent writers|incompatible transaction", re.IGNORECASE
)
_PURGED = re.compile(
    r"not found: \S*\.lance/(data|_deletions|_indices|_transactions|_versions)/", re.IGNORECASE
)
_STORAGE = re.compile(r"LanceError\(IO\)|\bIO \{|Generic S3 error")
_SHOWN_CHARACTERS = 300

Result = TypeVar("Result")


def committed(attempt: Callable[[], Result], what: str) -> Result:
    """Run ``attempt`` until it meets no conflict, with jittered backoff, a few times at most.

    Raises:
        TransientError: of kind ``unavailable`` if every attempt met a conflict.
    """
    for number in range(ATTEMPTS):
        try:
            return attempt()
        except (OSError, RuntimeError, ValueError) as error:
            if not (_CONFLICT.search(str(error)) or _PURGED.search(str(error))):
                raise
            last = error
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**number)
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not for secrets
    raise TransientError(
        ErrorKind.UNAVAILABLE,
        f"{what}: other writers came first {ATTEMPTS} times ({last}); try again later",
    )


@contextmanager
def lost_races(what: str) -> Iterator[None]:
    """Turn a conflict into a ``TransientError``, for a commit that cannot be tried again here."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if not _CONFLICT.search(str(error)):
            raise
        raise TransientError(
            ErrorKind.UNAVAILABLE, f"{what}: another writer came first ({error}); do it again"
        ) from error


@contextmanager
def purged_errors() -> Iterator[None]:
    """Turn what LanceDB raises to the reader of a version that was purged into a typed error."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if not _PURGED.search(str(error)):
            raise
        raise TransientError(
            ErrorKind.UNAVAILABLE,
            "the index was purged while it was read, and what was read of it is gone; ask again",
        ) from error


@contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Turn what LanceDB raises when its storage does not answer into a ``TransientError``."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if not _STORAGE.search(str(error)):
            raise
        raise TransientError(
            ErrorKind.UNAVAILABLE,
            f"the index at {uri} cannot be read or written, try again or check INGEST_LANCEDB_URI: "
            f"{str(error)[:_SHOWN_CHARACTERS]}",
        ) from error
