from __future__ import annotations

import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.indexing import CollectionIndex, Counts, maintenance, purge_collection
from ingestion_pipeline.indexing.purging import ABANDONED_AFTER
from ingestion_pipeline.indexing.schema import SENTINEL
from ingestion_pipeline_tests.indexing.samples import WordEncoder, document

CANARY = b"zqxcanaryvv"
SECRET = document(
    "zqxcanaryvv-id",
    "the zqxcanaryvv-text of it",
    "more of the zqxcanaryvv-text",
    name="zqxcanaryvv-name.txt",
    headings=("zqxcanaryvv-heading",),
)


def purge(index: CollectionIndex, removed: tuple[str, ...] = ()) -> int:
    return purge_collection(index.uri, index.table, removed)


def traces(index: CollectionIndex) -> list[str]:
    """Return the files that hold the canary, whatever they are for."""
    files = [path for path in Path(index.uri).rglob("*") if path.is_file()]
    return [str(path) for path in files if CANARY in path.read_bytes() or CANARY in bytes(path)]


def index_folders(index: CollectionIndex) -> set[str]:
    return {path.name for path in Path(index.uri).glob("*/_indices/*")}


def plain(number: int) -> list[str]:
    return [f"plain words {number}", f"more plain text {number * 7}"]


@pytest.fixture(params=["as it was published", "maintained before", "maintained between"])
def with_deleted(index: CollectionIndex, request: pytest.FixtureRequest) -> CollectionIndex:
    """An index from which one document of many was removed, so that compaction skips its rows."""
    others = [document(f"d{number}", *plain(number)) for number in range(60)]
    index.publish([*others[:30], SECRET, *others[30:]])
    if request.param == "maintained before":
        index.maintain(thorough=True)
    index.publish([], removed=[SECRET.document_id])
    if request.param == "maintained between":
        index.maintain(thorough=True)
    return index


def test_no_file_holds_anything_of_a_removed_document(with_deleted: CollectionIndex) -> None:
    assert traces(with_deleted)
    indexes_before = index_folders(with_deleted)
    assert purge(with_deleted) == 1
    assert traces(with_deleted) == []
    # Its words are not legible in the files of a full-text index: none of the old ones is left.
    assert not index_folders(with_deleted) & indexes_before
    table = with_deleted._open()
    assert table is not None
    # Nor is text in a data file that is compressed: each of those left is one of visible rows.
    lengths = table.stats()["fragment_stats"]  # type: ignore[index]
    assert len(list(Path(with_deleted.uri).glob("*/data/*"))) == lengths["num_fragments"]
    assert lengths["num_fragments"] == 1
    assert lengths["lengths"]["max"] == table.count_rows() == 121
    for version in table.list_versions():
        table.checkout(version["version"])
        ids = table.search().select(["document_id"]).to_arrow()["document_id"].to_pylist()
        assert ids.count(SENTINEL) == 1
        assert SECRET.document_id not in ids
        assert len(ids) == 121


def test_everything_else_is_found_as_before(with_deleted: CollectionIndex) -> None:
    vector = WordEncoder().encode(["plain words 17"], None)[0]  # type: ignore[arg-type]

    def seen() -> tuple[object, ...]:
        snapshot = with_deleted.snapshot()
        nearest = [(hit.chunk_id, round(hit.score, 5)) for hit in snapshot.nearest(vector, 1)]
        matching = {hit.chunk_id for hit in snapshot.matching("plain", 1000)}
        one = [hit.document_id for hit in snapshot.matching("17", 1)]
        return snapshot.counts(), snapshot.document_versions(), nearest, matching, one

    before = seen()
    assert before[0] == Counts(chunks=120, documents=60)
    purge(with_deleted)
    assert seen() == before
    done = with_deleted.maintain()
    assert done.unindexed_rows == 0
    with_deleted.publish([document("d3", "new words", version="v2")])
    assert with_deleted.snapshot().counts() == Counts(chunks=119, documents=60)


def test_purging_makes_invisible_what_it_is_told_to_remove_in_every_generation(
    index: CollectionIndex,
) -> None:
    other = CollectionIndex(index.uri, index.table, "model-b")
    neighbour = CollectionIndex(index.uri, "handbook2", "model-a")
    for each in (index, other, neighbour):
        each.publish([document("gone", "same words"), document("kept", "other words")])
    assert purge(index, removed=("gone", "unknown")) == 2
    for each, documents in ((index, 1), (other, 1), (neighbour, 2)):
        assert each.snapshot().counts().documents == documents


def test_an_empty_collection_has_nothing_to_purge(index: CollectionIndex) -> None:
    assert purge(index, removed=("unknown",)) == 0
    index.publish([SECRET])
    assert purge(index, removed=(SECRET.document_id,)) == 1
    assert traces(index) == []
    assert index.snapshot().counts() == Counts(chunks=0, documents=0)
    index.publish([document("a", "words")])
    assert [hit.document_id for hit in index.snapshot().matching("words", 5)] == ["a"]


def test_what_readers_still_use_goes_with_the_next_pruning(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.publish([SECRET, *(document(f"d{n}", *plain(n)) for n in range(30))])
    held = index.snapshot()
    index.publish([], removed=[SECRET.document_id])
    purge_collection(index.uri, index.table, keep_versions=timedelta(hours=1))
    assert len(held.chunks_of(SECRET.document_id)) == 2
    assert traces(index)
    monkeypatch.setattr(maintenance, "KEEP_VERSIONS", timedelta(milliseconds=1))
    index.maintain(thorough=True)
    assert traces(index) == []


def test_a_reader_of_a_version_that_was_purged_is_told_to_ask_again(
    index: CollectionIndex,
) -> None:
    index.publish([SECRET, document("a", "words")])
    held = CollectionIndex(index.uri, index.table, index.fingerprint).snapshot()
    index.publish([], removed=[SECRET.document_id])
    purge(index)
    vector = WordEncoder().encode(["words"], None)[0]  # type: ignore[arg-type]
    for read in (held.counts, lambda: held.matching("words", 5), lambda: held.nearest(vector, 5)):
        with pytest.raises(TransientError, match="ask again") as caught:
            read()
        assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert index.snapshot().counts().documents == 1


def test_a_vector_index_is_built_anew_and_dropped_when_the_table_became_small(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "VECTOR_INDEX_ROWS", 400)
    index.publish([document(f"d{n}", *(f"word{n} word{m}" for m in range(10))) for n in range(50)])
    assert index.maintain().vector_index_created
    before = index_folders(index)
    purge(index, removed=("d0",))
    assert not index_folders(index) & before
    assert not index.maintain().vector_index_created
    purge(index, removed=tuple(f"d{n}" for n in range(20)))
    table = index._open()
    assert table is not None
    assert not [each for each in table.list_indices() if each.columns == ["vector"]]
    vector = WordEncoder().encode(["word30 word3"], None)[0]  # type: ignore[arg-type]
    assert index.snapshot().nearest(vector, 1)[0].score == pytest.approx(1, abs=1e-5)


def test_what_failed_commits_left_is_removed_after_an_hour(index: CollectionIndex) -> None:
    index.publish([document("a", "words")])
    (data,) = Path(index.uri).glob("*/data")
    old, new = data / "old.lance", data / "new.lance"
    for path in (old, new):
        path.write_bytes(CANARY)
    then = time.time() - ABANDONED_AFTER.total_seconds() - 60
    os.utime(old, (then, then))
    purge(index)
    assert traces(index) == [str(new)]
    assert index.snapshot().counts().documents == 1


def test_publications_beside_a_purge_are_not_lost(index: CollectionIndex) -> None:
    index.publish([document(f"d{number}", *plain(number)) for number in range(60)])
    stop = threading.Event()

    def publish(publisher: int) -> set[str]:
        """Publish one document after the other, each replacing the third last."""
        mine = CollectionIndex(index.uri, index.table, index.fingerprint)
        for number in count():
            published = document(f"p{publisher}-{number}", *plain(number))
            mine.publish([published], removed=[f"p{publisher}-{number - 3}"])
            if number > 3 and stop.is_set():
                break
        return {f"p{publisher}-{last}" for last in range(number - 2, number + 1)}

    with ThreadPoolExecutor(2) as pool:
        publishers = [pool.submit(publish, publisher) for publisher in range(2)]
        for _ in range(3):
            with suppress(TransientError):  # as happens where others are always faster
                purge(index)
        stop.set()
        published = publishers[0].result() | publishers[1].result()
    for _ in range(2):
        visible = index.snapshot().document_versions()
        assert {each.document_id for each in visible} == published | {f"d{n}" for n in range(60)}
        assert {each.chunks for each in visible} == {2}
        purge(index)


def purge_for_ever(uri: str, table: str, ready: threading.Event) -> None:
    purge_collection(uri, table)
    ready.set()
    while True:
        purge_collection(uri, table)


def test_a_purge_killed_at_any_moment_leaves_a_readable_table(index: CollectionIndex) -> None:
    index.publish([SECRET, *(document(f"d{number}", *plain(number)) for number in range(60))])
    index.publish([], removed=[SECRET.document_id])
    context = multiprocessing.get_context("spawn")
    for number in range(3):
        ready = context.Event()
        process = context.Process(target=purge_for_ever, args=(index.uri, index.table, ready))
        process.start()
        assert ready.wait(60)
        time.sleep(0.01 + 0.017 * number)
        process.kill()
        process.join(30)
        snapshot = index.snapshot()
        assert snapshot.counts() == Counts(chunks=120, documents=60)
        assert len(snapshot.matching("plain", 1000)) == 120
        index.publish([document("d5", *plain(5), version=f"v{number}")])
    purge(index)
    assert traces(index) == []
    assert index.snapshot().counts() == Counts(chunks=120, documents=60)
