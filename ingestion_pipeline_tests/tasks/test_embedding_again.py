"""Documents that come back under another name, in another place, changed: what the model reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.tasks import Backend, Priority
from ingestion_pipeline.tasks.submission import submit, submit_deletion
from ingestion_pipeline.tasks.work import WorkReport, WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices

WriteFile = Callable[[str, str], Path]
TEXT = "\n\n".join(f"Paragraph {number} is about travel. " * 8 for number in range(8))


def ingest(services: FakeServices, collection: Collection, path: Path) -> WorkReport:
    submit(services, collection, [path], Priority.NORMAL, {})
    return run(services, collection, WorkRequest("run", Backend.IN_PROCESS))


@pytest.mark.parametrize("name", ["elsewhere/a.txt", "another name.txt"], ids=["moved", "renamed"])
def test_a_file_that_was_moved_is_not_read_again(
    services: FakeServices, collection: Collection, write: WriteFile, name: str
) -> None:
    first = ingest(services, collection, write("a.txt", TEXT))

    second = ingest(services, collection, write(name, TEXT))

    assert first.embedded_chunks == second.chunks_read_before > 0
    assert second.embedded_chunks == first.chunks_read_before == 0
    assert second.embedded_by is not None


def test_a_file_that_was_changed_is_read_where_it_is_new(
    services: FakeServices, collection: Collection, write: WriteFile
) -> None:
    first = ingest(services, collection, write("a.txt", TEXT))

    second = ingest(services, collection, write("a.txt", f"{TEXT}\n\nA sentence more."))

    assert 0 < second.embedded_chunks < first.embedded_chunks
    assert second.embedded_tokens < first.embedded_tokens / 2


@pytest.mark.parametrize("tenant", ["default", "acme"])
def test_another_collection_takes_nothing_over(
    services: FakeServices, collection: Collection, write: WriteFile, tenant: str
) -> None:
    first = ingest(services, collection, write("a.txt", TEXT))
    other, _ = services.registry.collections.ensure(CollectionName(tenant, "other"))

    second = ingest(services, other, write("a.txt", TEXT))

    assert second.embedded_chunks == first.embedded_chunks
    assert second.chunks_read_before == 0


def test_what_was_deleted_gives_nothing(
    services: FakeServices, collection: Collection, write: WriteFile
) -> None:
    path = write("a.txt", TEXT)
    first = ingest(services, collection, path)
    (known,) = services.registry.documents.find(collection.key)
    submit_deletion(services, collection, [known.document_id], purge=False)

    second = ingest(services, collection, write("b.txt", TEXT))

    assert second.embedded_chunks == first.embedded_chunks
