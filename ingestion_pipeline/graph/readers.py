"""Reads passages in child processes, one for each processor that may be used.

A parser of a language is native code and Python by turns, so threads gain nothing, and loading its
model takes a second in which nobody could cancel; a process can be killed at any moment. It is
started as a program, since daemonic processes, such as a Celery worker's, may have no
``multiprocessing`` children.

Belongs here: these processes' life. Does not belong here: what they do (``child``).
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.graph.reading import Passage, Reading
from ingestion_pipeline.settings import untracked_environment

PASSAGES_AT_ONCE = 32
"""That a child is given to read: a second's work or less."""
_POLL_MILLISECONDS = 100

Answer = tuple[list[Reading] | None, str]
"""What was read, or else the error that was met."""
_CHILD = "ingestion_pipeline.graph.child"


class UnreadableError(Exception):
    """A child failed to read some passages, or died of them."""


class Readers:
    """Up to ``most`` children, which start when they are needed; may be shared by threads.

    They stay for what comes next, until they are closed, and die with this process, however it
    ends.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        # Linux kills a child when the *thread* that started it ends: these stay.
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="reader")
        self._idle: list[_Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, passages: Sequence[Passage], control: Control) -> Iterator[Reading]:
        """Yield the readings of passages, in their order.

        Args:
            passages: Some at a time are given to whichever child is free.
            control: Asked all the time; the children at work are killed as soon as it raises.

        Raises:
            UnreadableError: if some passage cannot be read.
            TransientError: of kind ``unavailable`` if no child can be started.
        """
        starts = range(0, len(passages), PASSAGES_AT_ONCE)
        blocks = [passages[start : start + PASSAGES_AT_ONCE] for start in starts]
        for some in self._threads.map(partial(self._read, control), blocks):
            yield from some

    def rest(self) -> None:
        """Keep one child for the next change, and end the others that have nothing to do."""
        kept = self._free_child()
        while (child := self._free_child()) is not None:
            child.end()
        if kept is not None:
            self._idle.append(kept)

    def close(self) -> None:
        """End all children."""
        self._threads.shutdown(cancel_futures=True)
        while (child := self._free_child()) is not None:
            child.end()

    def _read(self, control: Control, passages: Sequence[Passage]) -> list[Reading]:
        control.check()
        child = self._free_child() or _Child()
        try:
            found, error = child.ask(passages, control)
        except BaseException:
            child.end()
            raise
        self._idle.append(child)
        if found is None:
            raise UnreadableError(error)
        return found

    def _free_child(self) -> _Child | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


class _Child:
    """A child process and the pipes to it. Used by one thread at a time."""

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                (sys.executable, "-m", _CHILD, str(os.getpid())),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is the parent's to handle
                env=untracked_environment(),
            )
        except OSError as error:
            raise TransientError(
                ErrorKind.UNAVAILABLE, f"no process that reads can be started ({error})"
            ) from error
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        self._requests = self._process.stdin
        self._replies = self._process.stdout

    def ask(self, passages: Sequence[Passage], control: Control) -> Answer:
        """Have passages read."""
        poll = select.poll()
        poll.register(self._replies, select.POLLIN)
        try:
            pickle.dump(passages, self._requests)
            self._requests.flush()
            while not poll.poll(_POLL_MILLISECONDS):
                control.check()
            answer: Answer = pickle.load(self._replies)  # noqa: S301 - our own process
        except (BrokenPipeError, EOFError, pickle.UnpicklingError) as error:
            raise UnreadableError(f"the process that reads died ({self.end()})") from error
        return answer

    def end(self) -> str:
        """Make sure that nothing is left of it; return how it ended."""
        self._process.kill()
        code = self._process.wait()
        self._replies.close()
        with suppress(BrokenPipeError):  # it did not read all that it was told
            self._requests.close()
        return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
