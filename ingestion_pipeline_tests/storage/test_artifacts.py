from __future__ import annotations

import logging

import numpy as np
import pytest

from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument
from ingestion_pipeline.storage import ArtifactStore, ObjectStore

OURS = CollectionName("acme", "handbook")
PARSED = ParsedDocument("text/plain", (Element(ElementCategory.NARRATIVE_TEXT, "some text"),))
CHUNKS = [Chunk("id", "document", 0, "some text", 4, 0, 9, (1,), ("A heading",))]
VECTORS = np.eye(3, 5, dtype=np.float32)


@pytest.fixture
def artifacts(store: ObjectStore) -> ArtifactStore:
    return ArtifactStore(store)


def test_results_are_found_by_stage_and_fingerprint(
    artifacts: ArtifactStore, store: ObjectStore
) -> None:
    artifacts.put_parsed(OURS, "f1", PARSED)
    artifacts.put_chunks(OURS, "f1", CHUNKS)
    artifacts.put_vectors(OURS, "f1", VECTORS)
    assert artifacts.get_parsed(OURS, "f1") == PARSED
    assert artifacts.get_chunks(OURS, "f1") == CHUNKS
    vectors = artifacts.get_vectors(OURS, "f1")
    assert vectors is not None
    assert np.array_equal(vectors, VECTORS)
    assert sorted(store.keys()) == [
        "artifacts/acme/handbook/chunked/f1/f1",
        "artifacts/acme/handbook/embedded/f1/f1",
        "artifacts/acme/handbook/parsed/f1/f1",
    ]


def test_what_was_never_stored_is_absent(artifacts: ArtifactStore) -> None:
    artifacts.put_parsed(OURS, "f1", PARSED)
    assert artifacts.get_parsed(OURS, "f2") is None
    assert artifacts.get_chunks(OURS, "f1") is None
    assert artifacts.get_vectors(OURS, "f1") is None
    assert artifacts.get_parsed(CollectionName("rival", "handbook"), "f1") is None


def test_no_chunks_are_a_result_and_not_an_absence(artifacts: ArtifactStore) -> None:
    artifacts.put_chunks(OURS, "f1", [])
    assert artifacts.get_chunks(OURS, "f1") == []


@pytest.mark.parametrize("damage", ["empty", "cut", "bit", "zeros"])
def test_a_damaged_result_is_absent_with_a_warning(
    artifacts: ArtifactStore,
    store: ObjectStore,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    artifacts.put_parsed(OURS, "f1", PARSED)
    artifacts.put_chunks(OURS, "f1", CHUNKS)
    artifacts.put_vectors(OURS, "f1", VECTORS)
    for key in list(store.keys()):
        data = store.get(key)
        middle = len(data) // 2
        damaged = {
            "empty": b"",
            "cut": data[:middle],
            "bit": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "zeros": bytes(len(data)),
        }[damage]
        store.put(key, damaged)
    assert artifacts.get_parsed(OURS, "f1") is None
    assert artifacts.get_chunks(OURS, "f1") is None
    assert artifacts.get_vectors(OURS, "f1") is None
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 3
    assert "artifacts/acme/handbook/parsed/f1/f1 is made again" in warnings[0]


def test_a_result_of_an_older_form_is_absent(artifacts: ArtifactStore) -> None:
    for stage in (Stage.PARSED, Stage.CHUNKED, Stage.EMBEDDED):
        artifacts.put(OURS, stage, "f1", b"as it was written once")
    assert artifacts.get_parsed(OURS, "f1") is None
    assert artifacts.get_chunks(OURS, "f1") is None
    assert artifacts.get_vectors(OURS, "f1") is None
