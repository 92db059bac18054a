"""Pipelines in real runs: what is computed, what is used again, and to whom documents belong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.execution.runs import DagsterRuns
from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import Backend, ReindexOnly, TaskState, TaskType
from ingestion_pipeline.stages import chunked
from ingestion_pipeline.tasks import work
from ingestion_pipeline.tasks.intake import receive
from ingestion_pipeline.tasks.reconciliation import reconcile
from ingestion_pipeline.tasks.submission import (
    submit_dataflow,
    submit_deletion,
    submit_reindex,
)
from ingestion_pipeline.tasks.tick import tick
from ingestion_pipeline_tests.components.desk import OPS, Desk


def computed(**changed: int) -> dict[str, int]:
    return dict.fromkeys(OPS, 0) | changed


def test_documents_go_through_every_component_and_are_found(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    submission = desk.through(*two)

    result = desk.go()

    # Bytes are there already: nothing is to be fetched.
    assert desk.counts(result) == computed(
        parser=2, hierarchical_merger=2, forms=2, lengths=2, embedder=2, indexer=2
    )
    assert desk.states(submission) == [TaskState.SUCCEEDED, TaskState.SUCCEEDED]
    assert desk.indexed() == {"rain.md": 2, "snow.txt": 1}
    (hit,) = desk.found("form")
    assert hit.tags == ["AB-12"]
    assert {each.pipeline for each in desk.documents().values()} == {"notes"}


def test_a_task_is_received_once_and_says_what_each_component_did(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    submission = desk.through(two[0])

    desk.go()

    (task,) = desk.services.registry.tasks.find(task_ids=submission.task_ids, with_messages=True)
    said = [message.partition(" ")[2] for message in task.messages]
    assert (task.type, task.attempts, task.progress) == (TaskType.DATAFLOW, 1, 1.0)
    assert said[0] == "Task is queued."
    assert said[1].startswith("Task has been received by run")
    assert said[2] == "2 chunks."
    assert set(said[3:-1]) == {  # in which order Dagster likes
        "2 chunks embedded.",
        "forms: added to 2 chunks.",
        "lengths: added to 2 chunks.",
    }
    assert said[-1] == "Task done: 2 chunks."


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("title_weight: 0.1", "title_weight: 0.5", computed(embedder=2, indexer=2)),
        ("[A-Z]{2}-[0-9]+", "[A-Z]{2}-[0-9]{2}", computed(forms=2, indexer=2)),
        ("longest: 100", "longest: 10", computed(lengths=2, indexer=2)),
        (
            "depth: 1",
            "depth: 2",
            computed(hierarchical_merger=2, forms=2, lengths=2, embedder=2, indexer=2),
        ),
        ("name: notes", "name: notes\n  description: Said otherwise.", computed()),
    ],
)
def test_a_changed_setting_runs_again_only_from_there_on(
    desk: Desk, two: tuple[Path, Path], before: str, after: str, expected: dict[str, int]
) -> None:
    desk.through(*two)
    desk.go()
    desk.edit(before, after)

    assert desk.counts(desk.go(only="stale")) == expected
    assert desk.counts(desk.go(only="stale")) == computed()


def test_force_does_every_component_once_more(desk: Desk, two: tuple[Path, Path]) -> None:
    desk.through(*two)
    desk.go()

    result = desk.go(only="all", force=True)

    assert desk.counts(result) == computed(
        parser=2, hierarchical_merger=2, forms=2, lengths=2, embedder=2, indexer=2
    )
    assert not any(each.force for each in desk.documents().values())
    assert desk.indexed() == {"rain.md": 2, "snow.txt": 1}


def test_one_bad_document_fails_no_other(desk: Desk, two: tuple[Path, Path]) -> None:
    bad = desk.write("refuse.txt", "Nothing is to be said of this.\n")
    other = desk.write("table.csv", "a,b\n1,2\n")
    submission = desk.through(*two, bad, other)

    result = desk.go()

    assert result.success
    assert desk.states(submission) == [
        TaskState.SUCCEEDED,
        TaskState.SUCCEEDED,
        TaskState.FAILED,
        TaskState.FAILED,
    ]
    errors = {name: each.error.message for name, each in desk.documents().items() if each.error}
    assert errors["refuse.txt"].startswith("unexpected ValueError: no lengths here")
    assert errors["table.csv"] == (
        "the pipeline notes takes md, txt only, not table.csv: submit it to another one"
    )
    assert desk.indexed() == {"rain.md": 2, "snow.txt": 1}


def test_a_document_of_a_pipeline_is_left_alone_by_the_standard_way(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    desk.through(two[0])
    desk.submit(two[1])
    desk.run()
    desk.go()

    again = desk.run(only="stale")

    assert set(desk.indexed()) == {"rain.md", "snow.txt"}
    assert again.computed()["vector_index"] == 0
    collection = desk.services.registry.collections.get("papers")
    recipes = desk.services.pipeline_recipes(collection)
    standard = desk.services.recipes(collection)["indexed"]
    assert desk.services.registry.documents.count_stale("papers", standard, recipes) == 0


def test_an_edited_document_stays_with_its_pipeline_and_a_deleted_one_is_gone(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    desk.through(two[0])
    desk.go()
    two[0].write_text("# Rain\n\nIt rained all year.\n")

    desk.submit(two[0])
    assert desk.run(waiting_only=True).computed()["vector_index"] == 0
    desk.go()

    assert desk.indexed() == {"rain.md": 1}
    assert desk.documents()["rain.md"].pipeline == "notes"
    known = desk.services.registry.collections.get("papers")
    submit_deletion(desk.services, known, [desk.documents()["rain.md"].document_id], purge=False)
    assert desk.indexed() == {}


def test_documents_are_given_to_a_pipeline_and_back(desk: Desk, two: tuple[Path, Path]) -> None:
    desk.submit(*two)
    desk.run()
    known = desk.services.registry.collections.get("papers")
    ids = [each.document_id for each in desk.documents().values()]

    submit_dataflow(desk.services, known, "notes", ids)
    first = desk.counts(desk.go())
    submit_dataflow(desk.services, known, "standard", ids)
    back = desk.run(waiting_only=True)

    assert first["parser"] == 0  # parsed alike already
    assert first["indexer"] == 2
    assert {each.pipeline for each in desk.documents().values()} == {None}
    assert back.computed()["vector_index"] == 2
    assert back.computed()["chunk_embeddings"] == 0


def test_from_the_web_page_a_pipeline_takes_what_is_named(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    desk.submit(*two)
    desk.run()
    rain = desk.documents()["rain.md"].document_id

    desk.go(document_ids=[rain])
    assert {name: each.pipeline for name, each in desk.documents().items()} == {
        "rain.md": "notes",
        "snow.txt": None,
    }

    desk.go(all_documents=True)
    assert {each.pipeline for each in desk.documents().values()} == {"notes"}


def test_a_run_that_changed_nothing_yields_no_new_data_version(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    desk.through(*two)
    key = dg.AssetKey(["dataflow", "notes"])

    first = desk.go()
    second = desk.go(only="stale")

    versions = [
        event.materialization.tags["dagster/data_version"]
        for result in (first, second)
        for event in result.get_asset_materialization_events()
        if event.asset_key == key
    ]
    assert len(versions) == 2
    assert len(set(versions)) == 1


def test_a_reindex_reaches_documents_of_pipelines(desk: Desk, two: tuple[Path, Path]) -> None:
    desk.through(two[0])
    desk.submit(two[1])
    desk.run()
    desk.go()
    desk.edit("title_weight: 0.1", "title_weight: 0.5")
    known = desk.services.registry.collections.get("papers")

    submit_reindex(desk.services, known, ReindexOnly.STALE)
    backlog = desk.services.registry.documents.backlog()

    assert [(each.pipeline, each.documents) for each in backlog] == [("notes", 1)]


def test_a_message_takes_a_document_through_a_pipeline(desk: Desk, two: tuple[Path, Path]) -> None:
    desk.submit(two[0])
    desk.run()
    document_id = desk.documents()["rain.md"].document_id
    message = {
        "type": "dataflow",
        "task_id": "by-hand",
        "collection": "papers",
        "document_ids": [document_id],
        "options": {"pipeline": "notes"},
    }
    desk.services.streams.ensure_groups()
    desk.services.redis.xadd("ingest:tasks:normal", {"message": json.dumps(message)})

    received = receive(desk.services, 0, 5)
    desk.go()

    assert received.accepted == 2  # with that of the document before
    task = desk.services.registry.tasks.get("by-hand")
    assert task.state is TaskState.SUCCEEDED
    assert desk.documents()["rain.md"].state is DocumentState.INDEXED
    assert desk.documents()["rain.md"].pipeline == "notes"


def test_a_message_for_an_unknown_pipeline_fails_with_those_there_are(desk: Desk) -> None:
    desk.submit()
    message = {
        "type": "dataflow",
        "task_id": "by-hand",
        "collection": "papers",
        "source": {"uri": "https://example.org/a.txt"},
        "options": {"pipeline": "nots"},
    }
    desk.services.streams.ensure_groups()
    desk.services.redis.xadd("ingest:tasks:normal", {"message": json.dumps(message)})

    receive(desk.services, 0, 5)

    task = desk.services.registry.tasks.get("by-hand")
    assert task.error is not None
    assert task.error.message == "there is no pipeline 'nots'; there are: notes"


def test_a_canceled_task_is_not_carried_on_by_the_next_component(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    submission = desk.through(*two)
    desk.services.registry.tasks.cancel(submission.task_ids[:1])

    result = desk.go()

    assert desk.counts(result)["indexer"] == 1
    assert desk.states(submission) == [TaskState.CANCELED, TaskState.SUCCEEDED]
    assert desk.indexed() == {"snow.txt": 1}


def test_what_is_canceled_between_two_components_goes_no_further(
    desk: Desk, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.through(*two)
    desk.go()
    two[0].write_text("# Rain\n\nIt rained all year, see form ZZ-99.\n")
    (edited,) = desk.through(two[0]).task_ids
    chunk = chunked.run

    def chunk_and_cancel(*arguments: Any) -> Any:
        made = chunk(*arguments)
        desk.services.registry.tasks.cancel([edited])
        return made

    monkeypatch.setattr(chunked, "run", chunk_and_cancel)
    result = desk.go()

    assert result.success
    assert desk.counts(result)["indexer"] == 0
    assert desk.services.registry.tasks.get(edited).state is TaskState.CANCELED
    assert desk.documents()["rain.md"].state is DocumentState.INDEXED
    assert desk.indexed() == {"rain.md": 2, "snow.txt": 1}
    assert [hit.tags for hit in desk.found("form")] == [["AB-12"]]


def test_what_is_canceled_after_a_component_is_not_taken_up_by_a_run_that_follows(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    submission = desk.through(*two)
    job = desk.defs.resolve_job_def("notes_job")
    job.execute_in_process(
        run_config={"ops": {"notes": {"config": {"waiting_only": True}}}},
        instance=desk.instance,
        partition_key="papers",
        op_selection=["notes.file", "notes.parser"],
    )
    assert desk.states(submission) == [TaskState.RUNNING, TaskState.RUNNING]

    desk.services.registry.tasks.cancel(submission.task_ids[:1])
    desk.go()

    assert desk.states(submission) == [TaskState.CANCELED, TaskState.SUCCEEDED]
    assert desk.indexed() == {"snow.txt": 1}


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("indexer", computed(indexer=2)),
        ("embedder", computed(embedder=2, indexer=2)),
        ("forms", computed(forms=2, indexer=2)),
        (
            "hierarchical_merger",
            computed(hierarchical_merger=2, forms=2, lengths=2, embedder=2, indexer=2),
        ),
    ],
)
def test_an_unchanged_pipeline_is_done_again_from_a_component_on(
    desk: Desk, two: tuple[Path, Path], component: str, expected: dict[str, int]
) -> None:
    desk.through(*two)
    desk.go()

    assert desk.counts(desk.go(from_component=component)) == expected
    assert desk.counts(desk.go(only="stale")) == computed()
    assert not any(each.force for each in desk.documents().values())
    assert desk.indexed() == {"rain.md": 2, "snow.txt": 1}


def test_named_documents_are_done_again_from_where_their_results_end(
    desk: Desk, two: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    desk.through(two[0])
    desk.go()
    desk.submit(two[1])  # the collection's own way: parsed alike, nothing else
    desk.run()
    ids = [each.document_id for each in desk.documents().values()]

    with caplog.at_level("INFO", logger="ingestion_pipeline"):
        result = desk.go(from_component="embedder", document_ids=ids)

    assert desk.counts(result) == computed(
        hierarchical_merger=1, forms=1, lengths=1, embedder=2, indexer=2
    )
    assert (
        "2 documents wait for a run from 'embedder' on; 1 of them from an earlier one, as no "
        "result of that is kept."
    ) in caplog.messages


def test_a_result_that_was_lost_is_made_again_and_that_is_said(
    desk: Desk, two: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    desk.through(two[0])
    desk.go()
    store = desk.services.store
    for key in list(store.keys("artifacts/default/papers")):
        if "/chunked-" in key:
            store.delete(key)

    with caplog.at_level("INFO", logger="ingestion_pipeline"):
        result = desk.go(from_component="embedder")

    assert desk.counts(result) == computed(embedder=1, indexer=1)
    assert "rain.md: no result of chunked is stored any more" in caplog.messages
    assert desk.indexed() == {"rain.md": 2}


def test_a_task_in_process_does_a_document_again_from_a_component_on(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    desk.through(*two)
    desk.go()
    known = desk.services.registry.collections.get("papers")
    rain = desk.documents()["rain.md"].document_id

    task_id = submit_dataflow(desk.services, known, "notes", [rain], from_component="forms")
    report = work.run(
        desk.services, known, work.WorkRequest("worker", Backend.IN_PROCESS, pipeline="notes")
    )

    assert {step for step, number in report.computed.items() if number} == {
        "enriched.forms",
        "enriched",
        "indexed",
    }
    assert {step for step, number in report.reused.items() if number} >= {
        "parsed",
        "chunked",
        "enriched.lengths",
        "embedded",
    }
    assert desk.services.registry.tasks.get(task_id).state is TaskState.SUCCEEDED


@pytest.mark.parametrize("asked", [("embedder", "forms"), ("forms", "embedder")])
def test_who_asks_for_two_components_gets_both_done_again(
    desk: Desk, two: tuple[Path, Path], asked: tuple[str, str]
) -> None:
    desk.through(two[0])
    desk.go()
    known = desk.services.registry.collections.get("papers")
    rain = desk.documents()["rain.md"].document_id

    for component in asked:
        submit_dataflow(desk.services, known, "notes", [rain], from_component=component)

    assert desk.counts(desk.go()) == computed(forms=1, embedder=1, indexer=1)


def test_force_is_not_taken_back_by_a_later_request_from_a_component_on(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    desk.through(two[0])
    desk.go()
    known = desk.services.registry.collections.get("papers")
    rain = desk.documents()["rain.md"].document_id

    desk.through(two[0], force=True)
    submit_dataflow(desk.services, known, "notes", [rain], from_component="embedder")

    assert desk.counts(desk.go())["parser"] == 1


def test_what_is_asked_for_while_it_is_being_done_is_done_once_more(
    desk: Desk, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.through(two[0])
    desk.go()
    known = desk.services.registry.collections.get("papers")
    rain = desk.documents()["rain.md"].document_id
    chunk, asked = chunked.run, ["hierarchical_merger"]

    def chunk_and_ask(*arguments: Any) -> Any:
        if asked:
            submit_dataflow(desk.services, known, "notes", [rain], from_component=asked.pop())
        return chunk(*arguments)

    monkeypatch.setattr(chunked, "run", chunk_and_ask)
    result = desk.go(from_component="hierarchical_merger")

    assert desk.counts(result) == computed(
        hierarchical_merger=2, forms=1, lengths=1, embedder=1, indexer=1
    )


def test_an_unknown_component_is_refused_with_those_there_are(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    desk.through(*two)
    desk.go()
    known = desk.services.registry.collections.get("papers")
    said = (
        "the pipeline notes has no component 'embeder'; it has: file, parser, "
        "hierarchical_merger, forms, lengths, embedder, indexer"
    )

    failed = desk.go(from_component="embeder")
    with pytest.raises(PermanentError) as refused:
        submit_dataflow(desk.services, known, "notes", (), from_component="embeder")
    with pytest.raises(PermanentError, match="has no components to begin from"):
        submit_dataflow(desk.services, known, "standard", (), from_component="embedder")

    assert not failed.success
    assert refused.value.message == said
    (event,) = [e for e in failed.all_events if e.event_type is dg.DagsterEventType.STEP_FAILURE]
    assert said in str(event.step_failure_data.user_failure_data or event.step_failure_data.error)


def test_the_tasks_of_a_run_that_a_person_stops_between_two_components_are_canceled(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    submission = desk.through(*two)
    stopped = begun(desk, waiting_only=True)
    registry, runs = desk.services.registry, DagsterRuns(desk.instance)
    assert registry.runs.between_steps() == [stopped.run_id]
    assert reconcile(desk.services, runs).canceled == 0
    assert desk.states(submission) == [TaskState.RUNNING, TaskState.RUNNING]

    desk.instance.report_run_canceled(stopped)
    planned = tick(desk.services, lambda _: {}, runs).planned

    assert planned == ()
    assert desk.states(submission) == [TaskState.CANCELED, TaskState.CANCELED]
    assert registry.runs.between_steps() == []
    assert desk.counts(desk.go()) == computed()


def test_what_a_run_asked_for_itself_is_left_as_it_was_when_a_person_stops_it(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    desk.through(*two)
    desk.go()
    stopped = begun(desk, from_component="parser")
    desk.instance.report_run_canceled(stopped)

    assert reconcile(desk.services, DagsterRuns(desk.instance)).canceled == 1

    assert {each.state for each in desk.documents().values()} == {DocumentState.INDEXED}
    assert desk.counts(desk.go()) == computed()


def test_a_run_that_was_taken_for_ended_between_two_components_is_gone_on_with(
    desk: Desk, two: tuple[Path, Path]
) -> None:
    submission = desk.through(*two)
    silent = begun(desk, waiting_only=True)
    runs = DagsterRuns(desk.instance)
    runs.report_stopped(silent.run_id, "it fell silent")

    assert reconcile(desk.services, runs).canceled == 0

    desk.go()
    assert desk.states(submission) == [TaskState.SUCCEEDED, TaskState.SUCCEEDED]


def begun(desk: Desk, **config: Any) -> dg.DagsterRun:
    """Return a run that Dagster takes for started, whose first two components are done."""
    job = desk.defs.resolve_job_def("notes_job")
    done = job.execute_in_process(
        run_config={"ops": {"notes": {"config": config}}},
        instance=desk.instance,
        partition_key="papers",
        op_selection=["notes.file", "notes.parser"],
    )
    started = DagsterEvent(dg.DagsterEventType.RUN_START.value, job.name)
    desk.instance.report_dagster_event(started, done.run_id)
    run = desk.instance.get_run_by_id(done.run_id)
    assert run is not None
    return run
