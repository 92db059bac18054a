"""What a language model may be used for at the same time, and in all.

Belongs here: the limit on concurrent requests and the budget of tokens. Does not belong here: the
requests themselves.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import ErrorKind, PermanentError

POLL_SECONDS = 0.25
"""How often a wait looks whether the work must stop."""


class BudgetSpentError(PermanentError):
    """What may be spent is spent; whoever asked goes on without the language model."""


class Slots:
    """Room for so many requests at a time; one object serves all models of a process.

    Processes that name the same ``folder`` share the room: a slot is a locked file there, and
    whoever dies leaves it free. Without a folder the room is this process's own.
    """

    def __init__(self, count: int, folder: Path | None = None) -> None:
        self.count = count
        self._free = threading.BoundedSemaphore(count)
        self._folder = folder

    @contextmanager
    def one(self, control: Control) -> Iterator[None]:
        """Hold one of the slots; raises what ``control.check`` raises while waiting for it."""
        control.check()
        while not self._free.acquire(timeout=POLL_SECONDS):
            control.check()
        try:
            with self._shared(self._folder, control) if self._folder else nullcontext():
                yield
        finally:
            self._free.release()

    @contextmanager
    def _shared(self, folder: Path, control: Control) -> Iterator[None]:
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{number}.lock" for number in range(self.count)]
        while (descriptor := _first_locked(files)) is None:
            control.check()
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            os.close(descriptor)


def _first_locked(files: list[Path]) -> int | None:
    """Lock one of the files that nobody has locked; closing its descriptor unlocks it."""
    for file in files:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return descriptor
    return None


class Budget:
    """So many tokens, shared by all who hold it.

    What a request may cost is set aside before it is sent, so the limit holds however many are
    under way; what it did not cost is given back.
    """

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens
        self._left = tokens
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Tokens that are neither spent nor set aside; never negative."""
        return max(0, self._left)

    def reserve(self, tokens: int) -> None:
        """Set tokens aside.

        Raises:
            BudgetSpentError: if fewer are left.
        """
        with self._lock:
            if tokens > self._left:
                raise BudgetSpentError(
                    ErrorKind.UNAVAILABLE,
                    f"the budget of {self._tokens} tokens for the language model is spent: "
                    "raise INGEST_LLM_TOKEN_BUDGET, or go on without the model",
                )
            self._left -= tokens

    def settle(self, reserved: int, spent: int) -> None:
        """Replace what was set aside by what was really spent."""
        with self._lock:
            self._left += reserved - spent
