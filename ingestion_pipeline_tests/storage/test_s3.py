from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, IncompleteReadError, NoCredentialsError

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError, TransientError
from ingestion_pipeline.storage.s3 import S3Store


class FailingClient:
    """A client whose every request fails; the local server cannot be made to fail like S3."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def request(**_: object) -> None:
            raise self._error

        return request


def refusal(status: int, code: str) -> ClientError:
    reply = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(reply, "GetObject")


@pytest.mark.parametrize(
    ("error", "typed", "kind"),
    [
        (refusal(404, "NoSuchKey"), PermanentError, ErrorKind.NOT_FOUND),
        (refusal(404, "404"), PermanentError, ErrorKind.NOT_FOUND),
        (refusal(404, "NoSuchBucket"), PermanentError, ErrorKind.INVALID_OPTION),
        (refusal(403, "AccessDenied"), PermanentError, ErrorKind.FORBIDDEN_SOURCE),
        (refusal(403, "403"), PermanentError, ErrorKind.FORBIDDEN_SOURCE),
        (NoCredentialsError(), PermanentError, ErrorKind.FORBIDDEN_SOURCE),
        (refusal(503, "SlowDown"), TransientError, ErrorKind.UNAVAILABLE),
        (refusal(500, "InternalError"), TransientError, ErrorKind.UNAVAILABLE),
        (refusal(429, "TooManyRequests"), TransientError, ErrorKind.UNAVAILABLE),
        (
            IncompleteReadError(actual_bytes=1, expected_bytes=2),
            TransientError,
            ErrorKind.UNAVAILABLE,
        ),
    ],
)
def test_failures_are_typed(error: Exception, typed: type[IngestError], kind: ErrorKind) -> None:
    store = S3Store(FailingClient(error), "bucket")
    for operation in (store.get, store.delete, lambda key: store.put(key, b"")):
        with pytest.raises(typed) as caught:
            operation("key")
        assert caught.value.kind is kind


def test_a_server_that_is_away_is_unavailable(bucket: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(TransientError, match="AWS_ENDPOINT_URL") as caught:
        S3Store(client, bucket).get("key")
    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_a_missing_bucket_is_named(bucket: str) -> None:
    store = S3Store(boto3.client("s3"), f"not-{bucket}")
    with pytest.raises(PermanentError, match=f"no bucket 'not-{bucket}'"):
        store.put("key", b"")
    with pytest.raises(PermanentError, match="no bucket"):
        list(store.keys())


def test_stores_with_different_prefixes_do_not_see_each_other(bucket: str) -> None:
    client = boto3.client("s3")
    first, second = S3Store(client, bucket, "one"), S3Store(client, bucket, "one-more")
    first.put("key", b"first")
    second.put("key", b"second")
    assert first.get("key") == b"first"
    assert list(first.keys()) == ["key"]
    assert sorted(S3Store(client, bucket).keys()) == ["one-more/key", "one/key"]
