"""Work of the same kind in several threads, with results in the order of the work.

Belongs here: that. Does not belong here: what is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import StopWorkError
from ingestion_pipeline.logs import in_context

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], most: int
) -> Iterator[Result]:
    """Yield what ``function`` makes of each item, in their order.

    At most ``most`` are under way or wait to be taken, so that memory does not grow with their
    number. The first error is raised in its turn, and what has not begun then never does.
    """
    waiting: deque[Future[Result]] = deque()
    function = in_context(function)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


class Together:
    """A control that also stops all threads when the one that waits for them has an error."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._over = False
        self.withdrawn = control.withdrawn
        self.progress = control.progress

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True

    def check(self) -> None:
        """Raise if the control does, or when the block has been left."""
        if self._over:
            raise StopWorkError
        self._control.check()
