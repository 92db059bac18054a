"""Write constraints.txt of what an environment froze: versions, and not where they are from."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_PINNED = re.compile(r"([A-Za-z0-9._-]+)==([^+\s]+)(\+\S+)?")


def constraints(frozen: str, header: str) -> str:
    """Return the constraints: without builds of one index alone, by name.

    Raises:
        ValueError: for a package that was not installed by its version.
    """
    lines = []
    for line in frozen.splitlines():
        found = _PINNED.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"this is not the version of a package: {line}")
        lines.append(f"{found[1]}=={found[2]}")
    return "\n".join([*header.splitlines(), *sorted(lines, key=str.lower), ""])


def main(frozen: Path, target: Path) -> None:
    """Write the file anew; its first lines, which are comments, stay."""
    head = [line for line in target.read_text().splitlines() if line.startswith("#")]
    target.write_text(constraints(frozen.read_text(), "\n".join(head)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
