from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.streams.connection import connect
from ingestion_pipeline.streams.embedded import MAX_SOCKET_PATH_BYTES, EmbeddedRedis
from ingestion_pipeline.streams.tasks import TaskStreams


def url(server: EmbeddedRedis) -> str:
    return f"unix://{server.socket}"


def kill(server: EmbeddedRedis) -> None:
    """Kill a server and leave everything behind as a crash would."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


def ended(pid: int, within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_it_listens_on_a_private_socket_only(folder: Path) -> None:
    with EmbeddedRedis(folder) as server, connect(url(server)) as client:
        assert client.ping()
        assert client.config_get("port") == {"port": "0"}
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
        assert (folder / "redis.pid").read_text().strip() == str(server.pid)


def test_what_it_writes_is_for_its_owner_only(folder: Path) -> None:
    with EmbeddedRedis(folder):
        files = [path for path in (folder / "redis").rglob("*") if path.is_file()]
        assert files
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)


def test_stopping_removes_the_socket_and_ends_the_process(folder: Path) -> None:
    server = EmbeddedRedis(folder)
    server.start()
    pid = server.pid
    assert pid is not None
    server.stop()
    assert ended(pid)
    assert not server.socket.exists()
    server.stop()


def test_clients_that_wait_can_be_released(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        streams = TaskStreams(connect(url(server)), "c-1")
        streams.ensure_groups()
        found: list[object] = []
        reader = threading.Thread(target=lambda: found.append(streams.read(10, 30)))
        reader.start()
        with connect(url(server)) as client:
            while not client.info("clients")["blocked_clients"]:
                time.sleep(0.01)

        server.release_readers()

        reader.join(timeout=5)
        assert found == [[]]


def test_a_running_server_is_used_and_not_owned(folder: Path) -> None:
    with EmbeddedRedis(folder) as owner:
        with EmbeddedRedis(folder) as guest:
            assert guest.pid is None
        with connect(url(owner)) as client:
            assert client.ping()
        pid = owner.pid
        owner.start()
        assert owner.pid == pid


def test_two_that_start_at_once_share_one_server(folder: Path) -> None:
    servers = [EmbeddedRedis(folder) for _ in range(4)]
    # The threads must outlive the assertions: a server ends with the thread that started it.
    done = threading.Event()
    started = threading.Barrier(len(servers) + 1)

    def run(server: EmbeddedRedis) -> None:
        server.start()
        started.wait(30)
        done.wait(30)
        server.stop()

    threads = [threading.Thread(target=run, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    started.wait(30)
    owners = [server for server in servers if server.pid is not None]
    done.set()
    for thread in threads:
        thread.join()
    assert len(owners) == 1


def test_the_socket_of_a_killed_server_is_replaced_and_nothing_is_lost(folder: Path) -> None:
    server = EmbeddedRedis(folder)
    server.start()
    with connect(url(server)) as client:
        client.set("kept", "yes")
    kill(server)
    assert server.socket.exists()
    with server, connect(url(server)) as client:
        assert client.get("kept") == "yes"


def test_an_owner_notices_that_its_server_was_killed_and_starts_another(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert ended(first)
        server.start()
        assert server.pid != first
        with connect(url(server)) as client:
            assert client.ping()


@pytest.mark.parametrize("crash", [False, True], ids=["clean stop", "kill -9"])
def test_pending_entries_and_their_group_survive_a_restart(folder: Path, crash: bool) -> None:
    server = EmbeddedRedis(folder)
    server.start()
    with connect(url(server)) as client:
        streams = TaskStreams(client, "one")
        streams.ensure_groups()
        streams.publish(["{}"], Priority.HIGH)
        (taken,) = streams.read(10, 0)
    if crash:
        kill(server)
    else:
        server.stop()
    with server, connect(url(server)) as client:
        (claimed,) = TaskStreams(client, "two").claim_stale(0, 10)
    assert (claimed.id, claimed.message, claimed.deliveries) == (taken.id, "{}", 2)


def test_the_server_has_its_own_session_so_that_ctrl_c_does_not_reach_it(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        assert server.pid is not None
        assert os.getsid(server.pid) == server.pid != os.getsid(0)


def test_the_server_ends_when_its_parent_is_killed(folder: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from ingestion_pipeline.streams.embedded import EmbeddedRedis\n"
        "server = EmbeddedRedis(Path(sys.argv[1])); server.start()\n"
        "print(server.pid, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert ended(pid)
    assert not (folder / "redis.sock").exists()


def test_a_socket_path_that_is_too_long_is_refused_with_advice(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * MAX_SOCKET_PATH_BYTES)
    with pytest.raises(PermanentError, match="set INGEST_STATE_DIR to a shorter path") as caught:
        EmbeddedRedis(folder).start()
    assert caught.value.kind is ErrorKind.INVALID_OPTION
    assert not folder.exists()


def test_the_longest_allowed_socket_path_works(folder: Path) -> None:
    room = MAX_SOCKET_PATH_BYTES - len(os.fsencode(folder)) - len("//redis.sock")
    with EmbeddedRedis(folder / ("x" * room)) as server, connect(url(server)) as client:
        assert len(os.fsencode(server.socket)) == MAX_SOCKET_PATH_BYTES
        assert client.ping()


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    (folder / "redis" / "appendonlydir").mkdir(parents=True)
    (folder / "redis" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    server = EmbeddedRedis(folder)
    with pytest.raises(TransientError, match="ended while starting") as caught:
        server.start()
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert server.pid is None
