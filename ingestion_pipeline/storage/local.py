"""An object store in a folder.

Belongs here: files. Does not belong here: what is kept in them.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.storage.base import Dated, checked_key, missing

UNFINISHED = ".unfinished"
"""Where files are written before they get their name; no key can lead there."""
ABANDONED_AFTER_SECONDS = 24 * 3600
RENAME_ATTEMPTS = 20


class LocalStore:
    """Objects as files below ``root``; see ``ObjectStore`` for what each method promises.

    A file is written aside and renamed into place. A durable one is synced first, with its
    folder after: 1 to 2 ms each, measured on ext4, against 0.1 to 0.9 ms without.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unfinished = root / UNFINISHED
        with self._errors():
            self._unfinished.mkdir(parents=True, exist_ok=True)
            self._remove_abandoned()

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Store ``data`` under ``key``."""
        path = self._path(key)
        with self._errors():
            descriptor, name = tempfile.mkstemp(dir=self._unfinished)
            aside = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    if durable:
                        file.flush()
                        os.fsync(descriptor)
                _rename(aside, path)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
            if durable:
                _sync_folder(path.parent)

    def get(self, key: str) -> bytes:
        """Return the object's bytes."""
        path = self._path(key)
        with self._errors():
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise missing(key) from None

    def size(self, key: str) -> int | None:
        """Return the object's size in bytes; None if there is none."""
        path = self._path(key)
        with self._errors():
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def exists(self, key: str) -> bool:
        """Return whether there is an object."""
        return self.size(key) is not None

    def delete(self, key: str) -> None:
        """Remove the object if there is one, and the folders it leaves empty."""
        path = self._path(key)
        with self._errors():
            if path.is_file():
                path.unlink(missing_ok=True)
                self._remove_empty(path.parent)

    def touch(self, key: str) -> bool:
        """Make the object count as modified now; return whether there is one."""
        path = self._path(key)
        with self._errors():
            try:
                os.utime(path)
            except (FileNotFoundError, NotADirectoryError):
                return False
        return path.is_file()

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys below the folder ``prefix``."""
        for path in self._files(prefix):
            yield self._key(path)

    def dated(self, prefix: str = "") -> Iterator[Dated]:
        """Yield what ``keys`` does, each with its age and size."""
        for path in self._files(prefix):
            with self._errors():
                try:
                    found = path.stat()
                except FileNotFoundError:
                    continue  # deleted meanwhile
            yield Dated(self._key(path), found.st_mtime, found.st_size)

    def _files(self, prefix: str) -> Iterator[Path]:
        top = self._path(prefix) if prefix else self._root
        for folder, subfolders, names in os.walk(top):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            for name in names:
                yield Path(folder, name)

    def _key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _remove_empty(self, folder: Path) -> None:
        """Remove a folder and those above it, as far as they are empty."""
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:
                return  # it holds something, or another process was quicker
            folder = folder.parent

    def _remove_abandoned(self) -> None:
        """Remove what killed writers left behind."""
        for path in self._unfinished.iterdir():
            try:
                if time.time() - path.stat().st_mtime > ABANDONED_AFTER_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                continue  # its writer lives, or another process was quicker

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TransientError(
                ErrorKind.UNAVAILABLE,
                f"the object store in {self._root} cannot be used: {error.strerror or error}; "
                "check its disk and permissions, or set INGEST_STORAGE_URI",
            ) from error


def _rename(source: Path, target: Path) -> None:
    """Rename into a folder that is made where it is missing.

    A deletion beside may remove the folder again before anything is in it: then once more.
    """
    for _ in range(RENAME_ATTEMPTS):
        with suppress(FileNotFoundError):
            source.replace(target)
            return
        # Removed again in the middle of it, a folder is missing, or "exists" and is none.
        with suppress(FileNotFoundError, FileExistsError):
            target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)


def _sync_folder(folder: Path) -> None:
    """Make a rename into this folder survive a loss of power."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return  # what was renamed is deleted again, and its folder with it
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
