"""Looking for what a folder must not hold, while somebody may still work in it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def files_with(word: str, folder: Path) -> list[Path]:
    """Return the files below a folder that hold a word; files may come and go meanwhile."""
    found = []
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            with suppress(FileNotFoundError):
                if path.is_file() and word.encode() in path.read_bytes():
                    found.append(path)
    return found
