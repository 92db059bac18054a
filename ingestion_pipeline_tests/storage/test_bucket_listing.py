from __future__ import annotations

import boto3
import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.storage.bucket_listing import BucketLister
from ingestion_pipeline.storage.listing import Found, Patterns
from ingestion_pipeline.storage.sources import SourcePolicy

KEYS = ["docs/a-b.txt", "docs/a/1.txt", "docs/a.txt", "docs/é.txt", "docs/z.md", "other/x.txt"]


@pytest.fixture
def filled(bucket: str) -> str:
    client = boto3.client("s3")
    for key in KEYS:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    client.put_object(Bucket=bucket, Key="docs/empty/", Body=b"")
    return bucket


def policy(own: frozenset[str] = frozenset()) -> SourcePolicy:
    return SourcePolicy(
        roots=(), max_bytes=1000, allow_private_addresses=False, own_buckets=own, timeout_seconds=5
    )


def look(
    bucket: str, prefix: str = "docs/", after: str = "", *, recursive: bool = True
) -> list[Found]:
    return list(BucketLister(bucket, prefix, Patterns(), recursive).look(policy(), after, {}))


def test_objects_are_found_in_the_order_of_their_uris(filled: str) -> None:
    found = look(filled)

    assert [each.uri for each in found] == sorted(
        f"s3://{filled}/{key}" for key in KEYS if key.startswith("docs/")
    )
    assert {each.bytes for each in found} == {9, 10, 11, 12}


def test_a_look_goes_on_behind_any_place(filled: str) -> None:
    uris = [each.uri for each in look(filled)]

    for position, uri in enumerate(uris):
        assert [each.uri for each in look(filled, after=uri)] == uris[position + 1 :]


def test_the_signature_is_that_of_the_content(filled: str) -> None:
    before = {each.uri: each.signature for each in look(filled)}
    client = boto3.client("s3")
    client.put_object(Bucket=filled, Key="docs/z.md", Body=b"other")
    client.put_object(Bucket=filled, Key="docs/a.txt", Body=b"docs/a.txt")

    after = {each.uri: each.signature for each in look(filled)}

    assert [uri for uri in before if before[uri] != after[uri]] == [f"s3://{filled}/docs/z.md"]


def test_what_is_below_is_left_out_if_asked(filled: str) -> None:
    uris = [each.uri for each in look(filled, recursive=False)]

    assert f"s3://{filled}/docs/a/1.txt" not in uris
    assert len(uris) == 4


def test_patterns_are_about_what_follows_the_prefix(filled: str) -> None:
    lister = BucketLister(filled, "docs", Patterns(include=("a/*",)), recursive=True)

    assert [each.uri for each in lister.look(policy(), "", {})] == [f"s3://{filled}/docs/a/1.txt"]


def test_a_bucket_that_is_not_there_is_a_failure_and_not_empty(bucket: str) -> None:
    with pytest.raises(PermanentError, match="NoSuchBucket") as caught:
        look(f"{bucket}-nothing")
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_a_bucket_out_of_reach_is_a_failure_and_not_empty(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with pytest.raises(TransientError):
        look(bucket)


def test_our_own_bucket_is_nobodys_source(filled: str) -> None:
    with pytest.raises(PermanentError, match="own state"):
        list(
            BucketLister(filled, "", Patterns(), recursive=True).look(
                policy(frozenset({filled})), "", {}
            )
        )
