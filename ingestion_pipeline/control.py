"""Progress, cancellation and deadlines as one small protocol that any stage can be handed.

Belongs here: the protocol and its trivial implementation. Does not belong here: where progress
is written or where a cancellation comes from (``tasks``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Protocol, TypeVar

from ingestion_pipeline.model.documents import Stage

Item = TypeVar("Item")

SMALL = 256
"""Items of some microseconds each: to ask before each would take as long."""


class Control(Protocol):
    """What a long computation may ask and tell its surroundings, from any thread."""

    def check(self) -> None:
        """Raise if the work must stop now (lease lost, run stopped)."""

    def withdrawn(self) -> AbstractSet[str]:
        """Return the documents that nobody wants any more (canceled, deleted, out of time)."""

    def progress(self, document_id: str, stage: Stage, fraction: float, message: str) -> None:
        """Tell how far one document is, ``fraction`` in 0..1, with a line for a person."""


class NoControl:
    """A control for scripts and tests: never stops, tells nobody."""

    def check(self) -> None:
        """Never stop."""

    def withdrawn(self) -> AbstractSet[str]:
        """Everything is wanted."""
        return frozenset()

    def progress(self, document_id: str, stage: Stage, fraction: float, message: str) -> None:
        """Tell nobody."""


def watched(items: Iterable[Item], control: Control, every: int = 1) -> Iterator[Item]:
    """Yield items, asking before each, or ``every`` so many, whether to go on."""
    remaining = iter(items)
    while some := list(islice(remaining, every)):
        control.check()
        yield from some
