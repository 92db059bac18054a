"""The operation log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingestion_pipeline.errors import ErrorKind
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import ErrorInfo
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    delete,
    done,
    failed,
    finish_deletion,
    id_of,
    index,
    new_task,
    record,
    submit,
    submit_reindex,
    taken,
    work_off,
)

NAME = CollectionName("default", KEY)


def test_each_task_that_ends_leaves_one_row(registry: Registry) -> None:
    (good, bad) = submit(registry, "a.txt", "b.txt")
    claim = taken(registry)
    record(registry, claim, done(claim.documents[0]), failed(claim.documents[1]))
    (unchanged,) = submit(registry, "a.txt")

    rows = {row.task_id: row for row in registry.operations.latest(NAME)}

    assert set(rows) == {good, bad, unchanged}
    assert (rows[good].state, rows[good].tokens, rows[good].progress) == ("succeeded", 20, 1)
    assert rows[good].document_id == id_of("a.txt")
    assert rows[good].seconds >= 0
    assert rows[bad].state == "failed"
    assert rows[bad].error_message == "b.txt went wrong"
    assert registry.operations.latest(NAME)[0].task_id == unchanged
    assert len(registry.operations.latest(NAME, limit=1)) == 1


def test_a_row_says_which_document_it_was_and_everything_the_task_said(registry: Registry) -> None:
    (task_id,) = index(registry, "Annual Report.PDF")

    (row,) = registry.operations.latest(NAME)

    assert (row.type, row.collection, row.tenant) == ("ingest", KEY, "default")
    assert (row.name, row.suffix) == ("Annual Report.PDF", "pdf")
    assert row.source == "file:///Annual Report.PDF"
    assert row.pipeline == "general"
    assert row.messages == "\n".join(registry.tasks.get(task_id).messages)
    assert "Task done: 2 chunks." in row.messages
    assert row.began_at == registry.tasks.get(task_id).started_at


@pytest.mark.parametrize("name", ["README", "x." + "y" * 100])
def test_a_name_without_a_suffix_or_with_a_long_one_is_logged(
    registry: Registry, name: str
) -> None:
    index(registry, name)

    (row,) = registry.operations.latest(NAME)

    assert (row.name, row.suffix) == (name, "y" * 32 if "." in name else "")


def test_tasks_about_no_single_document_are_logged_without_one(registry: Registry) -> None:
    index(registry, "a.txt")
    reindex = submit_reindex(registry)
    work_off(registry)
    deletion = delete(registry, "a.txt")
    finish_deletion(registry, deletion)

    rows = {row.task_id: row for row in registry.operations.latest(NAME)}

    for task_id, kind in ((reindex, "reindex"), (deletion, "delete")):
        row = rows[task_id]
        assert (row.type, row.state, row.document_id) == (kind, "succeeded", None)
        assert (row.name, row.suffix, row.source) == (None, None, None)
        assert row.messages


def test_a_retried_task_leaves_a_row_each_time_it_ends(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry)
    record(registry, claim, failed(claim.documents[0]))
    registry.tasks.retry([task_id])
    work_off(registry)

    rows = registry.operations.latest(NAME)

    assert [(row.task_id, row.state) for row in rows] == [
        (task_id, "succeeded"),
        (task_id, "failed"),
    ]


def test_only_the_newest_of_each_collection_are_kept(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion_pipeline.registry.operations.KEPT_PER_COLLECTION", 3)
    other = CollectionName("acme", KEY)
    registry.collections.ensure(other)
    error = ErrorInfo(kind=ErrorKind.EMPTY, message="empty")
    theirs = replace(new_task("x.txt", tenant="acme"), document=None, error=error)
    registry.tasks.accept([theirs])
    ours = [replace(new_task("x.txt"), document=None, error=error) for _ in range(5)]
    for task in ours:
        registry.tasks.accept([task])

    assert [row.task_id for row in registry.operations.latest(NAME)] == [
        task.task_id for task in reversed(ours[2:])
    ]
    assert [row.task_id for row in registry.operations.latest(other)] == [theirs.task_id]
