from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.storage.local import ABANDONED_AFTER_SECONDS, UNFINISHED, LocalStore

PARTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", ".", "..", "...", "a", "~", "\\", "\0", "C:", UNFINISHED, "z" * 260]),
)


@given(st.lists(PARTS, max_size=5).map("/".join))
def test_no_key_leads_out_of_the_folder(key: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "in", "store")
        store = LocalStore(root)
        try:
            store.put(key, b"data", durable=False)
        except PermanentError:
            expected = []
        else:
            assert store.get(key) == b"data"
            expected = [key]
        assert list(store.keys()) == expected
        written = [path for path in Path(folder).rglob("*") if path.is_file()]
        assert len(written) == len(expected)
        assert all(path.is_relative_to(root) for path in written)


def test_a_killed_writer_leaves_a_whole_object_or_none(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from ingestion_pipeline.storage.local import LocalStore\n"
        "store = LocalStore(Path(sys.argv[1])); print('ready', flush=True)\n"
        "while True:\n"
        "    for letter in b'abc': store.put('key', bytes([letter]) * 4_000_000, durable=False)\n"
    )
    store = LocalStore(tmp_path)
    wholes = {bytes([letter]) * 4_000_000 for letter in b"abc"}
    for number in range(5):
        command = [sys.executable, "-c", script, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.003 * number)
            writer.kill()
        assert not store.exists("key") or store.get("key") in wholes
        assert set(store.keys()) <= {"key"}
        store.delete("key")


def test_what_killed_writers_left_is_removed_after_a_day(tmp_path: Path) -> None:
    LocalStore(tmp_path)
    old, new = tmp_path / UNFINISHED / "old", tmp_path / UNFINISHED / "new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - ABANDONED_AFTER_SECONDS - 10))
    LocalStore(tmp_path)
    assert not old.exists()
    assert new.exists()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("a/b", b"")
    with pytest.raises(TransientError, match="cannot be used") as caught:
        store.put("a", b"a folder stands here")
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    with pytest.raises(TransientError):
        store.put("a/b/c", b"a file stands in the way")
    assert list((tmp_path / UNFINISHED).iterdir()) == []
    assert list(store.keys()) == ["a/b"]


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TransientError, match="INGEST_STORAGE_URI"):
        LocalStore(tmp_path / "file" / "store")


def test_deleting_removes_the_folders_it_leaves_empty(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("a/b/c/1", b"")
    store.put("a/2", b"")
    store.delete("a/b/c/1")
    assert sorted(path.name for path in tmp_path.iterdir()) == [UNFINISHED, "a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["2"]
    store.delete("a/2")
    assert [path.name for path in tmp_path.iterdir()] == [UNFINISHED]


def test_writers_beside_deletions_in_the_same_folder_lose_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)

    def write_and_delete(name: int) -> None:
        for _ in range(150):
            store.put(f"a/b/{name}", b"data", durable=name % 2 == 0)
            assert store.get(f"a/b/{name}") == b"data"
            store.delete(f"a/b/{name}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write_and_delete, range(4)))
    assert [path.name for path in tmp_path.iterdir()] == [UNFINISHED]
