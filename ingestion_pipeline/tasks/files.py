"""Files that are submitted: by what they are known again, and reading those that are not.

Belongs here: what the file system tells of a file, and its bytes. Does not belong here: which files
there are, and what becomes of them (``submission``).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from ingestion_pipeline.errors import ErrorKind, PermanentError

SETTLED_SECONDS = 2.0
"""The coarsest step in which file systems keep times (FAT). What was changed more recently may
change once more and its times not tell; git calls that "racily clean"."""


def stamp(path: Path) -> str | None:
    """Return what changes with the content of a file; None if that cannot be relied upon.

    Size, times and number. Programs can set the time of modification back, as copying with
    ``cp --preserve`` does; the kernel's own time of change they cannot.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return _stamp(status)


def is_larger(path: Path, size: int) -> bool:
    """Whether a file has more than so many bytes; no, if that cannot be known."""
    try:
        return path.stat().st_size > size
    except (OSError, ValueError):
        return False


def read(path: Path, max_bytes: int) -> tuple[bytes, str | None]:
    """Return the bytes of a file and its stamp.

    Raises:
        PermanentError: when there is no such file, it cannot be read, is too large or empty.
    """
    try:
        if path.is_dir():
            raise PermanentError(
                ErrorKind.FORBIDDEN_SOURCE,
                f"the folder {path} cannot be listed: correct its permissions",
            )
        if path.exists() and not path.is_file():
            raise PermanentError(
                ErrorKind.UNSUPPORTED, f"{path} is neither a file nor a folder: submit a copy"
            )
        before = path.stat()
        if before.st_size > max_bytes:
            raise PermanentError(
                ErrorKind.TOO_LARGE,
                f"{path.name} has {before.st_size:,} bytes; the limit is {max_bytes:,} "
                "(INGEST_MAX_FILE_BYTES)",
            )
        if before.st_size == 0:
            raise PermanentError(
                ErrorKind.EMPTY, f"{path.name} is empty: nothing can be found in it"
            )
        data = path.read_bytes()
    except (FileNotFoundError, ValueError) as error:  # a path with a NUL is a ValueError
        raise PermanentError(ErrorKind.NOT_FOUND, f"there is no file {path}") from error
    except OSError as error:
        raise PermanentError(
            ErrorKind.FORBIDDEN_SOURCE, f"{path} cannot be read: {error.strerror}"
        ) from error
    known_again = _stamp(before)
    return data, known_again if known_again == stamp(path) else None  # it changed meanwhile


def _stamp(status: os.stat_result) -> str | None:
    changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
    if time.time_ns() - changed_ns < SETTLED_SECONDS * 1e9:
        return None
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
