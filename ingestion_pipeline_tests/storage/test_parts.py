from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ingestion_pipeline.errors import TransientError
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.storage.artifacts import ArtifactStore
from ingestion_pipeline.storage.local import LocalStore
from ingestion_pipeline.storage.parts import ROWS_IN_PART, ReadTexts

OURS = CollectionName("acme", "handbook")
COUNT = 2 * ROWS_IN_PART + 5
CHUNKS = [Chunk(f"c{number}", "d1", number, "text", 3, 0, 4) for number in range(COUNT)]
VECTORS = np.arange(2 * COUNT, dtype=np.float32).reshape(COUNT, 2)
STARTS = range(0, COUNT, ROWS_IN_PART)
SLICES = [
    slice(None),
    slice(3, 7),
    slice(ROWS_IN_PART, 2 * ROWS_IN_PART),
    slice(ROWS_IN_PART - 2, 2 * ROWS_IN_PART + 2),
    slice(COUNT - 1, COUNT + 10),
    slice(COUNT, None),
    slice(7, 7),
]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def artifacts(store: LocalStore) -> ArtifactStore:
    artifacts = ArtifactStore(store)
    artifacts.put_chunks(OURS, "d1", "f1", (CHUNKS[i : i + ROWS_IN_PART] for i in STARTS))
    artifacts.put_vectors(
        OURS, "d1", "f1", ((VECTORS[i : i + ROWS_IN_PART], _read(i)) for i in STARTS)
    )
    return artifacts


def _read(start: int) -> ReadTexts:
    return ReadTexts([b"%d" % start], VECTORS[start : start + 1])


def test_what_the_vectors_of_each_part_are_made_of_is_found(artifacts: ArtifactStore) -> None:
    found = list(artifacts.read_texts(OURS, "d1", "f1"))
    assert [read.keys for read in found] == [_read(start).keys for start in STARTS]
    assert all(
        np.array_equal(read.vectors, _read(start).vectors)
        for read, start in zip(found, STARTS, strict=True)
    )


@pytest.mark.parametrize("rows", SLICES, ids=str)
def test_slices_of_a_long_result_are_those_of_the_whole(
    artifacts: ArtifactStore, rows: slice
) -> None:
    chunks = artifacts.get_chunks(OURS, "d1", "f1")
    vectors = artifacts.get_vectors(OURS, "d1", "f1")
    assert chunks is not None
    assert vectors is not None
    assert chunks[rows] == CHUNKS[rows]
    assert np.array_equal(vectors[rows], VECTORS[rows])


def test_long_chunks_are_read_in_order_by_place_and_in_steps(artifacts: ArtifactStore) -> None:
    chunks = artifacts.get_chunks(OURS, "d1", "f1")
    assert chunks is not None
    assert len(chunks) == COUNT
    assert list(chunks) == CHUNKS
    assert chunks[:: COUNT // 4] == CHUNKS[:: COUNT // 4]
    assert chunks[-1] == CHUNKS[-1]
    assert chunks[ROWS_IN_PART] == CHUNKS[ROWS_IN_PART]


def test_a_result_that_fills_its_parts_ends_with_an_empty_one(artifacts: ArtifactStore) -> None:
    full = CHUNKS[:ROWS_IN_PART]
    artifacts.put_chunks(OURS, "d2", "f1", [full, []])
    stored = artifacts.get_chunks(OURS, "d2", "f1")
    assert stored is not None
    assert list(stored) == full


def test_a_result_of_which_a_part_is_gone_is_absent(
    artifacts: ArtifactStore, store: LocalStore
) -> None:
    chunks = artifacts.get_chunks(OURS, "d1", "f1")
    assert chunks is not None
    (middle,) = filter(re.compile(r"chunked\.1-f1$").search, store.keys())
    store.delete(middle)
    assert artifacts.get_chunks(OURS, "d1", "f1") is None
    with pytest.raises(TransientError, match="gone or damaged"):
        list(chunks)


def test_nothing_of_an_unfinished_result_is_found(store: LocalStore) -> None:
    artifacts = ArtifactStore(store)

    def parts() -> Iterator[list[Chunk]]:
        yield CHUNKS[:ROWS_IN_PART]
        yield CHUNKS[ROWS_IN_PART : 2 * ROWS_IN_PART]
        raise ValueError("the model broke")

    with pytest.raises(ValueError, match="broke"):
        artifacts.put_chunks(OURS, "d1", "f1", parts())
    assert artifacts.get_chunks(OURS, "d1", "f1") is None


def test_all_parts_go_with_their_result(artifacts: ArtifactStore, store: LocalStore) -> None:
    artifacts.put_chunks(OURS, "d1", "new", [CHUNKS[:1]])
    assert artifacts.sweep_document(OURS, "d1", keep={"f1", "new"}) == []
    assert len(artifacts.sweep_document(OURS, "d1", keep={"new"})) == 6
    assert artifacts.delete_document(OURS, "d1") == 1
    assert list(store.keys()) == []
