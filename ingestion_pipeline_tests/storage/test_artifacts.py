from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.elements import (
    Attachment,
    Element,
    ElementCategory,
    ParsedDocument,
    Picture,
)
from ingestion_pipeline.model.enrichment import ChunkEnrichment, Enrichment, TocEntry
from ingestion_pipeline.model.graph import DocumentGraph, ExtractionMethod
from ingestion_pipeline.storage import ArtifactStore, ObjectStore
from ingestion_pipeline.storage.local import UNFINISHED, LocalStore
from ingestion_pipeline.storage.parts import ReadTexts

OURS = CollectionName("acme", "handbook")
PARSED = ParsedDocument("text/plain", (Element(ElementCategory.NARRATIVE_TEXT, "some text"),))
CHUNKS = [Chunk("id", "document", 0, "some text", 4, 0, 9, (1,), ("A heading",))]
GRAPH = DocumentGraph("d1", ExtractionMethod.LINGUISTIC)
VECTORS = np.eye(3, 5, dtype=np.float32)
READ = ReadTexts([b"one", b"other"], np.eye(2, 5, dtype=np.float32))


@pytest.fixture
def artifacts(store: ObjectStore) -> ArtifactStore:
    return ArtifactStore(store)


def test_results_are_found_by_stage_and_fingerprint(
    artifacts: ArtifactStore, store: ObjectStore
) -> None:
    artifacts.put_parsed(OURS, "d1", "f1", PARSED)
    artifacts.put_chunks(OURS, "d1", "f1", [CHUNKS])
    artifacts.put_vectors(OURS, "d1", "f1", [(VECTORS, READ)])
    assert artifacts.get_parsed(OURS, "d1", "f1") == PARSED
    assert list(artifacts.get_chunks(OURS, "d1", "f1") or ()) == CHUNKS
    vectors = artifacts.get_vectors(OURS, "d1", "f1")
    assert vectors is not None
    assert np.array_equal(vectors[:], VECTORS)
    assert sorted(store.keys()) == [
        "artifacts/acme/handbook/8b/d1/chunked-f1",
        "artifacts/acme/handbook/8b/d1/embedded-f1",
        "artifacts/acme/handbook/8b/d1/parsed-f1",
    ]


def test_what_vectors_are_made_of_is_stored_with_them(artifacts: ArtifactStore) -> None:
    artifacts.put_vectors(OURS, "d1", "f1", [(VECTORS, READ)])
    (found,) = artifacts.read_texts(OURS, "d1", "f1")
    assert found.keys == READ.keys
    assert found.vectors.tobytes() == READ.vectors.tobytes()
    assert list(artifacts.read_texts(OURS, "d1", "f2")) == []


def test_what_was_never_stored_is_absent(artifacts: ArtifactStore) -> None:
    artifacts.put_parsed(OURS, "d1", "f1", PARSED)
    assert artifacts.get_parsed(OURS, "d1", "f2") is None
    assert artifacts.get_chunks(OURS, "d1", "f1") is None
    assert artifacts.get_vectors(OURS, "d1", "f1") is None
    assert artifacts.get_parsed(CollectionName("rival", "handbook"), "d1", "f1") is None


def test_of_a_document_there_is_one_graph_that_of_its_last_fingerprint(
    artifacts: ArtifactStore, store: ObjectStore
) -> None:
    assert artifacts.get_graph(OURS, "d1", "f1") is None
    artifacts.put_graph(OURS, "d1", "f1", GRAPH)
    assert artifacts.get_graph(OURS, "d1", "f1") == GRAPH
    newer = replace(GRAPH, tokens=7)
    artifacts.put_graph(OURS, "d1", "f2", newer)
    assert artifacts.get_graph(OURS, "d1", "f1") is None
    assert artifacts.get_graph(OURS, "d1", "f2") == newer
    assert artifacts.sweep_document(OURS, "d1", keep=()) == []
    assert artifacts.get_graph(OURS, "d1", "f2") == newer
    assert len(list(store.keys())) == artifacts.delete_document(OURS, "d1") == 1
    assert artifacts.get_graph(OURS, "d1", "f2") is None


def test_no_chunks_are_a_result_and_not_an_absence(artifacts: ArtifactStore) -> None:
    artifacts.put_chunks(OURS, "d1", "f1", [[]])
    stored = artifacts.get_chunks(OURS, "d1", "f1")
    assert stored is not None
    assert list(stored) == []


@pytest.mark.parametrize("damage", ["empty", "cut", "bit", "zeros"])
def test_a_damaged_result_is_absent_with_a_warning(
    artifacts: ArtifactStore,
    store: ObjectStore,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    artifacts.put_parsed(OURS, "d1", "f1", PARSED)
    artifacts.put_chunks(OURS, "d1", "f1", [CHUNKS])
    artifacts.put_vectors(OURS, "d1", "f1", [(VECTORS, READ)])
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
    assert artifacts.get_parsed(OURS, "d1", "f1") is None
    assert artifacts.get_chunks(OURS, "d1", "f1") is None
    assert artifacts.get_vectors(OURS, "d1", "f1") is None
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 3
    assert "artifacts/acme/handbook/8b/d1/parsed-f1 is made again" in warnings[0]


def test_a_result_of_an_older_form_is_absent(artifacts: ArtifactStore) -> None:
    for stage in (Stage.PARSED, Stage.CHUNKED, Stage.EMBEDDED):
        artifacts.put(OURS, "d1", stage, "f1", b"as it was written once")
    assert artifacts.get_parsed(OURS, "d1", "f1") is None
    assert artifacts.get_chunks(OURS, "d1", "f1") is None
    assert artifacts.get_vectors(OURS, "d1", "f1") is None


def test_deleting_a_document_removes_all_versions_and_leaves_its_neighbours(
    artifacts: ArtifactStore, store: ObjectStore
) -> None:
    for fingerprint in ("f1", "f2"):
        for document_id in ("d1", "d", "d1.x", "D1"):
            artifacts.put_chunks(OURS, document_id, fingerprint, [CHUNKS])
            artifacts.put_vectors(OURS, document_id, fingerprint, [(VECTORS, READ)])
    artifacts.put_chunks(CollectionName("rival", "handbook"), "d1", "f1", [CHUNKS])
    assert artifacts.delete_document(OURS, "d1") == 4
    assert artifacts.delete_document(OURS, "d1") == 0
    assert sorted(artifacts.document_ids(OURS)) == ["D1", "d", "d1.x"]
    assert list(artifacts.document_ids(CollectionName("rival", "handbook"))) == ["d1"]
    assert not [key for key in store.keys("artifacts/acme") if "/d1/" in key]


def test_sweeping_a_document_keeps_the_results_that_are_named(artifacts: ArtifactStore) -> None:
    artifacts.put_chunks(OURS, "d1", "old", [CHUNKS])
    artifacts.put_vectors(OURS, "d1", "old", [(VECTORS, READ)])
    artifacts.put_chunks(OURS, "d1", "new", [CHUNKS])
    artifacts.put_chunks(OURS, "d2", "old", [CHUNKS])
    assert artifacts.sweep_document(OURS, "d1", keep={"new"}, older_than=3600) == []
    would_go = artifacts.sweep_document(OURS, "d1", keep={"new"}, dry_run=True)
    assert artifacts.get_chunks(OURS, "d1", "old") is not None
    assert artifacts.sweep_document(OURS, "d1", keep={"new"}) == would_go
    assert len(would_go) == 2
    assert artifacts.get_chunks(OURS, "d1", "old") is None
    assert list(artifacts.get_chunks(OURS, "d1", "new") or ()) == CHUNKS
    assert list(artifacts.get_chunks(OURS, "d2", "old") or ()) == CHUNKS


@settings(max_examples=25, deadline=None)
@given(st.sets(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", fullmatch=True), max_size=8))
def test_every_document_of_which_something_is_stored_is_listed_once(ids: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        artifacts = ArtifactStore(LocalStore(Path(folder)))
        for document_id in ids:
            artifacts.put_chunks(OURS, document_id, "f1", [CHUNKS])
            artifacts.put_vectors(OURS, document_id, "f1", [(VECTORS, READ)])
        assert sorted(artifacts.document_ids(OURS)) == sorted(ids)
        for document_id in ids:
            assert artifacts.delete_document(OURS, document_id) == 2
        assert [path.name for path in Path(folder).iterdir()] == [UNFINISHED]


PICTURE = Picture("c0ffee", "image/png", bytes(range(256)))
SHOWING = [Chunk("id", "d1", 0, "A figure", 4, 0, 8, pictures=("c0ffee",))]


def test_bytes_within_a_parsed_document_come_back_as_they_were(artifacts: ArtifactStore) -> None:
    parsed = ParsedDocument(
        "application/zip",
        (Element(ElementCategory.IMAGE, "A figure", picture="c0ffee", box=(0, 0.25, 0.5, 1)),),
        pictures=(PICTURE,),
        attachments=(Attachment("a/b.bin", "f00d", 256, bytes(range(256))),),
    )
    artifacts.put_parsed(OURS, "d1", "f1", parsed)
    assert artifacts.get_parsed(OURS, "d1", "f1") == parsed


def test_what_was_added_to_a_document_comes_back_as_it_was(artifacts: ArtifactStore) -> None:
    enrichment = Enrichment(
        (ChunkEnrichment(("glacier",), ("What melts?",), (("nature", 7),)),),
        language="en",
        metadata={"author": ["Ann", "Bob"], "year": "1999"},
        toc=(TocEntry("Ice", 1, ("id",)),),
    )
    artifacts.put_enrichment(OURS, "d1", "f1", enrichment)
    assert artifacts.get_enrichment(OURS, "d1", "f1") == enrichment


def test_pictures_stay_as_long_as_chunks_that_are_kept_show_them(artifacts: ArtifactStore) -> None:
    artifacts.put_picture(OURS, "d1", PICTURE)
    artifacts.put_chunks(OURS, "d1", "f1", [SHOWING])
    artifacts.put_chunks(OURS, "d1", "f2", [CHUNKS])

    assert len(artifacts.sweep_document(OURS, "d1", {"f1"})) == 1
    assert artifacts.get_picture(OURS, "d1", "c0ffee") == PICTURE.data
    assert len(artifacts.sweep_document(OURS, "d1", {"f2"})) == 2
    assert artifacts.get_picture(OURS, "d1", "c0ffee") is None


def test_pictures_belong_to_one_document(artifacts: ArtifactStore) -> None:
    artifacts.put_picture(OURS, "d1", PICTURE)
    assert artifacts.get_picture(OURS, "d2", "c0ffee") is None
    assert list(artifacts.document_ids(OURS)) == ["d1"]
    assert artifacts.delete_document(OURS, "d1") == 1
    assert artifacts.get_picture(OURS, "d1", "c0ffee") is None


def test_sweeping_a_collection_that_is_gone_takes_all_that_is_old_and_its_own(
    artifacts: ArtifactStore, store: ObjectStore
) -> None:
    others = [CollectionName("acme", "handbook2"), CollectionName("default", "handbook")]
    for name in (OURS, *others):
        artifacts.put(name, "d1", Stage.PARSED, "f1", b"result")
        artifacts.answers(name, "d1").put("key", "answer")
        artifacts.put_map(name, b"map")

    assert artifacts.sweep(OURS, older_than=3600) == []
    would_go = artifacts.sweep(OURS, dry_run=True)
    assert len(list(store.keys())) == 9
    assert artifacts.sweep(OURS) == would_go

    assert len(would_go) == 3
    assert len(list(store.keys())) == 6
    assert not [key for key in store.keys() if "acme/handbook/" in f"{key}/"]  # noqa: SIM118


def test_answers_outlive_sweeps_and_go_with_their_document(artifacts: ArtifactStore) -> None:
    answers = artifacts.answers(OURS, "d1")
    answers.put("k1", "Forty-two: 四十二")

    artifacts.sweep_document(OURS, "d1", ())

    assert answers.get("k1") == "Forty-two: 四十二"
    assert answers.get("k2") is None
    assert artifacts.answers(OURS, "d2").get("k1") is None
    artifacts.delete_document(OURS, "d1")
    assert answers.get("k1") is None


def test_answers_go_when_nobody_has_used_them_for_long(tmp_path: Path) -> None:
    artifacts = ArtifactStore(LocalStore(tmp_path))
    answers = artifacts.answers(OURS, "d1")
    for key in ("used", "unused"):
        answers.put(key, "paid for")
    for path in tmp_path.rglob("answer-*"):
        os.utime(path, (0, 0))
    answers.get("used")

    swept = artifacts.sweep_document(OURS, "d1", (), answers_unused_for=60)

    assert [each.key.rpartition("/")[2] for each in swept] == ["answer-unused"]
    assert answers.get("used") == "paid for"
    assert answers.get("unused") is None


def test_of_a_document_that_nobody_knows_everything_goes(artifacts: ArtifactStore) -> None:
    artifacts.answers(OURS, "d1").put("k1", "paid for")
    artifacts.put_graph(OURS, "d1", "f1", GRAPH)
    artifacts.put_chunks(OURS, "d1", "f1", [CHUNKS])

    assert artifacts.sweep_document(OURS, "d1", None, older_than=60) == []
    assert len(artifacts.sweep_document(OURS, "d1", None)) == 3
    assert list(artifacts.document_ids(OURS)) == []
