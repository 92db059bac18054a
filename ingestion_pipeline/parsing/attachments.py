"""Files within a file: what is attached to a mail, the members of an archive.

Belongs here: names that are safe wherever they are used, and how much may be in one file. Does not
belong here: reading mails and archives, and what becomes of attachments (``stages``).
"""

from __future__ import annotations

import hashlib
import itertools
import re
from pathlib import PurePosixPath

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import Attachment
from ingestion_pipeline.parsing.archive import most_unpacked
from ingestion_pipeline.parsing.cleaning import one_line

MOST_ATTACHMENTS = 10_000
MOST_BYTES = 512 * 1024**2
"""In all attachments of a file together: child and parent hold them in memory."""

_LONGEST_NAME = 240
_LONGEST_SUFFIX = 20
_DRIVE = re.compile(r"\A[A-Za-z]:")


class Attachments:
    """Collects the attachments of one file."""

    def __init__(self) -> None:
        self._found: list[Attachment] = []
        self._names: set[str] = set()
        self._numbers: dict[str, int] = {}

    def add(self, name: str, data: bytes, otherwise: str = "attachment") -> None:
        """Add a file under a safe name that no other has; ``otherwise`` where ``name`` has none.

        Raises:
            PermanentError: ``too_large`` for more than 10,000.
        """
        check_count(len(self._found) + 1)
        name = self._unique(safe_name(name) or otherwise)
        self._names.add(name)
        digest = hashlib.sha256(data).hexdigest()
        self._found.append(Attachment(name, digest, len(data), data))

    def all(self) -> tuple[Attachment, ...]:
        """Return what was added, in that order."""
        return tuple(self._found)

    def _unique(self, name: str) -> str:
        if name not in self._names:
            return name
        path = PurePosixPath(name)
        for number in itertools.count(self._numbers.get(name, 2)):
            numbered = str(path.with_stem(f"{path.stem} ({number})"))
            if numbered not in self._names:
                self._numbers[name] = number + 1
                return numbered
        raise AssertionError


def check_count(count: int) -> None:
    """Refuse a file with more files in it than anybody wants to read one by one."""
    if count > MOST_ATTACHMENTS:
        raise PermanentError(
            ErrorKind.TOO_LARGE,
            f"the file holds more than {MOST_ATTACHMENTS:,} files; split it into several",
        )


def check_size(packed: int, unpacked: int) -> None:
    """Refuse an archive that is a bomb, or merely more than fits."""
    most = min(MOST_BYTES, most_unpacked(packed))
    if unpacked > most:
        raise PermanentError(
            ErrorKind.TOO_LARGE,
            f"the archive unpacks from {packed:,} to more than {most:,} bytes; split it into "
            "several, or hand in the files in it",
        )


def is_hidden(name: str) -> bool:
    """Whether a safe name is that of a file that systems hide or write for themselves."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def safe_name(name: str) -> str:
    """Return a relative path with '/' between its folders, nothing where no name is left.

    It leads nowhere out of a folder, has no invisible characters and at most 240 in all: of a path
    that is longer, folders are left out first.
    """
    name = "".join(filter(str.isprintable, one_line(name.replace("\\", "/"))))
    parts = [part.strip() for part in _DRIVE.sub("", name).split("/")]
    parts = [part for part in parts if part.strip(".")]
    while len(parts) > 1 and len("/".join(parts)) > _LONGEST_NAME:
        parts.pop(0)
    path = "/".join(parts)
    if len(path) <= _LONGEST_NAME:
        return path
    suffix = PurePosixPath(path).suffix
    suffix = suffix if len(suffix) <= _LONGEST_SUFFIX else ""
    return path[: _LONGEST_NAME - len(suffix)] + suffix
