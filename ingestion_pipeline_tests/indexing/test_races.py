"""Real publishers in real processes, and readers beside them."""

from __future__ import annotations

import multiprocessing
import threading
from multiprocessing.synchronize import Barrier

import pytest

from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline_tests.indexing.samples import document

ROUNDS = 6
PUBLISHERS = 2


def publish_each_round(uri: str, version: str, barrier: Barrier) -> None:
    """Publish one version of a new document per round; the first round also makes the table."""
    index = CollectionIndex(uri, "handbook", "model-a")
    for number in range(ROUNDS):
        texts = [f"{version} part {part}" for part in range(5)]
        published = document(f"d{number}", *texts, version=version)
        barrier.wait(60)
        index.publish([published])
        barrier.wait(60)


def test_of_two_publishers_racing_on_a_new_document_exactly_one_survives(
    index: CollectionIndex,
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PUBLISHERS)
    processes = [
        context.Process(target=publish_each_round, args=(index.uri, f"v{number}", barrier))
        for number in range(PUBLISHERS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PUBLISHERS
    found = index.snapshot().document_versions()
    assert [version.document_id for version in found] == [f"d{n}" for n in range(ROUNDS)]
    assert {version.chunks for version in found} == {5}
    indexed = {column for each in index._open().list_indices() for column in each.columns}  # type: ignore[union-attr]
    assert indexed == {"search_text", "chunk_id", "document_id"}


def test_a_reader_sees_the_old_version_or_the_new_one_and_nothing_else(
    index: CollectionIndex,
) -> None:
    index.publish([document("a", *("same words",) * 3, version="v0")])
    stop = threading.Event()
    seen: list[tuple[int, int]] = []
    searched: list[int] = []

    def read() -> None:
        reader = CollectionIndex(index.uri, index.table, index.fingerprint)
        while not stop.is_set():
            snapshot = reader.snapshot()
            found = snapshot.document_versions(["a"])
            seen.append((len(found), found[0].chunks))
            searched.append(len(snapshot.matching("words", 10)))

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(1, 25):
        index.publish([document("a", *(f"words {number}",) * 3, version=f"v{number}")])
        if number % 8 == 0:
            index.maintain(thorough=True)
    stop.set()
    thread.join(30)
    assert len(seen) > 5
    assert set(seen) == {(1, 3)}
    assert set(searched) == {3}


def search_after_fork(index: CollectionIndex, found: multiprocessing.SimpleQueue[int]) -> None:
    index.publish([document("b", "forked words")])
    found.put(len(index.snapshot().matching("words", 10)))


@pytest.mark.filterwarnings("ignore:lancedb fork support:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_index_that_was_used_before_a_fork_works_after_it(index: CollectionIndex) -> None:
    index.publish([document("a", "words")])
    context = multiprocessing.get_context("fork")
    found = context.SimpleQueue()
    process = context.Process(target=search_after_fork, args=(index, found))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert found.get() == 2
    assert index.snapshot().counts().documents == 2
