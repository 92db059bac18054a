"""The guard with real processes: whatever happens, nothing is left of what it ran."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ingestion_pipeline.execution import guard

GRACE_SECONDS = 0.5
SERVICE = """
import os, signal, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.getpid(), child.pid, flush=True)
if "short" in sys.argv:
    sys.exit(3)
if "killed" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60)
"""


class Guarded:
    """A service under a guard, and the child that the service started."""

    def __init__(self, script: Path, *how: str) -> None:
        service = (sys.executable, "-S", str(script), *how)
        self.guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(GRACE_SECONDS), *service],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.guard.stdout is not None
        self.service, self.child = map(int, self.guard.stdout.readline().split())

    def end(self) -> int:
        """Close the pipe, as the end of a supervisor does, and return the guard's exit code."""
        self.guard.communicate(timeout=20)
        return self.guard.returncode


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    started: list[Guarded] = []

    def start(*how: str) -> Guarded:
        started.append(Guarded(script, *how))
        return started[-1]

    yield start
    for each in started:
        each.guard.kill()
        for pid in (each.service, each.child):  # while one of them lives, so does the pipe
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        each.guard.communicate()


def gone(*pids: int) -> bool:
    """Wait until the processes are no more, or only wait to be reaped."""
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_when_the_pipe_closes_the_service_and_its_children_end(start) -> None:
    guarded = start()

    assert guarded.end() == 128 + signal.SIGTERM
    assert gone(guarded.service, guarded.child)


def test_a_service_that_does_not_listen_is_killed(start) -> None:
    guarded = start("stubborn")

    assert guarded.end() == 128 + signal.SIGKILL
    assert gone(guarded.service, guarded.child)


def test_when_the_service_ends_its_children_do_and_its_exit_code_is_told(start) -> None:
    guarded = start("short")

    assert guarded.guard.wait(timeout=20) == 3
    assert gone(guarded.child)


def test_when_the_service_is_killed_its_children_end(start) -> None:
    guarded = start("killed")

    assert guarded.guard.wait(timeout=20) == 128 + signal.SIGKILL
    assert gone(guarded.child)


def test_when_the_guard_is_killed_the_service_is(start) -> None:
    guarded = start("stubborn")

    guarded.guard.kill()

    assert gone(guarded.service)


def test_signals_that_a_terminal_or_a_shell_sends_do_not_stop_the_guarding(start) -> None:
    guarded = start()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        guarded.guard.send_signal(number)
    time.sleep(0.3)

    assert guarded.guard.poll() is None
    assert _runs(guarded.service)
    guarded.end()
    assert gone(guarded.service, guarded.child)


def test_when_the_supervisor_is_killed_nothing_is_left(tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    supervisor = subprocess.Popen(
        [sys.executable, "-S", "-c", SUPERVISOR, guard.__file__, str(GRACE_SECONDS), str(script)],
        stdout=subprocess.PIPE,
    )
    assert supervisor.stdout is not None
    service, child = map(int, supervisor.stdout.readline().split())

    supervisor.kill()
    supervisor.communicate()

    assert gone(service, child)


SUPERVISOR = """
import subprocess, sys
_, guard, grace, script = sys.argv
command = [sys.executable, guard, grace, sys.executable, script]
subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True).wait()
"""
