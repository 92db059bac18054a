"""What a language model may be used for at the same time, and in all.

Belongs here: the limit on concurrent requests and the budget of tokens. Does not belong here: the
requests themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import ErrorKind, PermanentError

POLL_SECONDS = 0.25
"""How often a wait looks whether the work must stop."""


class BudgetSpentError(PermanentError):
    """What may be spent is spent; whoever asked goes on without the language model."""


class Slots:
    """Room for so many requests at a time; one object serves all models of a process."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = threading.BoundedSemaphore(count)

    @contextmanager
    def one(self, control: Control) -> Iterator[None]:
        """Hold one of the slots; raises what ``control.check`` raises while waiting for it."""
        control.check()
        while not self._free.acquire(timeout=POLL_SECONDS):
            control.check()
        try:
            yield
        finally:
            self._free.release()


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
