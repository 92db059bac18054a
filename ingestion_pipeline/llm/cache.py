"""Answers that were paid for once, found again by everything that led to them.

Belongs here: what a model asks of a cache. Does not belong here: where answers are kept
(``storage``), and what makes a question's key (``chat``).
"""

from __future__ import annotations

from typing import Protocol


class AnswerCache(Protocol):
    """Answers by key, shared by threads and processes; it forgets rather than fails."""

    def get(self, key: str) -> str | None:
        """Return the answer kept under a key, None if there is none."""

    def put(self, key: str, answer: str) -> None:
        """Keep an answer."""
