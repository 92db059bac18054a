from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ingestion_pipeline.embedding import turns
from ingestion_pipeline.embedding.turns import turn

HOLD = (
    "import sys; from pathlib import Path; from ingestion_pipeline.embedding.turns import turn\n"
    "with turn(Path(sys.argv[1])): print('mine', flush=True); sys.stdin.read()"
)


@pytest.fixture
def held(tmp_path: Path) -> tuple[Path, subprocess.Popen[str]]:
    """A file whose turn another process has until its stdin closes."""
    file = tmp_path / "state" / "turn"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "mine\n"
    return file, other


def test_a_turn_begins_when_that_of_another_process_ends(
    held: tuple[Path, subprocess.Popen[str]],
) -> None:
    file, other = held
    ended_at = 0.0

    def end() -> None:
        nonlocal ended_at
        time.sleep(0.3)
        ended_at = time.monotonic()
        other.kill()  # even so it ends

    thread = threading.Thread(target=end)
    thread.start()
    with turn(file):
        began_at = time.monotonic()
    thread.join()
    other.communicate()

    assert began_at > ended_at


def test_nobody_waits_for_ever_for_somebody_who_was_stopped(
    held: tuple[Path, subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = held
    monkeypatch.setattr(turns, "LONGEST_WAIT_SECONDS", 0.2)

    with turn(file):
        pass

    assert other.poll() is None
    other.communicate()


def test_a_turn_ends_with_its_block(tmp_path: Path) -> None:
    began_at = time.monotonic()

    for _ in range(3):
        with turn(tmp_path / "turn"):
            pass

    assert time.monotonic() - began_at < turns.LONGEST_WAIT_SECONDS
