from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.storage.parts import ReadTexts
from ingestion_pipeline.tasks.purge import purge_documents
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.indexing.samples import document

DOCS = CollectionName("default", "docs")
CANARY = b"zqxcanaryvv"


@pytest.fixture
def indexes(services: FakeServices) -> list[CollectionIndex]:
    address = services.settings.lancedb_address
    return [CollectionIndex(address, DOCS.table, model) for model in ("model-a", "model-b")]


def store(services: FakeServices, indexes: list[CollectionIndex], document_id: str) -> list[str]:
    """Store two versions of a document wherever documents are stored; return its object keys."""
    keys = []
    for version in ("v1", "v2"):
        text = f"{CANARY.decode()} text of {document_id}, {version}"
        keys.append(services.objects.put(DOCS, text.encode())[0])
        services.artifacts.put(DOCS, document_id, Stage.PARSED, version, text.encode())
        vectors = np.eye(2, dtype=np.float32)
        services.artifacts.put_vectors(
            DOCS, document_id, version, [(vectors, ReadTexts([CANARY, b"other"], vectors))]
        )
        for index in indexes:
            index.publish([document(document_id, text, version=version)])
    return keys


def traces(services: FakeServices) -> list[Path]:
    files = [path for path in Path(services.settings.state).rglob("*") if path.is_file()]
    return [path for path in files if CANARY in path.read_bytes()]


def test_nothing_that_was_stored_of_the_documents_is_left(
    services: FakeServices, indexes: list[CollectionIndex]
) -> None:
    documents = {
        document_id: store(services, indexes, document_id) for document_id in ("a", "b", "id.x-1")
    }
    assert traces(services)
    purge_documents(services, DOCS, documents)
    assert traces(services) == []
    assert list(services.store.keys()) == []
    assert [index.snapshot().counts().documents for index in indexes] == [0, 0]


def test_other_documents_and_collections_keep_theirs(
    services: FakeServices, indexes: list[CollectionIndex]
) -> None:
    gone, kept = (store(services, indexes, document_id) for document_id in ("gone", "kept"))
    other, _ = services.objects.put(CollectionName("acme", "docs"), b"other")
    purge_documents(services, DOCS, {"gone": gone})
    purge_documents(services, DOCS, {"gone": gone})
    assert set(services.store.keys(f"objects/{DOCS.tenant}/{DOCS.name}")) == set(kept)
    assert list(services.artifacts.document_ids(DOCS)) == ["kept"]
    assert services.store.exists(other)
    for index in indexes:
        assert [each.document_id for each in index.snapshot().document_versions()] == ["kept"]


def test_a_key_of_another_collection_is_refused(services: FakeServices) -> None:
    key, _ = services.objects.put(CollectionName("acme", "docs"), b"other")
    with pytest.raises(PermanentError) as caught:
        purge_documents(services, DOCS, {"a": [key]})
    assert caught.value.kind is ErrorKind.FORBIDDEN_SOURCE
    assert services.store.exists(key)
