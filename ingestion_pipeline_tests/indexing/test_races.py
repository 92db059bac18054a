"""Real publishers in real processes, and readers beside them."""

from __future__ import annotations

import multiprocessing
import threading
from multiprocessing.synchronize import Barrier
from pathlib import Path

from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline_tests.indexing.samples import document

ROUNDS = 6
PUBLISHERS = 2


def publish_each_round(uri: str, version: str, barrier: Barrier) -> None:
    """Race twice per round: on a new document of a new collection, then on one of an old one."""
    for number in range(ROUNDS):
        index = CollectionIndex(uri, f"c{number}", "model-a")
        for name in ("first", "second"):
            texts = [f"{version} part {part}" for part in range(5)]
            published = document(name, *texts, version=version)
            barrier.wait(60)
            index.publish([published])


def test_of_two_publishers_racing_on_a_new_document_exactly_one_survives(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PUBLISHERS)
    processes = [
        context.Process(target=publish_each_round, args=(str(tmp_path), f"v{number}", barrier))
        for number in range(PUBLISHERS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PUBLISHERS
    for number in range(ROUNDS):
        index = CollectionIndex(str(tmp_path), f"c{number}", "model-a")
        found = index.snapshot().document_versions()
        assert [(version.document_id, version.chunks) for version in found] == [
            ("first", 5),
            ("second", 5),
        ]
        table = index._open()
        assert table is not None
        indexed = {column for each in table.list_indices() for column in each.columns}
        assert indexed == {"search_text", "chunk_id", "document_id"}
    assert len(list(tmp_path.iterdir())) == ROUNDS


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
