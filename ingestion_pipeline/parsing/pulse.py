"""Signs of life of a parser that has much to do: each page read off a picture is one.

Belongs here: how a parser gives one without knowing who waits. Does not belong here: what becomes
of it (``child`` sends it, ``pool`` waits longer).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar


def _nobody() -> None:
    """Nobody waits."""


listener: ContextVar[Callable[[], None]] = ContextVar("listener", default=_nobody)
"""Who is told."""


def beat() -> None:
    """Say that something slow got done, and that more may follow."""
    listener.get()()
