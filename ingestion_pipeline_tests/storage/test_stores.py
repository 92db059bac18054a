"""What every store must do, tried on each of them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.storage import ObjectStore

ODD_KEYS = [
    "a",
    "a/b/c",
    "with space/and+plus/100%/q?x=1&y#z",
    "ünïcode/日本語/😀",
    "quote'\"<&>;/~tilde$!*()",
    "trailing./dots..",
    "x" * 255,
    "/".join(["y" * 99] * 9),
]

UNSAFE_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    "a/..",
    ".unfinished/x",
    "a/.hidden",
    "a\\..\\b",
    "a\0b",
    "line\nfeed",
    "\x7f",
    "lone\ud800surrogate",
    "x" * 256,
    "/".join(["y" * 100] * 9),
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_object_comes_back_under_its_key(store: ObjectStore, key: str) -> None:
    store.put(key, b"data")
    assert store.get(key) == b"data"
    assert list(store.keys()) == [key]


@pytest.mark.parametrize("data", [b"", b"\0\xff" * 3, b"x" * 3_000_000], ids=len)
def test_bytes_are_kept_as_they_are(store: ObjectStore, data: bytes) -> None:
    store.put("key", data)
    assert store.get("key") == data
    assert store.size("key") == len(data)
    assert store.exists("key")


def test_the_last_writer_wins(store: ObjectStore) -> None:
    store.put("key", b"first, and longer")
    store.put("key", b"second", durable=False)
    assert store.get("key") == b"second"


@pytest.mark.parametrize("key", ["nothing", "no/thing", "a/b", "a/file/below"])
def test_what_is_missing_is_not_found(store: ObjectStore, key: str) -> None:
    store.put("a/b/c", b"")
    store.put("a/file", b"")
    with pytest.raises(PermanentError) as caught:
        store.get(key)
    assert caught.value.kind is ErrorKind.NOT_FOUND
    assert store.size(key) is None
    assert not store.exists(key)
    store.delete(key)
    assert sorted(store.keys()) == ["a/b/c", "a/file"]


def test_deleting_is_idempotent(store: ObjectStore) -> None:
    store.put("a/b", b"data")
    store.delete("a/b")
    store.delete("a/b")
    assert not store.exists("a/b")
    assert list(store.keys()) == []


def test_keys_are_listed_by_folder_and_not_by_the_start_of_a_name(store: ObjectStore) -> None:
    for key in ("a/1", "a/b/2", "ab/3", "c"):
        store.put(key, b"")
    assert sorted(store.keys()) == ["a/1", "a/b/2", "ab/3", "c"]
    assert sorted(store.keys("a")) == ["a/1", "a/b/2"]
    assert sorted(store.keys("a/b")) == ["a/b/2"]
    assert list(store.keys("nothing")) == []


def test_more_keys_than_one_page_of_s3_are_listed(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "5")
    keys = {f"many/{number}" for number in range(23)}
    for key in keys:
        store.put(key, b"", durable=False)
    assert sorted(store.keys("many")) == sorted(keys)


@pytest.mark.parametrize("key", UNSAFE_KEYS)
def test_an_unsafe_key_is_refused_by_every_operation(store: ObjectStore, key: str) -> None:
    operations = [
        lambda: store.put(key, b""),
        lambda: store.get(key),
        lambda: store.size(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
        lambda: store.touch(key),
    ]
    if key:
        operations.append(lambda: list(store.keys(key)))
        operations.append(lambda: list(store.dated(key)))
    for operation in operations:
        with pytest.raises(PermanentError) as caught:
            operation()
        assert caught.value.kind is ErrorKind.INVALID_OPTION


def test_concurrent_writers_of_one_key_leave_one_whole_object(store: ObjectStore) -> None:
    contents = [bytes([number]) * 200_000 for number in range(16)]

    def write_and_read(data: bytes) -> bytes:
        store.put("key", data)
        return store.get("key")

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(write_and_read, contents))
    assert set(seen) <= set(contents)
    assert store.get("key") in contents


def test_keys_are_listed_with_their_sizes_and_when_they_were_last_written(
    store: ObjectStore,
) -> None:
    began = time.time()
    store.put("a/1", b"")
    store.put("b/2", b"data")
    dated = {each.key: each for each in store.dated()}
    assert {key: each.bytes for key, each in dated.items()} == {"a/1": 0, "b/2": 4}
    assert all(began - 2 < each.modified < time.time() + 2 for each in dated.values())
    assert [each.key for each in store.dated("a")] == ["a/1"]


def test_touching_makes_an_object_young_and_keeps_its_bytes(store: ObjectStore) -> None:
    store.put("key", b"data")
    ((_, written, _),) = store.dated()
    time.sleep(0.02)
    assert store.touch("key")
    ((_, touched, _),) = store.dated()
    assert touched >= written
    assert store.get("key") == b"data"


@pytest.mark.parametrize("key", ["nothing", "no/thing", "a"])
def test_touching_nothing_makes_nothing(store: ObjectStore, key: str) -> None:
    store.put("a/b", b"")
    assert not store.touch(key)
    assert list(store.keys()) == ["a/b"]
