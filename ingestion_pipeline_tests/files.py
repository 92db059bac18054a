"""Looking for what a folder must not hold, while somebody may still work in it."""

from __future__ import annotations

import subprocess
from pathlib import Path


def files_with(word: str, folder: Path) -> list[Path]:
    """Return the files below a folder that hold a word; files may come and go meanwhile.

    Looked for by another process: whoever closes a file loses all its locks on it, those of SQLite
    too, and then reads what has long been replaced.
    """
    found = subprocess.run(
        ["grep", "-rlasF", "--", word, folder], stdout=subprocess.PIPE, text=True, check=False
    )
    return [Path(line) for line in found.stdout.splitlines()]
