from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.storage import ObjectStore, SourceObjects, object_key, object_uri
from ingestion_pipeline.storage.local import LocalStore

OURS = CollectionName("acme", "handbook")
SHA256 = hashlib.sha256(b"data").hexdigest()


def test_bytes_are_kept_by_content_in_their_collection(store: ObjectStore) -> None:
    objects = SourceObjects(store)
    key, sha256 = objects.put(OURS, b"data")
    assert sha256 == SHA256
    assert key == f"objects/acme/handbook/{SHA256[:2]}/{SHA256}"
    assert objects.get(OURS, key) == b"data"
    assert objects.put(OURS, b"data") == (key, sha256)
    assert list(store.keys()) == [key]


def test_what_exists_is_not_written_again(store: ObjectStore) -> None:
    objects = SourceObjects(store)
    key, _ = objects.put(OURS, b"data")
    store.put(key, b"DATA")  # same size: looks untouched
    objects.put(OURS, b"data")
    assert store.get(key) == b"DATA"


def test_a_torn_object_is_reported_and_healed_by_the_next_put(store: ObjectStore) -> None:
    objects = SourceObjects(store)
    key, _ = objects.put(OURS, b"data")
    store.put(key, b"da")
    with pytest.raises(PermanentError, match="submit the source again") as caught:
        objects.get(OURS, key)
    assert caught.value.kind is ErrorKind.BROKEN
    objects.put(OURS, b"data")
    assert objects.get(OURS, key) == b"data"


@pytest.mark.parametrize(
    "other",
    [
        CollectionName("acme", "handbook2"),
        CollectionName("acme", "hand"),
        CollectionName("rival", "handbook"),
        CollectionName("default", "handbook"),
    ],
)
def test_another_collections_object_is_out_of_reach(
    store: ObjectStore, other: CollectionName
) -> None:
    objects = SourceObjects(store)
    key, _ = objects.put(OURS, b"data")
    for operation in (objects.get, objects.delete):
        with pytest.raises(PermanentError, match="does not belong") as caught:
            operation(other, key)
        assert caught.value.kind is ErrorKind.FORBIDDEN_SOURCE
    other_key, _ = objects.put(other, b"data")
    assert other_key != key


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (f"artifacts/acme/handbook/parsed/ab/{SHA256}", ErrorKind.FORBIDDEN_SOURCE),
        ("objects/acme/handbook", ErrorKind.FORBIDDEN_SOURCE),
        (f"objects/acme/handbook/../secret/ab/{SHA256}", ErrorKind.INVALID_OPTION),
        ("/etc/passwd", ErrorKind.INVALID_OPTION),
    ],
)
def test_no_key_leads_out_of_the_collection(store: ObjectStore, key: str, kind: ErrorKind) -> None:
    with pytest.raises(PermanentError) as caught:
        SourceObjects(store).get(OURS, key)
    assert caught.value.kind is kind


def test_a_missing_object_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(PermanentError) as caught:
        SourceObjects(store).get(OURS, f"objects/acme/handbook/{SHA256[:2]}/{SHA256}")
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_deleting_removes_the_bytes(store: ObjectStore) -> None:
    objects = SourceObjects(store)
    key, _ = objects.put(OURS, b"data")
    objects.delete(OURS, key)
    objects.delete(OURS, key)
    assert not store.exists(key)


def test_a_key_becomes_a_uri_and_back() -> None:
    key = f"objects/acme/handbook/{SHA256[:2]}/{SHA256}"
    assert object_uri(key) == f"object:{key}"
    assert object_key(object_uri(key)) == key


@pytest.mark.parametrize("uri", ["file:/etc/passwd", "objects/a", "object:", "object:../x"])
def test_a_uri_that_names_no_object_is_refused(uri: str) -> None:
    with pytest.raises(PermanentError) as caught:
        object_key(uri)
    assert caught.value.kind is ErrorKind.INVALID_OPTION


def test_a_sweep_removes_what_is_not_used_and_leaves_other_collections(store: ObjectStore) -> None:
    objects = SourceObjects(store)
    unused, used = (objects.put(OURS, data)[0] for data in (b"one", b"two"))
    other, _ = objects.put(CollectionName("acme", "handbook2"), b"one")

    would_go = objects.sweep(OURS, {used}, dry_run=True)
    assert [(each.key, each.bytes) for each in would_go] == [(unused, 3)]
    assert sorted(store.keys("objects")) == sorted([unused, used, other])

    assert objects.sweep(OURS, {used}) == would_go
    assert sorted(store.keys("objects")) == sorted([used, other])


def test_what_was_put_again_counts_as_young(tmp_path: Path) -> None:
    objects = SourceObjects(LocalStore(tmp_path))
    old, _ = objects.put(OURS, b"old")
    again, _ = objects.put(OURS, b"again")
    for key in (old, again):
        os.utime(tmp_path / key, (0, 0))
    objects.put(OURS, b"again")
    assert [each.key for each in objects.sweep(OURS, (), older_than=60)] == [old]
    assert [each.key for each in objects.sweep(OURS, ())] == [again]
