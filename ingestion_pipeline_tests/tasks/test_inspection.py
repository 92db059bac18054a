from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.indexing import CollectionIndex, IndexedDocument
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import STAGES
from ingestion_pipeline.model.tasks import Backend, Priority
from ingestion_pipeline.registry.claims import Wanted
from ingestion_pipeline.tasks import inspection
from ingestion_pipeline.tasks.deletion import delete_collection
from ingestion_pipeline.tasks.doubts import settle_doubts
from ingestion_pipeline.tasks.inspection import (
    Comparison,
    DeletedDocuments,
    compare_index_with_registry,
    deleted_documents,
    longest_chunk,
    unindexed_documents,
)
from ingestion_pipeline.tasks.submission import submit, submit_deletion
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import POISON, FakeServices


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "SETTLE_SECONDS", 0)


@pytest.fixture
def index(services: FakeServices, collection: Collection, write: Any) -> CollectionIndex:
    """The index of a collection with two documents."""
    paths = [write("a.txt", "Many words. " * 60), write("b.txt", "Few words.")]
    submit(services, collection, paths, Priority.NORMAL, {})
    run(services, collection, WorkRequest("run", Backend.IN_PROCESS))
    return services.index(collection)


def document(services: FakeServices, index: CollectionIndex, name: str) -> IndexedDocument:
    """A document as it was published."""
    (known,) = (each for each in services.registry.documents.find("docs") if each.name == name)
    chunks = index.snapshot().chunks_of(known.document_id)
    return IndexedDocument(
        document_id=known.document_id,
        version=str(known.sha256),
        fence=1,
        name=known.name,
        uri=known.uri,
        media_type=str(known.media_type),
        chunks=chunks,
        vectors=_vectors(len(chunks)),
    )


def _vectors(count: int) -> np.ndarray:
    return np.full((count, 8), 8**-0.5, dtype=np.float32)


def compared(services: FakeServices) -> Comparison:
    return compare_index_with_registry(services, "docs")


def test_index_and_registry_agree_after_a_run(
    services: FakeServices, index: CollectionIndex
) -> None:
    comparison = compared(services)

    assert comparison.differences == ()
    assert comparison.documents == 2
    assert comparison.chunks == sum(
        each.chunks or 0 for each in services.registry.documents.find("docs")
    )


def test_an_empty_collection_has_no_differences(
    services: FakeServices, collection: Collection
) -> None:
    assert compared(services) == Comparison(0, 0, ())


def test_a_document_missing_from_the_index_is_named(
    services: FakeServices, index: CollectionIndex
) -> None:
    gone = document(services, index, "a.txt")
    index.publish([], removed=[gone.document_id])

    comparison = compared(services)
    assert comparison.differences == (f"{gone.document_id} was published but is not in the index",)
    assert comparison.differing == (gone.document_id,)


def test_a_document_that_nobody_published_is_named(
    services: FakeServices, index: CollectionIndex
) -> None:
    stray = replace(document(services, index, "b.txt"), document_id="stray")
    stray = replace(stray, chunks=[replace(each, chunk_id="stray-1") for each in stray.chunks])
    index.publish([stray])

    assert compared(services).differences == ("stray is in the index but was not published",)


def test_another_version_is_named(services: FakeServices, index: CollectionIndex) -> None:
    late = replace(document(services, index, "b.txt"), version="older")
    index.publish([late])

    assert compared(services).differences == (
        f"{late.document_id} is in the index in another version than was published",
    )


def test_another_number_of_chunks_is_named(services: FakeServices, index: CollectionIndex) -> None:
    whole = document(services, index, "a.txt")
    assert len(whole.chunks) > 1
    index.publish([replace(whole, chunks=whole.chunks[:1], vectors=_vectors(1))])

    assert compared(services).differences == (
        f"{whole.document_id} has 1 chunks in the index, {len(whole.chunks)} were published",
    )


def test_a_document_that_is_there_twice_is_named(
    services: FakeServices, index: CollectionIndex
) -> None:
    twice = document(services, index, "b.txt")
    table = index._open()
    assert table is not None
    row = table.search().where(f"document_id = '{twice.document_id}'").to_arrow()
    columns = row.to_pylist()[0] | {"chunk_id": "another", "fence": 99}
    table.add([columns])

    assert compared(services).differences == (f"{twice.document_id} is in the index 2 times",)


def test_a_difference_that_passes_is_none(
    services: FakeServices, index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the commit of the index and that of the registry a publication shows in one."""
    late = replace(document(services, index, "b.txt"), version="newer")
    index.publish([late])
    published = services.registry.documents.published
    looks: list[int] = []

    def recorded_meanwhile(key: str, table: str) -> dict[str, tuple[str, int]]:
        looks.append(1)
        newer = {late.document_id: ("newer", 1)} if len(looks) > 2 else {}
        return published(key, table) | newer

    monkeypatch.setattr(services.registry.documents, "published", recorded_meanwhile)

    assert compared(services).differences == ()
    assert len(looks) == 3


def test_the_longest_chunk_is_read_from_the_index(
    services: FakeServices, index: CollectionIndex
) -> None:
    found = longest_chunk(services, "docs")
    assert 0 < found.longest <= found.limit == 64

    chunk = Chunk("long", "stray", 0, "text", tokens=65, start=0, end=4)
    stray = replace(document(services, index, "b.txt"), document_id="stray", chunks=[chunk])
    index.publish([stray])

    assert longest_chunk(services, "docs").longest == 65


def test_documents_that_readers_cannot_find_are_listed_failures_first(
    services: FakeServices, collection: Collection, write: Any
) -> None:
    paths = [write("a.txt"), write("z.txt", f"This is {POISON}.")]
    submit(services, collection, paths, Priority.NORMAL, {})
    run(services, collection, WorkRequest("run", Backend.IN_PROCESS))
    submit(services, collection, [write("m.txt")], Priority.NORMAL, {})

    found = unindexed_documents(services, "docs")

    assert [each.name for each in found.documents] == ["z.txt", "m.txt"]
    assert found.summary == "of 3 documents 1 failed and 1 are not done"


def test_when_all_are_indexed_that_is_said(services: FakeServices, index: CollectionIndex) -> None:
    assert unindexed_documents(services, "docs").summary == "all 2 documents are indexed"


@pytest.mark.parametrize("look", [longest_chunk, compare_index_with_registry])
def test_an_unknown_collection_is_an_error(services: FakeServices, look: Any) -> None:
    with pytest.raises(PermanentError) as raised:
        look(services, "nowhere")

    assert raised.value.kind is ErrorKind.NOT_FOUND


class TestDeletion:
    """Deleting a collection."""

    def test_everything_stored_for_it_goes_and_nothing_else(
        self, services: FakeServices, collection: Collection, index: CollectionIndex, write: Any
    ) -> None:
        neighbours = [CollectionName("default", "docs2"), CollectionName("acme", "docs")]
        for name in neighbours:
            other, _ = services.registry.collections.ensure(name)
            submit(services, other, [write("c.txt")], Priority.NORMAL, {})
            run(services, other, WorkRequest("run", Backend.IN_PROCESS))

        delete_collection(services, collection.name)

        assert index.snapshot().empty
        keys = list(services.store.keys())
        assert keys
        assert not [key for key in keys if "/default/docs/" in key]
        assert [each.name for each in services.registry.collections.all()] == neighbours[::-1]
        for name in neighbours:
            assert compare_index_with_registry(services, name.key).documents == 1

    def test_open_tasks_end(
        self, services: FakeServices, collection: Collection, write: Any
    ) -> None:
        ids = submit(services, collection, [write("a.txt")], Priority.NORMAL, {}).task_ids

        delete_collection(services, collection.name)

        assert services.registry.tasks.get(ids[0]).state.final

    def test_not_while_a_run_works_on_it(
        self, services: FakeServices, collection: Collection, write: Any
    ) -> None:
        submit(services, collection, [write("a.txt")], Priority.NORMAL, {})
        services.registry.claims.take(
            "docs",
            Wanted(services.recipes(collection), STAGES, whole=True),
            run_id="run",
            backend=Backend.DAGSTER,
            lease_seconds=60,
            task_timeout_seconds=60,
            max_documents=1,
            max_bytes=1,
        )

        with pytest.raises(TransientError, match="a run works on collection 'docs'"):
            delete_collection(services, collection.name)

        assert services.registry.collections.get("docs") == collection

    def test_an_unknown_one_is_an_error(self, services: FakeServices) -> None:
        with pytest.raises(PermanentError) as raised:
            delete_collection(services, CollectionName("default", "nowhere"))

        assert raised.value.kind is ErrorKind.NOT_FOUND


class TestDeletedDocuments:
    """Deleted documents that readers still find."""

    def test_there_are_none_after_a_deletion(
        self, services: FakeServices, collection: Collection, index: CollectionIndex
    ) -> None:
        assert deleted_documents(services, "docs") == DeletedDocuments(0, ())
        gone = document(services, index, "a.txt").document_id
        submit_deletion(services, collection, [gone], purge=False)

        assert deleted_documents(services, "docs") == DeletedDocuments(1, ())

    def test_one_that_came_back_is_named(
        self, services: FakeServices, collection: Collection, index: CollectionIndex
    ) -> None:
        gone = document(services, index, "a.txt")
        submit_deletion(services, collection, [gone.document_id], purge=False)
        index.publish([gone])

        assert deleted_documents(services, "docs").visible == (gone.document_id,)

    def test_one_that_is_being_removed_does_not_count(
        self, services: FakeServices, collection: Collection, index: CollectionIndex
    ) -> None:
        gone = document(services, index, "a.txt")
        submit_deletion(services, collection, [gone.document_id], purge=False)
        index.publish([gone])
        services.registry.publications.doubt("docs", [gone.document_id])

        assert deleted_documents(services, "docs").visible == ()
        settle_doubts(services)
        assert deleted_documents(services, "docs") == DeletedDocuments(1, ())
