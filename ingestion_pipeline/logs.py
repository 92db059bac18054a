"""Log lines: where they go, what each carries, and how they look.

Belongs here: the one set-up for the command line and Dagster's processes, the rotating file that
all of them share, the context of a line. Does not belong here: what is logged. Document text and
secrets never are; a traceback therefore names types and places, but leaves out the messages of
errors that are not ours, as they may quote what was being worked on.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from enum import StrEnum
from functools import wraps
from io import FileIO, TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from types import MappingProxyType
from typing import ParamSpec, TextIO, TypeVar

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.settings import LogFormat, Settings

MAX_BYTES = 10 * 1024 * 1024
"""The size at which the file is put aside."""
BACKUPS = 5
"""How many files that were put aside are kept."""
FIELDS = ("task", "document", "run", "worker")
"""What each line carries besides time, level, logger and message."""

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("ingestion_pipeline")
"""Ours, and the only one that gets handlers: what other packages log is their business."""

_HOST = socket.gethostname()
_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=MappingProxyType({}))


class Role(StrEnum):
    """What a process is; its lines carry ``<role>:<host>:<pid>`` unless a worker is named."""

    CLI = "cli"
    """A command. A person reads its console: errors only, and nothing but their messages."""
    DAGSTER = "dagster"
    """A code server or a run. Dagster shows a run's lines itself: warnings on the console."""
    WORKER = "worker"
    """A worker between two runs: warnings on the console."""


def set_up_logging(settings: Settings, role: Role) -> None:
    """Send our lines to the console (stderr) and to ``<state>/logs/ingest.log``.

    To be called once per process; calling it again replaces what it did before. The folder is made
    when the first line is written; where that fails, one line on the console says so.
    """
    for handler in list(logger.handlers):
        if isinstance(handler, _Console | SharedFile):
            logger.removeHandler(handler)
            handler.close()
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    lines = _JsonLines(role) if settings.log_format is LogFormat.JSON else _TextLines(role)
    console, file = _Console(), SharedFile(log_file(settings))
    file.addFilter(_quote_nothing)
    console.setLevel(logging.ERROR if role is Role.CLI else max(level, logging.WARNING))
    console.setFormatter(_MessageLines() if role is Role.CLI else lines)
    file.setLevel(level)
    file.setFormatter(lines)
    logger.setLevel(level)
    # Before all others, because Dagster's handler rewrites the message of each record it sees,
    # and because what the file may not quote, the others may not either.
    logger.handlers[:0] = [file, console]


def log_file(settings: Settings) -> Path:
    """Return the file that all processes on a state folder write to."""
    return settings.state / "logs" / "ingest.log"


@contextmanager
def log_context(
    *,
    task: str | None = None,
    document: str | None = None,
    run: str | None = None,
    worker: str | None = None,
) -> Iterator[None]:
    """Put these ids on every line that is written inside the block, in this thread.

    What is not given stays as it is. A thread started inside has an empty context: hand it its
    work through ``in_context``.
    """
    given = zip(FIELDS, (task, document, run, worker), strict=True)
    token = _context.set({**_context.get(), **{name: value for name, value in given if value}})
    try:
        yield
    finally:
        _context.reset(token)


def in_context(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function as another thread should call it: with the context of this moment."""
    context = copy_context()

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        # A copy for each call: one context cannot be entered by two threads at once.
        return context.copy().run(function, *args, **kwargs)

    return call


class SharedFile(WatchedFileHandler):
    """A file that processes write to and rotate together, without ever waiting for each other.

    The kernel appends each line as a whole, so writing needs no lock. Whoever finds the file full
    and gets the lock on it at once puts it aside; the others go on with the file they have open,
    and open the new one for their next line. So a process that was stopped holds nobody up.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)
        self._path = path
        self._folder_made = False
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            self._make_folder_once()
            self.reopenIfNeeded()
            if self.stream and os.fstat(self.stream.fileno()).st_size >= MAX_BYTES:
                self._put_aside()
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say once that the file cannot be written; the work goes on."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._failed:
            self._failed = True
            logger.error("the log file %s cannot be written: %s", self._path, error.strerror)

    def _open(self) -> TextIOWrapper:
        """Open without a buffer in between: one line is one write."""
        return TextIOWrapper(
            FileIO(self._path, "ab"), self.encoding, self.errors, write_through=True
        )

    def _make_folder_once(self) -> None:
        """Make the folder; one that is removed later is not made again by who is left behind."""
        if not self._folder_made:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._folder_made = True

    def _put_aside(self) -> None:
        """Rename the file if nobody else is about to; if that fails, it grows on."""
        with suppress(OSError), self._path.open("rb") as full:
            # Opened for this alone: a forked process would share the lock of what it inherited.
            fcntl.flock(full, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(full.fileno()), self._path.stat()):
                return  # another process was faster
            for number in range(BACKUPS - 1, 0, -1):
                with suppress(FileNotFoundError):
                    self._backup(number).replace(self._backup(number + 1))
            self._path.replace(self._backup(1))

    def _backup(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class _Console(logging.StreamHandler[TextIO]):
    """Writes to what is ``sys.stderr`` at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _MessageLines(logging.Formatter):
    """The message alone, as one printable line."""

    def format(self, record: logging.LogRecord) -> str:
        return _one_line(record.getMessage())


class _TextLines(logging.Formatter):
    """For people: ``time level task=… document=… run=… worker=… logger: message``."""

    def __init__(self, role: Role) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(
            f"{name}={value or '-'}" for name, value in _fields(record, self._role).items()
        )
        message = _one_line(record.getMessage())
        line = f"{_time(record)} {record.levelname:7} {fields} {record.name}: {message}"
        return f"{line}\n{record.exc_text}" if record.exc_text else line


class _JsonLines(logging.Formatter):
    """For machines: one JSON object a line."""

    def __init__(self, role: Role) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record, self._role),
        }
        if record.exc_text:
            line["trace"] = record.exc_text
        return json.dumps(line)


def _fields(record: logging.LogRecord, role: Role) -> dict[str, str | None]:
    found = {"worker": f"{role}:{_HOST}:{record.process}", **_context.get()}
    return {name: found.get(name) for name in FIELDS}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _one_line(message: str) -> str:
    """Escape what would break the line, or the terminal: nobody can forge a line."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in message
    )


def _quote_nothing(record: logging.LogRecord) -> bool:
    """Put a traceback without messages in the place of the error, for all later handlers too."""
    if record.exc_info:
        record.exc_text = _trace(record.exc_info[1])
        record.exc_info = None
    return True


def _trace(error: BaseException | None) -> str:
    """Say where an error and its causes were raised, the latest error first."""
    lines: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        said = f": {error}" if isinstance(error, IngestError) else ""
        lines.append(f"{type(error).__qualname__}{said}")
        lines += "".join(traceback.format_tb(error.__traceback__)).splitlines()
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(f"  {line}" for line in lines)
