"""Tables on their way into a backup and out of it, and what upkeep does meanwhile."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.indexing import (
    CollectionIndex,
    GraphIndex,
    SummaryIndex,
    drop_collection,
    maintenance,
    pins,
    purge_collection,
)
from ingestion_pipeline.indexing.transfer import create, holds_tables, index_all, pinned
from ingestion_pipeline_tests.indexing.samples import DIMENSION, WordEncoder, document
from ingestion_pipeline_tests.indexing.test_graphs import ORIGIN, entity, relation, report
from ingestion_pipeline_tests.indexing.test_summaries import tree

ALL_AT_ONCE = 10**6


def fill(index: CollectionIndex) -> None:
    index.publish([document("a", "harbour and pilot", "tide and buoy"), document("b", "a lamp")])
    SummaryIndex(index).publish(tree("a"), ORIGIN, DIMENSION, lambda: None)
    SummaryIndex(index).keep(tree("b"))
    publish_graph(index, "Bergen")
    publish_graph(index, "Oslo")


def publish_graph(index: CollectionIndex, name: str) -> None:
    GraphIndex(index).publish(
        [entity(name, "a")], [relation(name, name, "a")], [], [report("c1", "a")], ORIGIN,
        DIMENSION, lambda: None,
    )  # fmt: skip


def moved(index: CollectionIndex, uri: str, most_rows: int = ALL_AT_ONCE) -> dict[str, list[int]]:
    """Make every table again elsewhere; return how many rows each part had."""
    sizes: dict[str, list[int]] = {}
    with pinned(index.uri, [index.table]) as tables:
        for table in tables:
            parts = list(table.parts(most_rows))
            sizes[table.name] = [len(part) for part in parts]
            batches = (batch for part in parts for batch in part.to_batches())
            create(uri, table.name, parts[0].schema, batches)
    index_all(uri, index.table)
    return sizes


def test_what_readers_find_is_the_same_elsewhere(index: CollectionIndex, tmp_path: Path) -> None:
    fill(index)
    there = CollectionIndex(str(tmp_path / "there"), index.table, index.fingerprint)
    (vector,) = WordEncoder().encode(["pilot"], NoControl())

    moved(index, there.uri)

    for ask in ("harbour", "tide", "lamp"):
        assert there.snapshot().matching(ask, 9) == index.snapshot().matching(ask, 9)
    assert there.snapshot().nearest(vector, 9) == index.snapshot().nearest(vector, 9)
    for summaries in (SummaryIndex(index), SummaryIndex(there)):
        assert len(summaries.snapshot().matching("travel", 9)) == len(tree("a"))
        assert summaries.snapshot().origin == ORIGIN
        assert len(summaries.known(["b"])) == len(tree("b"))
    assert GraphIndex(there).snapshot().counts() == GraphIndex(index).snapshot().counts()
    assert [each.name for each in GraphIndex(there).snapshot().entities()] == ["Oslo"]
    there_table, table = there._open(), index._open()
    assert there_table is not None
    assert table is not None
    assert there_table.schema.equals(table.schema, check_metadata=True)
    there.publish([document("c", "published there")])
    assert there.snapshot().counts().documents == 3


def test_a_replaced_graph_and_a_table_half_made_stay_behind(
    index: CollectionIndex, tmp_path: Path
) -> None:
    fill(index)
    index._create_table(
        f"{index.name}.{'0' * 32}", [pa.record_batch({"chunk_id": ["x"], "document_id": ["x"],
        "search_text": ["x"]})],
    )  # fmt: skip

    sizes = moved(index, str(tmp_path / "there"))

    everything = index.database.list_tables().tables
    assert len(everything) == 1 + 1 + 2 + 1 + 2 * 4
    assert len(sizes) == 1 + 2 + 1 + 4


def test_a_table_comes_in_parts_and_an_empty_one_too(
    index: CollectionIndex, tmp_path: Path
) -> None:
    index.publish([document(f"d{n}", f"word{n}") for n in range(9)])
    index.database.create_table(f"{index.name}.tree", schema=pa.schema([("text", pa.string())]))

    sizes = moved(index, str(tmp_path / "there"), most_rows=1)

    assert sum(sizes[index.name]) == 9 + 1
    assert sizes[f"{index.name}.tree"] == [0]


def test_what_is_pinned_stays_as_it_was(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "KEEP_VERSIONS", timedelta(milliseconds=1))
    index.publish([document("a", "the first words")])
    with pinned(index.uri, [index.table]) as (table,):
        for number in range(maintenance.SMALL_FRAGMENTS):
            index.publish([document("a", f"words {number}"), document(f"b{number}", "words")])
        time.sleep(0.01)
        assert index.maintain(thorough=True).optimized
        rows = pa.concat_tables(table.parts(ALL_AT_ONCE))
    assert "the first words" in rows["text"].to_pylist()
    assert len(rows) == 2

    index.maintain(thorough=True)

    newest = index._open()
    assert newest is not None
    assert newest.tags.list() == {}
    assert len(newest.list_versions()) <= 3


def test_a_purge_waits_for_a_backup_and_not_for_a_dead_one(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.publish([document("a", "words"), document("b", "others")])
    with pinned(index.uri, [index.table]):
        with pytest.raises(TransientError, match="a backup is being taken") as caught:
            purge_collection(index.uri, index.table, removed=["a"])
        assert caught.value.kind is ErrorKind.UNAVAILABLE
    monkeypatch.setattr(pins, "PIN_SECONDS", -1)
    table = index._open()
    assert table is not None
    pins.pin(table)

    assert purge_collection(index.uri, index.table, removed=["a"]) == 1
    assert index.snapshot().document_ids() == ["b"]
    assert table.tags.list() == {}


def test_a_table_that_is_dropped_meanwhile_is_an_error_that_may_pass(
    index: CollectionIndex,
) -> None:
    index.publish([document("a", "words")])
    with pinned(index.uri, [index.table]) as (table,):
        drop_collection(index.uri, index.table)
        with pytest.raises(TransientError):
            list(table.parts(ALL_AT_ONCE))


def test_tables_are_told_from_none(index: CollectionIndex) -> None:
    assert not holds_tables(index.uri)
    index.publish([document("a", "words")])
    assert holds_tables(index.uri)
