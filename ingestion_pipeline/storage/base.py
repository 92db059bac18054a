"""What every object store can do, and which keys it accepts.

Belongs here: the protocol and the rules for keys. Does not belong here: a store (``local``,
``s3``) or what keys mean (``objects``, ``artifacts``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ingestion_pipeline.errors import ErrorKind, PermanentError

MAX_KEY_BYTES = 900
"""S3 allows 1,024 bytes; the rest is room for the prefix of the store."""
MAX_PART_BYTES = 255
"""The longest name most file systems allow."""


class Dated(NamedTuple):
    """An object as a listing shows it."""

    key: str
    modified: float
    """Unix seconds."""
    bytes: int


class ObjectStore(Protocol):
    """Bytes under keys, shared by threads, processes and machines.

    A key holds a whole object or none, whatever is killed while writing; the last of several
    writers wins. Every method raises PermanentError of kind ``invalid_option`` for a key that
    breaks the rules of ``checked_key``, and TransientError of kind ``unavailable`` when the
    store cannot be reached or written.
    """

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Store ``data`` under ``key``.

        What can be made again need not be ``durable``: it survives every crash of a process,
        and after a loss of power may be missing or damaged.
        """

    def get(self, key: str) -> bytes:
        """Return the object's bytes.

        Raises:
            PermanentError: of kind ``not_found`` if there is none.
        """

    def size(self, key: str) -> int | None:
        """Return the object's size in bytes; None if there is none."""

    def exists(self, key: str) -> bool:
        """Return whether there is an object."""

    def delete(self, key: str) -> None:
        """Remove the object; it is no error if there is none."""

    def touch(self, key: str) -> bool:
        """Make the object count as modified now; return whether there is one."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys below the folder ``prefix``, folder by folder; "" is all."""

    def dated(self, prefix: str = "") -> Iterator[Dated]:
        """Yield what ``keys`` does, each with its age and size."""


def checked_key(key: str) -> str:
    """Return the key if it is a relative POSIX path that is safe for every store.

    Its parts are not empty, do not begin with a dot (so neither lead up nor hide) and hold no
    backslash and no control characters.

    Raises:
        PermanentError: of kind ``invalid_option``.
    """
    parts = key.split("/")
    if not (_encodes(key, MAX_KEY_BYTES) and all(map(_is_safe, parts))):
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            f"{key[:200]!r} is not a key of an object: use a relative path of at most "
            f"{MAX_KEY_BYTES} bytes without empty or hidden parts",
        )
    return key


def missing(key: str) -> PermanentError:
    """Return the error for an object that is not there."""
    return PermanentError(
        ErrorKind.NOT_FOUND, f"there is no object {key!r} in the store: submit the source again"
    )


def _is_safe(part: str) -> bool:
    return (
        part != ""
        and not part.startswith(".")
        and "\\" not in part
        and not any(unicodedata.category(character) == "Cc" for character in part)
        and _encodes(part, MAX_PART_BYTES)
    )


def _encodes(text: str, limit: int) -> bool:
    """Whether the text is UTF-8 of at most ``limit`` bytes (a lone surrogate is not)."""
    try:
        return len(text.encode()) <= limit
    except UnicodeEncodeError:
        return False
