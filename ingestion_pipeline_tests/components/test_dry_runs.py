"""Dry runs of pipelines: what they say, that nothing follows from them, and who does them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import Backend, TaskState
from ingestion_pipeline.tasks.commands import cancel
from ingestion_pipeline.tasks.dry_runs import DryRun, carry_out, outcome
from ingestion_pipeline.tasks.due import plan_dry_runs, plan_due_builds
from ingestion_pipeline.tasks.intake import receive
from ingestion_pipeline.tasks.submission import submit_dataflow
from ingestion_pipeline_tests.components.desk import OPS, Desk


def tried(desk: Desk, task_id: str) -> DryRun:
    (found,) = outcome(desk.services, desk.services.registry.tasks.get(task_id))
    return found


def carried_out(desk: Desk) -> int:
    collection = desk.services.registry.collections.get("papers")
    return carry_out(desk.services, collection, "by-hand", Backend.IN_PROCESS)


def try_files(desk: Desk, *paths: Path, pipeline: str = "notes") -> Sequence[str]:
    return desk.through(*paths, pipeline=pipeline, dry_run=True).task_ids


def test_each_component_is_said_and_nothing_is_published_or_registered(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    (task_id,) = try_files(desk, two[0])

    assert carried_out(desk) == 1

    found = tried(desk, task_id)
    assert [each.name for each in found.components] == list(OPS)
    gives = {each.name: each.gives for each in found.components}
    assert gives["file"].startswith(f"{two[0].stat().st_size} bytes")
    assert "2 Title" in gives["parser"]
    assert gives["hierarchical_merger"].startswith("2 chunks of ")
    assert (gives["forms"], gives["lengths"]) == ("1 tags", "nothing")
    assert gives["embedder"] == "2 vectors of 8 numbers"
    assert gives["indexer"] == "2 chunks would be published"
    assert [each.tags for each in found.chunks] == [("AB-12",), ()]
    assert found.chunks[0].heading_path == ("Rain",)
    assert "It rained in March" in found.chunks[0].text

    task = desk.services.registry.tasks.get(task_id)
    assert task.state is TaskState.SUCCEEDED
    assert task.messages[-1].endswith("2 chunks of 1 documents; nothing is published.")
    assert desk.documents() == {}
    assert desk.services.registry.documents.backlog() == []
    assert desk.indexed() == {}


def test_a_run_that_follows_uses_what_was_tried(desk: Desk, two: tuple[Path, Path]) -> None:
    try_files(desk, two[0])
    carried_out(desk)

    desk.through(two[0])

    counts = desk.counts(desk.go())
    assert {name for name, count in counts.items() if count} == {"indexer"}
    assert desk.indexed() == {"rain.md": 2}


def test_a_known_document_stays_what_it_is(desk: Desk, two: tuple[Path, Path]) -> None:
    desk.submit(two[0])
    desk.run()
    before = desk.documents()["rain.md"]
    known = desk.services.registry.collections.get("papers")

    task_id = submit_dataflow(desk.services, known, "notes", [before.document_id], dry_run=True)
    carried_out(desk)

    assert len(tried(desk, task_id).chunks) == 2
    assert desk.documents()["rain.md"] == before


def test_the_collections_own_way_can_be_tried_too(desk: Desk, two: tuple[Path, Path]) -> None:
    desk.submit()
    desk.configure(**{"enrichment.keywords": 2})
    (task_id,) = try_files(desk, two[0], pipeline="standard")

    carried_out(desk)

    found = tried(desk, task_id)
    assert [each.name for each in found.components] == [
        "sourced",
        "parsed",
        "chunked",
        "enriched",
        "embedded",
        "indexed",
    ]
    assert found.error is None
    assert any(each.keywords for each in found.chunks)


def test_what_is_wrong_with_a_document_is_said_with_the_component(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    bad = desk.write("refuse.txt", "Nothing is to be said of this.\n")
    other = desk.write("table.csv", "a,b\n1,2\n")
    of_bad, of_other, of_good = try_files(desk, bad, other, two[1])

    assert carried_out(desk) == 3

    states = desk.services.registry.tasks.states([of_bad, of_other, of_good])
    assert states == {
        of_bad: TaskState.FAILED,
        of_other: TaskState.FAILED,
        of_good: TaskState.SUCCEEDED,
    }
    failed = tried(desk, of_bad)
    assert failed.error == "lengths: unexpected ValueError: no lengths here"
    assert [each.name for each in failed.components] == list(OPS[:4])
    assert (tried(desk, of_other).error or "").startswith("file: the pipeline notes takes md, txt")


def test_a_message_asks_for_a_dry_run(desk: Desk, two: tuple[Path, Path]) -> None:
    desk.submit(two[0])
    desk.run()
    document_id = desk.documents()["rain.md"].document_id
    messages: dict[str, dict[str, Any]] = {
        "known": {"document_ids": [document_id]},
        "unknown": {"document_ids": ["0" * 32]},
        "nowhere": {"source": {"uri": "file:///nowhere/a.txt"}},
    }
    desk.services.streams.ensure_groups()
    for task_id, about in messages.items():
        message = {
            "type": "dataflow",
            "task_id": task_id,
            "collection": "papers",
            "options": {"pipeline": "notes", "dry_run": True},
            **about,
        }
        desk.services.redis.xadd("ingest:tasks:normal", {"message": json.dumps(message)})

    receive(desk.services, 0, 5)
    carried_out(desk)

    tasks = {each: desk.services.registry.tasks.get(each) for each in messages}
    assert tasks["known"].state is TaskState.SUCCEEDED
    assert len(tried(desk, "known").chunks) == 2
    assert tasks["unknown"].error is not None
    assert tasks["unknown"].error.kind == "not_found"
    assert tasks["nowhere"].error is not None
    assert tasks["nowhere"].error.kind == "forbidden_source"


def test_the_job_does_what_waits_and_is_planned_for_that_alone(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    desk.through(two[1])
    assert plan_dry_runs(desk.services, set()) == []
    (task_id,) = try_files(desk, two[0])

    assert plan_due_builds(desk.services, set()) == []
    (planned,) = plan_dry_runs(desk.services, set())
    assert (planned.collection_key, planned.kind, planned.priority) == ("papers", "dataflow", 0)
    result = desk.defs.resolve_job_def("dry_run_job").execute_in_process(
        instance=desk.instance, partition_key="papers"
    )

    assert result.success
    assert desk.services.registry.tasks.get(task_id).backend is Backend.DAGSTER
    assert len(tried(desk, task_id).chunks) == 2
    assert plan_dry_runs(desk.services, set()) == []
    assert [each.documents for each in desk.services.registry.documents.backlog()] == [1]


def test_a_dry_run_that_is_canceled_is_not_done_and_one_that_failed_can_be_tried_again(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    bad = desk.write("refuse.txt", "Nothing is to be said of this.\n")
    canceled, failed = try_files(desk, two[0], bad)

    cancel(desk.services, canceled, CollectionName("default", "papers"))
    assert carried_out(desk) == 1
    assert desk.services.registry.tasks.get(canceled).state is TaskState.CANCELED

    desk.services.registry.tasks.retry([failed])
    assert carried_out(desk) == 1
    assert desk.services.registry.tasks.get(failed).attempts == 2


def test_an_unknown_pipeline_is_refused(desk: Desk, two: tuple[Path, Path]) -> None:
    with pytest.raises(PermanentError, match="there is no pipeline 'nots'; there are: notes"):
        try_files(desk, two[0], pipeline="nots")


def test_the_job_is_partitioned_by_collection(desk: Desk) -> None:
    job = desk.defs.resolve_job_def("dry_run_job")

    assert isinstance(job.partitions_def, dg.DynamicPartitionsDefinition)
