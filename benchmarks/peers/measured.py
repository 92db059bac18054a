"""What every ingestion that is compared reports about itself, in one line of JSON.

Used by scripts that run in virtual environments of their own: it needs the standard library alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Report:
    """Seconds, and where the texts of the chunks can be read."""

    load_seconds: float = 0
    seconds: float = 0
    cpu_seconds: float = 0
    peak_mib: float = 0
    database: str = ""
    table: str = ""
    column: str = ""

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Measure what is imported and loaded before any work."""
        began = time.perf_counter()
        yield
        self.load_seconds += time.perf_counter() - began

    @contextmanager
    def working(self) -> Iterator[None]:
        """Measure the work itself."""
        began, cpu = time.perf_counter(), _cpu_seconds()
        yield
        self.seconds += time.perf_counter() - began
        self.cpu_seconds += _cpu_seconds() - cpu

    def print(self, database: Path, table: str, column: str) -> None:
        """Print the report, as the last line of the output."""
        self.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.database, self.table, self.column = str(database), table, column
        print(json.dumps(asdict(self)), flush=True)


def _cpu_seconds() -> float:
    of = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in of)


@dataclass(frozen=True)
class Job:
    """What to ingest, and how."""

    files: Path
    state: Path
    model: Path
    bfloat16: bool

    @classmethod
    def from_arguments(cls) -> Job:
        """Read the command line."""
        parser = argparse.ArgumentParser()
        parser.add_argument("files", type=Path)
        parser.add_argument("state", type=Path)
        parser.add_argument("model", type=Path)
        parser.add_argument("--bfloat16", action="store_true")
        return cls(**vars(parser.parse_args()))

    def texts(self) -> dict[str, str]:
        """Return the text of each file by its name."""
        return {path.name: path.read_text() for path in sorted(self.files.iterdir())}
