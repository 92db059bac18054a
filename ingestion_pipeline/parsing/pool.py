"""Parses documents in child processes, each with a limit on time and memory.

A document can hang a parser, exhaust memory or crash a native library; here that costs one child
and gives one typed error. ``concurrent.futures`` does not serve: its processes cannot be started
from a daemonic process, such as a Celery worker's, and one crash breaks the whole pool.

Belongs here: the children's life. Does not belong here: what they do (``child``).
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from ingestion_pipeline.errors import (
    ErrorKind,
    InputNeededError,
    PermanentError,
    TransientError,
)
from ingestion_pipeline.model.collections import Partitioner
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.protocol import (
    LENGTH,
    OUT_OF_MEMORY,
    Failure,
    Reply,
    read_reply,
)
from ingestion_pipeline.settings import untracked_environment

CHILD = (sys.executable, "-m", "ingestion_pipeline.parsing.child")

_START_SECONDS = 60.0
_DOCUMENTS_PER_CHILD = 2000
"""After so many a child is replaced, so that leaks and fragmentation stay bounded."""
_BYTES_PER_CHILD = 64 * 1024 * 1024
_RESTING_BYTES = 256 * 1024 * 1024
"""The most memory that a child keeps while it has nothing to do."""
_MEMORY_SHARE_OF_EXHAUSTION = 0.5
"""A child that was killed while it held more than this share of its limit died of memory: native
libraries abort where Python raises ``MemoryError``."""
_READ_BYTES = 1024 * 1024


class _ChildDiedError(Exception):
    """The pipes of a child closed."""


class _ChildTimedOutError(Exception):
    """A child did not answer in time."""


class ParserPool:
    """Up to ``workers`` documents at once, each in a child of its own; safe for threads.

    Children start on demand and are used again. They die with this process, however it ends.
    """

    def __init__(
        self,
        workers: int,
        timeout_seconds: float,
        memory_bytes: int,
        *,
        command: Sequence[str] = CHILD,
    ) -> None:
        """Prepare a pool; nothing is started yet.

        Args:
            workers: Most children at a time; further callers wait.
            timeout_seconds: Longest parse of one document; where text is read off pictures, the
                longest time that one page may take.
            memory_bytes: Most address space of one child, the interpreter included.
            command: What a child runs; see ``child``.
        """
        self._workers = workers
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._command = (*command, str(os.getpid()), str(memory_bytes))
        self._changed = threading.Condition()
        self._idle: list[_Child] = []
        self._calls: set[_Call] = set()
        self._closed = False
        # Linux kills a child when the *thread* that started it ends, and callers' threads do.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="parser-starter")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def parse(
        self,
        data: bytes,
        name: str,
        *,
        password: str | None = None,
        partitioner: Partitioner = Partitioner.NATIVE,
        key: str = "",
    ) -> ParsedDocument:
        """Read a document; blocks until a child is free and has answered.

        Args:
            data: The file's bytes.
            name: The file's name.
            password: Opens the document if it is encrypted. Nothing but the pipe to the child
                carries it.
            partitioner: Who reads it, where several can.
            key: What ``interrupt`` knows this parse by.

        Raises:
            InputNeededError: As ``factory.parse``.
            PermanentError: As ``factory.parse``, and ``timeout`` or ``too_large``.
            TransientError: ``crashed`` if the child died, ``unavailable`` if none could be
                started, the parse was interrupted or the pool was closed.
        """
        with self._call(key) as call:
            child = self._child(call)
            try:
                child.wait_until_ready()
                reply = child.ask(data, name, password, partitioner, self._timeout_seconds)
            except _ChildTimedOutError as error:
                raise PermanentError(
                    ErrorKind.TIMEOUT,
                    f"parsing took longer than {self._timeout_seconds:g} s; split the document "
                    "or allow more time",
                ) from error
            except _ChildDiedError as error:
                raise self._death_of(child, call) from error
        if reply.document is None:
            raise self._error(reply.failure)
        return reply.document

    def interrupt(self, keys: Collection[str] | None = None) -> None:
        """End the parses of these keys, of all if None; whoever waits for one gets an error.

        That holds for calls that are under way, those that wait for a child included. The pool
        stays open, and later calls with the same keys are served.
        """
        with self._changed:
            for call in self._calls:
                if keys is None or call.key in keys:
                    call.interrupted = True
                    if call.child is not None:
                        call.child.kill()
            self._changed.notify_all()

    def rest(self) -> None:
        """End children that have nothing to do and hold much memory, such as models for OCR.

        To be called when no document may come for long; light ones stay ready.
        """
        with self._changed:
            heavy = [child for child in self._idle if child.resident_bytes > _RESTING_BYTES]
            for child in heavy:
                self._idle.remove(child)
                child.end()

    def close(self) -> None:
        """End all children; whoever waits in ``parse`` gets an error. May be called again."""
        with self._changed:
            self._closed = True
            for child in self._idle:
                child.end()
            self._idle.clear()
            for call in self._calls:
                if call.child is not None:
                    call.child.kill()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._calls)
        self._starter.shutdown()

    @contextlib.contextmanager
    def _call(self, key: str) -> Iterator[_Call]:
        """Keep account of a call; a child that did not end in step, for whatever reason, ends."""
        call = _Call(key)
        with self._changed:
            self._calls.add(call)
        try:
            yield call
        finally:
            with self._changed:
                self._calls.remove(call)
                if call.child is not None:
                    if call.child.reusable and not call.interrupted and not self._closed:
                        self._idle.append(call.child)
                    else:
                        call.child.end()
                self._changed.notify_all()

    def _child(self, call: _Call) -> _Child:
        """Wait for a child that is free, or for room for one more, and give it to ``call``."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or call.interrupted or self._busy() < self._workers
            )
            if self._closed:
                raise _closed_error()
            if call.interrupted:
                raise _interrupted_error()
            call.child = self._idle_child() or self._started_child()
            return call.child

    def _busy(self) -> int:
        return sum(call.child is not None for call in self._calls)

    def _idle_child(self) -> _Child | None:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            child.end()
        return None

    def _started_child(self) -> _Child:
        try:
            return self._starter.submit(_Child, self._command).result()
        except OSError as error:
            raise TransientError(
                ErrorKind.UNAVAILABLE, f"no parser process can be started ({error})"
            ) from error

    def _death_of(self, child: _Child, call: _Call) -> TransientError | PermanentError:
        """Say why a child that closed its pipes is gone."""
        cause, memory_bytes = child.end()
        with self._changed:
            if self._closed:
                return _closed_error()
            if call.interrupted:
                return _interrupted_error()
        if not child.ready:
            return TransientError(
                ErrorKind.UNAVAILABLE, f"the parser process did not start ({cause})"
            )
        if memory_bytes > _MEMORY_SHARE_OF_EXHAUSTION * self._memory_bytes:
            return self._too_large()
        return TransientError(ErrorKind.CRASHED, f"the parser process crashed ({cause})")

    def _error(self, failure: Failure | None) -> TransientError | PermanentError:
        if failure is None:
            return TransientError(ErrorKind.CRASHED, "the parser process gave no answer")
        if failure == OUT_OF_MEMORY:
            return self._too_large()
        if failure.asks is not None:
            return InputNeededError(failure.kind, failure.message, failure.asks)
        error = TransientError if failure.transient else PermanentError
        return error(failure.kind, failure.message)

    def _too_large(self) -> PermanentError:
        return PermanentError(
            ErrorKind.TOO_LARGE,
            f"parsing needs more than {self._memory_bytes // 1024**2} MiB of memory; split the "
            "document or allow more memory",
        )


def _closed_error() -> TransientError:
    return TransientError(ErrorKind.UNAVAILABLE, "the parser pool was closed; try again")


def _interrupted_error() -> TransientError:
    return TransientError(ErrorKind.UNAVAILABLE, "the parse was interrupted; try again")


@dataclass(eq=False)
class _Call:
    """One parse that somebody waits for; ``child`` is None until it has one."""

    key: str
    child: _Child | None = None
    interrupted: bool = False


class _Child:
    """A child process and the pipes to it. Used by one thread at a time, but for ``kill``."""

    def __init__(self, command: Sequence[str]) -> None:
        # Linux counts to a new process what its parent held when it was started; only what goes
        # beyond that tells anything about the child.
        self._inherited_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is the parent's to handle
            env=untracked_environment(),
        )
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        self._requests = self._process.stdin
        self._replies = self._process.stdout
        os.set_blocking(self._requests.fileno(), False)
        self._reaping = threading.Lock()
        self._documents = 0
        self._bytes = 0
        self._peak_bytes = 0
        self.ready = False
        self.reusable = False

    @property
    def alive(self) -> bool:
        """Whether a child that was asked nothing is still there: it has nothing to say."""
        return not _readiness(self._replies.fileno(), select.POLLIN, 0)

    @property
    def resident_bytes(self) -> int:
        """How much memory it holds now; 0 if that is unknown."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        except OSError:
            return 0
        return int(pages) * resource.getpagesize()

    def wait_until_ready(self) -> None:
        """Wait until the child has loaded its code, which counts against no document."""
        if self.ready:
            return
        try:
            self._read_frame(time.monotonic() + _START_SECONDS)
        except _ChildTimedOutError as error:
            raise _ChildDiedError from error
        self.ready = True

    def ask(
        self,
        data: bytes,
        name: str,
        password: str | None,
        partitioner: Partitioner,
        timeout_seconds: float,
    ) -> Reply:
        """Have a document parsed; until the answer is complete, the child is of no other use."""
        self.reusable = False
        deadline = time.monotonic() + timeout_seconds
        self._write_frame(name.encode(errors="replace"), deadline)
        self._write_frame(partitioner.encode(), deadline)
        self._write_frame((password or "").encode(errors="replace"), deadline)
        self._write_frame(data, deadline)
        while not (first := self._read_frame(deadline)):
            deadline = time.monotonic() + timeout_seconds  # it is slow, and gets on
        try:
            reply = read_reply(first, lambda: self._read_frame(deadline))
        except ValidationError:
            return Reply()
        self._documents += 1
        self._bytes += len(data)
        exhausted = reply.failure == OUT_OF_MEMORY
        self.reusable = not (
            exhausted or self._documents >= _DOCUMENTS_PER_CHILD or self._bytes >= _BYTES_PER_CHILD
        )
        return reply

    def kill(self) -> None:
        """Kill the child and all that it started; from any thread."""
        with self._reaping:
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> tuple[str, int]:
        """Make sure that nothing is left of the child.

        Returns:
            How it ended, in words, and the most memory it held, in bytes, 0 if that is unknown.
        """
        with self._reaping:
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                _, status, usage = os.wait4(self._process.pid, 0)
                self._process.returncode = os.waitstatus_to_exitcode(status)
                if usage.ru_maxrss > self._inherited_peak:
                    self._peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        self._requests.close()
        self._replies.close()
        code = self._process.returncode
        cause = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        return cause, self._peak_bytes

    def _write_frame(self, payload: bytes, deadline: float) -> None:
        for part in (LENGTH.pack(len(payload)), payload):
            view = memoryview(part)
            while view:
                _await(self._requests.fileno(), select.POLLOUT, deadline)
                try:
                    written = os.write(self._requests.fileno(), view)
                except BrokenPipeError as error:
                    raise _ChildDiedError from error
                view = view[written:]

    def _read_frame(self, deadline: float) -> bytes:
        (length,) = LENGTH.unpack(self._read(LENGTH.size, deadline))
        return self._read(length, deadline)

    def _read(self, length: int, deadline: float) -> bytes:
        parts: list[bytes] = []
        missing = length
        while missing:
            _await(self._replies.fileno(), select.POLLIN, deadline)
            part = os.read(self._replies.fileno(), min(missing, _READ_BYTES))
            if not part:
                raise _ChildDiedError
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def _await(descriptor: int, event: int, deadline: float) -> None:
    if not _readiness(descriptor, event, deadline - time.monotonic()):
        raise _ChildTimedOutError


def _readiness(descriptor: int, event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(seconds, 0) * 1000))
