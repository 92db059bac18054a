"""Runs a service and ends it, with everything it started, when its supervisor is gone.

A supervisor that is killed cannot stop what it started, and Dagster's processes outlive each other.
So each service runs under a guard, which holds the reading end of a pipe of the supervisor's: when
that closes, for whatever reason, the service is asked to end, and then killed. Run as a script; it
imports nothing but the standard library, so that it costs little. Of a guard that is killed itself
the kernel kills the service; what that had started is left.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

POLL_SECONDS = 0.2
PR_SET_PDEATHSIG = 1


def main(stop_seconds: float, command: Sequence[str]) -> int:
    """Run a command until it ends or stdin closes; return its exit code as a shell would."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ignore)  # unlike SIG_IGN, the service does not inherit this
    service = subprocess.Popen(  # noqa: S603 - the supervisor's command
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_end_with_guard,  # noqa: PLW1509 - the guard has no threads
    )
    while service.poll() is None and not select.select([sys.stdin], [], [], POLL_SECONDS)[0]:
        pass
    _end_group(service, stop_seconds)
    return service.returncode if service.returncode >= 0 else 128 - service.returncode


def _end_group(service: subprocess.Popen[bytes], stop_seconds: float) -> None:
    """End the service's process group: asked first, then killed."""
    deadline = time.monotonic() + stop_seconds
    _signal_group(service, signal.SIGTERM)
    while (service.poll() is None or _signal_group(service, 0)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    _signal_group(service, signal.SIGKILL)
    service.wait()


def _signal_group(service: subprocess.Popen[bytes], number: int) -> bool:
    """Signal the process group; return whether there still is one."""
    try:
        os.killpg(service.pid, number)
    except ProcessLookupError:
        return False
    return True


def _end_with_guard() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Only the pipe ends the guard."""


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
