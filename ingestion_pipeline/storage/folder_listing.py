"""Looking at a folder: names, sizes and times, nothing is opened."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.storage.listing import Found, Patterns, Unknown
from ingestion_pipeline.storage.source_rules import SourcePolicy
from ingestion_pipeline.storage.sources import check_source

SETTLED_SECONDS = 2.0
"""What was changed less long ago may still be being written: it waits for the next look."""


@dataclass(frozen=True)
class FolderLister:
    """Looks at a folder, and at those below it if ``recursive``.

    Links to folders are not followed; links to files are, unless they lead out of the folder.
    """

    folder: Path
    patterns: Patterns
    recursive: bool

    def look(
        self,
        policy: SourcePolicy,
        after: str,
        known: Mapping[str, str],  # noqa: ARG002 - names tell enough
    ) -> Iterator[Found | Unknown]:
        """Yield the files; a folder below that cannot be listed is unknown, with all in it.

        Raises:
            PermanentError: of kind ``forbidden_source`` if files may not be read from there.
            TransientError: if the folder itself cannot be listed.
        """
        uri = check_source(self.folder.absolute().as_uri(), policy).rstrip("/") + "/"
        try:
            entries = _entries(self.folder)
        except OSError as error:
            raise TransientError(
                ErrorKind.UNAVAILABLE,
                f"the folder {str(self.folder)!r} cannot be listed ({error.strerror}): nothing "
                "follows from that for its documents; is it there, mounted and readable?",
            ) from error
        return self._walk(entries, uri, "", after)

    def _walk(
        self,
        entries: list[tuple[str, os.DirEntry[str]]],
        base: str,
        below: str,
        after: str,
    ) -> Iterator[Found | Unknown]:
        for name, entry in entries:
            uri, path = base + name, below + entry.name
            if uri <= after and not after.startswith(uri):
                continue  # it lies before that, with all that is in it
            if not name.endswith("/"):
                if uri > after and self.patterns.takes(path):
                    yield from self._file(entry, uri)
            elif self.recursive and self.patterns.enters(path):
                try:
                    inner = _entries(entry.path)
                except FileNotFoundError:
                    continue  # it was removed since
                except OSError as error:
                    yield Unknown(uri, f"{entry.path} cannot be listed ({error.strerror})")
                    continue
                yield from self._walk(inner, uri, f"{path}/", after)

    def _file(self, entry: os.DirEntry[str], uri: str) -> Iterator[Found | Unknown]:
        try:
            if entry.is_symlink() and not self._stays_inside(entry.path):
                return
            status = entry.stat()
        except (FileNotFoundError, RuntimeError):  # removed since, or a link in circles
            return
        except OSError as error:
            yield Unknown(uri, f"{entry.path} cannot be looked at ({error.strerror})")
            return
        if not stat.S_ISREG(status.st_mode):
            return
        # What has a time in the future would never settle.
        fresh = 0 <= time.time() - status.st_mtime < SETTLED_SECONDS
        # Not by its number, which some network file systems give anew at each mount. The time of
        # change also tells of permissions that were corrected.
        signature = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"
        yield Found(uri, signature, status.st_size, settled=not fresh)

    def _stays_inside(self, path: str) -> bool:
        return Path(path).resolve().is_relative_to(self.folder.resolve())


def _entries(folder: str | Path) -> list[tuple[str, os.DirEntry[str]]]:
    """Return the entries by their names in URIs, folders with '/' behind: the order of URIs."""
    with os.scandir(folder) as entries:
        named = [
            (
                quote_from_bytes(os.fsencode(entry.name))
                + ("/" if entry.is_dir(follow_symlinks=False) else ""),
                entry,
            )
            for entry in entries
        ]
    return sorted(named, key=lambda each: each[0])
