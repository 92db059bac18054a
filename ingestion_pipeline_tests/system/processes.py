"""Looking at processes from outside, the way the kernel shows them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

LISTENING = "0A"
VANISHED = (FileNotFoundError, ProcessLookupError, PermissionError)


def with_environment(variable: str, value: str) -> dict[int, str]:
    """Return the command line of each live process that has a variable in its environment."""
    wanted = f"{variable}={value}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(*VANISHED):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(folder.name)] = command
    return found


def parent(pid: int) -> int | None:
    """Return the parent of a process; None if it has ended."""
    with suppress(*VANISHED):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def listening(pids: Iterable[int]) -> set[tuple[str, int]]:
    """Return the address and port of every TCP socket that the processes listen on."""
    inodes = set()
    for pid in pids:
        with suppress(*VANISHED):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(*VANISHED):
                    inodes.add(str(descriptor.readlink()))
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and f"socket:[{inode}]" in inodes:
                found.add(_address(local, family))
    return found


def _address(local: str, family: socket.AddressFamily) -> tuple[str, int]:
    host, port = local.split(":")
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    return socket.inet_ntop(family, b"".join(words)), int(port, 16)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
