"""Two hosts that publish to a new collection in the same bucket at the same moment."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from urllib.parse import urlsplit

import boto3
import pytest

from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline_tests.indexing.samples import document

pytestmark = pytest.mark.xdist_group("servers")

SECONDS = 60


class HeldWrites:
    """The way to a bucket store, on which the first data of a table waits until it is let go."""

    def __init__(self, endpoint: str) -> None:
        self._target = (urlsplit(endpoint).hostname, urlsplit(endpoint).port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.reached = threading.Event()
        self.let_go = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.let_go.set()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                there = socket.create_connection(self._target)
                for ends in ((client, there), (there, client)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if data.startswith(b"PUT ") and b".lance/data/" in data.partition(b"\r\n")[0]:
                    self.reached.set()
                    self.let_go.wait(SECONDS)
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def held_writes(real_bucket: str) -> Iterator[HeldWrites]:
    way = HeldWrites(boto3.client("s3").meta.endpoint_url)
    yield way
    way.close()


def index_at(uri: str, database: str | None) -> CollectionIndex:
    if database is None:
        return CollectionIndex(uri, "handbook", "model-a")
    return CollectionIndex(uri, "handbook", "model-a", Database(database).alone)


def publish_from_elsewhere(uri: str, database: str | None, endpoint: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        index_at(uri, database).publish([document("theirs", "their words")])


def published_at_once(uri: str, database: str | None, held_writes: HeldWrites) -> list[str]:
    """Publish here while another process is in the middle of creating the table."""
    process = multiprocessing.get_context("spawn").Process(
        target=publish_from_elsewhere, args=(uri, database, held_writes.endpoint)
    )
    process.start()
    assert held_writes.reached.wait(SECONDS)
    with ThreadPoolExecutor() as threads:
        index = index_at(uri, database)
        ours = threads.submit(index.publish, [document("ours", "our words")])
        wait([ours], timeout=1)
        held_writes.let_go.set()
        process.join(SECONDS)
        assert process.exitcode == 0
        assert ours.result(SECONDS)
    return [version.document_id for version in index.snapshot().document_versions()]


def test_both_publications_stay_if_the_two_take_turns(
    real_bucket: str, held_writes: HeldWrites, postgres_url: str
) -> None:
    found = published_at_once(f"s3://{real_bucket}/lancedb", postgres_url, held_writes)

    assert found == ["ours", "theirs"]


def test_if_they_do_not_the_later_creation_replaces_what_was_published(
    real_bucket: str, held_writes: HeldWrites
) -> None:
    """What turns are for; they can go when LanceDB creates tables atomically."""
    found = published_at_once(f"s3://{real_bucket}/lancedb", None, held_writes)

    assert found == ["theirs"]
