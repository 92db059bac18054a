"""How far a build is, and how long its phases take.

Belongs here: that. Does not belong here: who is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

TELL_SECONDS = 1.0

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[float, str], None]
"""Told now and then how far a build is, 0..1, with a line for a person."""


def tell_nobody(fraction: float, message: str) -> None:
    """Nobody wants to know."""


@dataclass
class Told:
    """Progress, about once a second, and how long each phase took."""

    progress: Progress
    shares: Mapping[str, float]
    """How far a build is after each of its phases, in their order."""
    seconds: dict[str, float] = field(default_factory=dict)
    _next: float = 0.0
    _from: float = 0.0
    _to: float = 0.0

    @contextmanager
    def phase(self, name: str, message: str = "") -> Iterator[None]:
        """Begin a phase; what is told within it is the share of it that is done."""
        began = time.perf_counter()
        self._from, self._to, self._next = self._to, self.shares[name], 0.0
        if message:
            self(0.0, message)
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - began

    def each(
        self,
        items: Sequence[Item],
        made: Callable[[Sequence[Item]], Iterable[Result]],
        what: str,
    ) -> Iterator[Result]:
        """Yield what is made of items, and tell how many there are of how many."""
        for done, result in enumerate(made(items), start=1):
            self(done / len(items), f"{what}: {done:,} of {len(items):,}")
            yield result

    def __call__(self, share: float, message: str) -> None:
        """Tell, unless it was told just now."""
        if time.monotonic() >= self._next:
            self.progress(self._from + share * (self._to - self._from), message)
            self._next = time.monotonic() + TELL_SECONDS
