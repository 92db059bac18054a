from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from ingestion_pipeline.tasks.process import is_gone, kill, own_identity

SLEEPER = (
    "from ingestion_pipeline.tasks.process import own_identity\n"
    "import time\n"
    "print(own_identity(), flush=True)\n"
    "time.sleep(60)\n"
)


def test_a_process_is_named_by_host_number_and_start() -> None:
    host, number, started = own_identity().split(":")
    assert (host, number) == (socket.gethostname(), str(os.getpid()))
    assert started.isdigit()
    assert own_identity() == own_identity()


def test_a_stopped_process_is_killed_by_its_name() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        identity = it.stdout.readline().strip()
        it.send_signal(signal.SIGSTOP)
        assert not is_gone(identity)

        assert kill(identity)

        assert it.wait(10) == -signal.SIGKILL
    assert is_gone(identity)
    assert not kill(identity), "it is gone"


@pytest.mark.parametrize(
    "identity",
    [None, "", "elsewhere:{pid}:1", "{host}:{pid}:1", "{host}:0:1", "{host}:x:1"],
)
def test_nothing_else_is_killed(identity: str | None) -> None:
    named = identity and identity.format(host=socket.gethostname(), pid=os.getpid())
    assert not kill(named)


def test_of_another_machines_processes_nothing_is_known() -> None:
    assert not is_gone("elsewhere:1:1")
    assert not is_gone(None)
    assert not is_gone(own_identity())
    assert is_gone(f"{socket.gethostname()}:{os.getpid()}:1"), "an earlier one of that number"
