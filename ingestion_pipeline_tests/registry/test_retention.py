from __future__ import annotations

import pytest
import sqlalchemy as sa

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.registry import retention
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.retention import FailedTasks, Forgotten
from ingestion_pipeline.registry.schema import operations, task_documents, task_messages, tasks
from ingestion_pipeline_tests.registry.steps import done, failed, index, record, submit, taken

DAY = 86_400.0


def make_older(registry: Registry, seconds: float) -> None:
    with registry.database.write() as connection:
        for column in (tasks.c.created_at, tasks.c.finished_at, operations.c.began_at):
            connection.execute(sa.update(column.table).values({column.name: column - seconds}))


def rows(registry: Registry) -> dict[str, int]:
    with registry.database.read() as connection:
        return {
            table.name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (tasks, task_documents, task_messages, operations)
        }


@pytest.mark.parametrize("at_once", [1, 500])
def test_tasks_that_ended_long_ago_go_with_all_they_said(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", at_once)
    old = [*index(registry, "a.txt"), *index(registry, "b.txt"), *index(registry, "c.txt")]
    make_older(registry, 31 * DAY)
    (young,) = index(registry, "d.txt")
    before = rows(registry)

    would = registry.retention.forget(30 * DAY, dry_run=True)

    assert (would.tasks, would.operations) == (3, 3)
    assert would.messages > 3
    assert rows(registry) == before
    assert registry.retention.forget(30 * DAY) == would
    assert registry.tasks.get(young).state.final
    for task_id in old:
        with pytest.raises(PermanentError):
            registry.tasks.get(task_id)
    after = rows(registry)
    assert after["tasks"] == after["task_documents"] == after["operations"] == 1
    assert after["task_messages"] == before["task_messages"] - would.messages
    assert registry.retention.forget(30 * DAY) == Forgotten(0, 0, 0)


def test_tasks_that_did_not_end_stay_however_old(registry: Registry) -> None:
    (waiting, running) = submit(registry, "a.txt", "b.txt")
    taken(registry, max_documents=1)
    make_older(registry, 400 * DAY)

    assert registry.retention.forget(DAY) == Forgotten(0, 0, 0)
    assert not registry.tasks.get(waiting).state.final
    assert not registry.tasks.get(running).state.final


def test_the_log_of_collections_that_are_gone_goes_too(registry: Registry) -> None:
    index(registry, "a.txt")
    registry.collections.delete(CollectionName("default", "docs"))
    make_older(registry, 31 * DAY)

    registry.retention.forget(30 * DAY)

    assert rows(registry)["operations"] == 0


def test_failures_are_counted_by_reason_lately_and_in_all(registry: Registry) -> None:
    for age in (2 * DAY, 0.0):
        submit(registry, f"good-{age}.txt", f"bad-{age}.txt")
        claim = taken(registry)
        record(
            registry,
            claim,
            *(failed(each) if "bad" in each.name else done(each) for each in claim.documents),
        )
        make_older(registry, age)

    (found,) = registry.retention.failed_tasks(DAY)

    assert (found.lately, found.total) == (1, 2)
    assert found == FailedTasks(found.error_kind, 1, 2)
