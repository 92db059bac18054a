"""The same index in an S3 bucket, served on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.indexing import (
    CollectionIndex,
    SummaryIndex,
    drop_collection,
    purge_collection,
)
from ingestion_pipeline.indexing.commits import storage_errors
from ingestion_pipeline_tests.indexing.samples import DIMENSION, document
from ingestion_pipeline_tests.indexing.test_summaries import ORIGIN, tree


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket="knowledge")
    yield "s3://knowledge/lancedb"
    server.stop()


def test_an_index_may_live_in_a_bucket(bucket: str) -> None:
    index = CollectionIndex(bucket, "handbook", "model-a")
    assert index.snapshot().empty
    index.publish([document("a", "old words"), document("b", "other words")])
    index.publish([document("a", "new words", version="v2")], removed=["b"])
    assert [hit.text for hit in index.snapshot().matching("words", 10)] == ["new words"]
    assert index.maintain(thorough=True).optimized
    assert [version.version for version in index.snapshot().document_versions()] == ["v2"]
    assert drop_collection(bucket, "handbook") == 1
    assert index.snapshot().empty


def test_a_tree_may_live_in_a_bucket(bucket: str) -> None:
    index = CollectionIndex(bucket, "handbook", "model-a")
    index.publish([document("a", "one")])
    summaries = SummaryIndex(index)
    assert summaries.snapshot().empty
    summaries.keep(tree("a"))
    assert summaries.publish(tree("a"), ORIGIN, DIMENSION, lambda: None) == 3
    before = summaries.snapshot()
    assert summaries.publish(tree("b"), ORIGIN, DIMENSION, lambda: None) == 3
    assert len(before.of_document("a")) == len(summaries.snapshot().of_document("b")) == 3
    assert summaries.known(["a"]) == {}
    assert summaries.snapshot().matching("travel", 5) != []
    assert index.maintain(thorough=True).optimized
    assert drop_collection(bucket, "handbook") == 1
    assert summaries.snapshot().empty


@pytest.mark.parametrize(
    "message",
    [
        'Failed to connect to namespace: IO { source: Generic { store: "S3" } }',
        "External error: LanceError(IO): No space left on device",
    ],
)
def test_storage_that_does_not_answer_is_a_transient_error(message: str) -> None:
    with pytest.raises(TransientError) as caught, storage_errors("s3://knowledge"):
        raise RuntimeError(message)
    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="a bug"), storage_errors("s3://knowledge"):
        raise ValueError("a bug")


def test_no_object_of_a_purged_bucket_holds_anything_of_a_removed_document(bucket: str) -> None:
    index = CollectionIndex(bucket, "handbook", "model-a")
    index.publish([document("a", "plain words"), document("b", "the zqxcanaryvv text")])
    index.maintain(thorough=True)
    assert stored_with("zqxcanaryvv")
    held = CollectionIndex(bucket, "handbook", "model-a").snapshot()
    assert purge_collection(bucket, "handbook", removed=["b"]) == 1
    assert stored_with("zqxcanaryvv") == []
    with pytest.raises(TransientError, match="ask again"):
        held.chunks_of("b")
    assert [hit.text for hit in index.snapshot().matching("words", 10)] == ["plain words"]


def stored_with(word: str) -> list[str]:
    client = boto3.client("s3")
    keys = [each["Key"] for each in client.list_objects_v2(Bucket="knowledge")["Contents"]]
    bodies = {key: client.get_object(Bucket="knowledge", Key=key)["Body"].read() for key in keys}
    return [key for key, body in bodies.items() if word.encode() in body]
