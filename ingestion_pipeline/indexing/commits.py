"""Commits that lost a race, told apart from other errors and tried again.

Belongs here: how LanceDB says "conflict", and the bounded backoff. Does not belong here: what is
committed.

LanceDB itself redoes a merge that conflicts, up to ten times within half a minute; what arrives
here is what it gave up on, or what it never redoes.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from ingestion_pipeline.errors import ErrorKind, TransientError

ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0

_CONFLICT = re.compile(r"conflict|contention", re.IGNORECASE)

Result = TypeVar("Result")


def is_conflict(error: Exception) -> bool:
    """Whether LanceDB says that another commit came first (it has no exception type for it)."""
    return isinstance(error, OSError | RuntimeError | ValueError) and bool(
        _CONFLICT.search(str(error))
    )


def committed(attempt: Callable[[], Result], what: str) -> Result:
    """Run ``attempt`` until it meets no conflict, with jittered backoff, a few times at most.

    Raises:
        TransientError: of kind ``unavailable`` if every attempt met a conflict.
    """
    for number in range(ATTEMPTS):
        try:
            return attempt()
        except Exception as error:
            if not is_conflict(error):
                raise
            last = error
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**number)
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not for secrets
    raise TransientError(
        ErrorKind.UNAVAILABLE,
        f"{what}: other writers came first {ATTEMPTS} times ({last}); try again later",
    )
