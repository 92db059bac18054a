from __future__ import annotations

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import Priority, TaskType
from ingestion_pipeline.registry.acceptance import NewTask
from ingestion_pipeline.registry.arrivals import NewDocument
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.sources import SourceFile


@pytest.fixture
def inbox(registry: Registry) -> str:
    registry.sources.ensure("inbox", "docs", "folder", "/inbox")
    return "inbox"


def file(name: str, signature: str = "1", size: int | None = 5) -> SourceFile:
    return SourceFile(f"file:///{name}", name, signature, size)


def bring(registry: Registry, *names: str) -> None:
    """Have documents that wait for a run."""
    registry.tasks.accept(
        [
            NewTask(
                task_id=f"task-{name}",
                type=TaskType.INGEST,
                collection="docs",
                tenant="default",
                priority=Priority.NORMAL,
                document=NewDocument(name, name, f"file:///{name}", fetch=True),
            )
            for name in names
        ]
    )


def test_what_was_handed_over_is_known_by_its_uri(registry: Registry, inbox: str) -> None:
    registry.sources.record(inbox, [file("b"), file("a")], complete=True, problem=None)
    registry.sources.record(inbox, [file("a", "2", None)], complete=True, problem=None)

    assert registry.sources.files(inbox) == [file("a", "2", None), file("b")]


def test_what_is_missing_may_come_back(registry: Registry, inbox: str) -> None:
    registry.sources.record(inbox, [file("a"), file("b")], complete=True, problem=None)

    registry.sources.record(inbox, [], missing=["file:///a"], complete=True, problem=None)
    assert [each.missing for each in registry.sources.files(inbox)] == [True, False]

    registry.sources.record(inbox, [], back=["file:///a"], complete=True, problem=None)
    assert [each.missing for each in registry.sources.files(inbox)] == [False, False]


def test_a_confirmation_is_about_what_is_missing_at_that_moment(
    registry: Registry, inbox: str
) -> None:
    registry.sources.record(inbox, [file("a"), file("b")], complete=True, problem=None)
    registry.sources.record(inbox, [], missing=["file:///a"], complete=True, problem=None)

    assert registry.sources.confirm(inbox) == 1
    registry.sources.record(inbox, [], missing=["file:///b"], complete=True, problem=None)

    assert [each.confirmed for each in registry.sources.files(inbox)] == [True, False]

    registry.sources.record(inbox, [], back=["file:///a"], complete=True, problem=None)
    assert [each.confirmed for each in registry.sources.files(inbox)] == [False, False]


def test_a_source_tells_how_it_is(registry: Registry, inbox: str) -> None:
    registry.sources.record(inbox, [file("a"), file("b")], complete=True, problem=None)
    registry.sources.record(inbox, [], missing=["file:///a"], complete=False, problem="not mounted")
    registry.sources.ensure("empty", "docs", "s3", "s3://bucket/")

    empty, known = registry.sources.all()

    assert (empty.name, empty.files, empty.looked_at) == ("empty", 0, None)
    assert (known.files, known.missing, known.problem) == (2, 1, "not mounted")
    assert known.complete_at is not None
    assert known.looked_at is not None
    assert known.complete_at <= known.looked_at


def test_a_source_may_get_another_address_but_not_another_collection(
    registry: Registry, inbox: str
) -> None:
    registry.collections.ensure(CollectionName("default", "other"))

    registry.sources.ensure(inbox, "docs", "folder", "/elsewhere")
    assert registry.sources.all()[0].address == "/elsewhere"

    with pytest.raises(PermanentError, match="ingest sources forget inbox") as caught:
        registry.sources.ensure(inbox, "other", "folder", "/inbox")
    assert caught.value.kind is ErrorKind.INVALID_OPTION


def test_what_no_reader_finds_yet_is_arriving(registry: Registry, inbox: str) -> None:
    bring(registry, "a")
    registry.sources.record(
        inbox, [file("a", size=7), file("refused")], complete=True, problem=None
    )

    assert registry.sources.arriving(inbox) == [7]


def test_a_document_is_removable_when_no_source_has_its_file_any_more(
    registry: Registry, inbox: str
) -> None:
    registry.sources.ensure("second", "docs", "folder", "/")
    bring(registry, "a", "b")
    registry.sources.record(inbox, [file("a"), file("b")], complete=True, problem=None)
    registry.sources.record("second", [file("b")], complete=True, problem=None)
    gone = ["file:///a", "file:///b"]
    registry.sources.record(inbox, [], missing=gone, complete=True, problem=None)

    assert registry.sources.removable(["a", "b", "never-there"]) == ["a"]


def test_a_source_that_is_forgotten_leaves_nothing_but_its_documents(
    registry: Registry, inbox: str
) -> None:
    bring(registry, "a")
    registry.sources.record(inbox, [file("a")], complete=True, problem=None)

    registry.sources.forget(inbox)

    assert registry.sources.all() == []
    assert registry.sources.files(inbox) == []
    assert [each.document_id for each in registry.documents.find("docs")] == ["a"]


def test_what_is_not_known_cannot_be_confirmed_or_forgotten(registry: Registry) -> None:
    for act in (registry.sources.confirm, registry.sources.forget):
        with pytest.raises(PermanentError, match="no source 'nothing'"):
            act("nothing")


def test_a_deleted_collection_takes_its_sources_along(registry: Registry, inbox: str) -> None:
    registry.sources.record(inbox, [file("a")], complete=True, problem=None)

    registry.collections.delete(CollectionName("default", "docs"))

    assert registry.sources.all() == []
    assert registry.sources.files(inbox) == []
