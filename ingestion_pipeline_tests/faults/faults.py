"""Arming faults from a test, and learning to whom they happened; see ``injection``."""

from __future__ import annotations

import itertools
import json
import os
import signal
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ingestion_pipeline_tests.system.installation import eventually

INJECTION = Path(__file__).parent / "injection"
"""To be put on ``PYTHONPATH``."""


class Point(StrEnum):
    """Where a fault can happen."""

    ACCEPTED = "accepted"
    """In intake: a message was read, its task is about to be written to the registry."""
    BEGUN = "begun"
    """A run is about to note which process it is; a document's name is here its collection's."""
    SOURCED = "sourced"
    PARSED = "parsed"
    PARSING = "parsing"
    """In the parser's child process."""
    CHUNKED = "chunked"
    EMBEDDED = "embedded"
    INDEXED = "indexed"
    CHECKED = "checked"
    """Between the last check of lease and cancellation and LanceDB's commit."""
    RECORDED = "recorded"
    """Between LanceDB's commit and the registry's."""


class Action(StrEnum):
    """What happens to the process."""

    KILL = "kill"
    STOP = "stop"
    """As by SIGSTOP."""
    HOLD = "hold"
    """The thread waits until it is released."""
    DEAF = "deaf"
    """The same, and nobody can interrupt the process from then on."""
    PASS = "pass"
    """Nothing; it is noted that it came by."""
    ELSEWHERE = "elsewhere"
    """It says that it is a process of another machine, where nobody here can kill it."""


@dataclass(frozen=True)
class Strike:
    """A fault that happened."""

    pid: int
    at: float
    file: Path

    def release(self) -> None:
        """Let a thread go on that is held."""
        self.file.unlink(missing_ok=True)

    def proceed(self) -> None:
        """Let a stopped process go on."""
        os.kill(self.pid, signal.SIGCONT)


class Faults:
    """The faults of one installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._struck = folder / "struck"
        self._struck.mkdir(parents=True)
        self._numbers = itertools.count()

    def arm(self, point: Point, action: Action, document: str, times: int = 1) -> None:
        """Have something happen to the next processes that come by with a document."""
        for _ in range(times):
            name = f"{point}.{next(self._numbers):06}"
            aside = self.folder / f".{name}"
            aside.write_text(json.dumps({"document": document, "action": action}))
            aside.rename(self.folder / name)

    def disarm(self) -> None:
        """Let nothing more happen, and nobody wait."""
        for file in (*self.folder.iterdir(), *self._struck.iterdir()):
            if file.is_file():
                file.unlink(missing_ok=True)

    def strikes(self, document: str) -> list[Strike]:
        """Return what happened to the processes that came by with a document, oldest first."""
        found = []
        for file in self._struck.glob("[!.]*"):
            fault = json.loads(file.read_text())
            if fault["document"] == document:
                found.append(Strike(fault["pid"], fault["at"], file))
        return sorted(found, key=lambda strike: strike.at)

    def strike(self, document: str, seconds: float = 60) -> Strike:
        """Wait until a fault happened, and return the first."""
        assert eventually(lambda: bool(self.strikes(document)), seconds), f"no fault at {document}"
        return self.strikes(document)[0]
