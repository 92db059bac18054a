"""The work of a run, from claiming to recording, in process."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline.errors import ErrorKind, LeaseLostError, PermanentError, TransientError
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import STAGES, Document, DocumentState, Stage
from ingestion_pipeline.model.tasks import Backend, Priority, ReindexOnly, Task, TaskState
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.stages import run as stages_run
from ingestion_pipeline.tasks import work
from ingestion_pipeline.tasks.submission import submit, submit_reindex
from ingestion_pipeline.tasks.work import WorkReport, WorkRequest, next_batch, run
from ingestion_pipeline_tests.fakes import POISON, FakeServices


class Desk:
    """One collection: submit to it, have it worked on, look at it."""

    def __init__(self, services: FakeServices, collection: Collection, write: Any) -> None:
        self.services = services
        self.collection = collection
        self.write = write

    def submit(self, *names: str, **contents: str) -> list[str]:
        """Submit files; their content is their name unless given by stem."""
        paths: list[Path] = [
            self.write(name, contents.get(name.partition(".")[0], f"About {name}."))
            for name in names
        ]
        return list(submit(self.services, self.collection, paths, Priority.NORMAL, {}).task_ids)

    def run(self, **request: Any) -> WorkReport:
        collection = self.services.registry.collections.get("docs")
        asked = WorkRequest("run", Backend.IN_PROCESS, **request)
        return run(self.services, collection, asked)

    def task(self, task_id: str) -> Task:
        return self.services.registry.tasks.get(task_id)

    def documents(self) -> dict[str, Document]:
        found = self.services.registry.documents.find("docs")
        return {document.name: document for document in found}

    def states(self) -> dict[str, DocumentState]:
        return {name: document.state for name, document in self.documents().items()}

    def visible(self) -> set[str]:
        index = self.services.index(self.services.registry.collections.get("docs"))
        return set(index.snapshot().document_names().values())


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"doc_bulk_size": 2})


@pytest.fixture
def desk(services: FakeServices, collection: Collection, write: Any) -> Desk:
    return Desk(services, collection, write)


def test_a_run_drains_batch_after_batch(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    task_ids = desk.submit("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")

    with caplog.at_level(logging.INFO):
        report = desk.run()

    told = [message for message in caplog.messages if "documents in" in message]
    assert [message.partition(":")[0] for message in told] == [
        "2 documents in 1 batches",
        "4 documents in 2 batches",
        "5 documents in 3 batches",
    ]
    assert (report.documents, report.batches, report.changed, report.failed) == (5, 3, 5, 0)
    assert report.computed == {stage: 5 for stage in STAGES if stage is not Stage.SOURCED}
    assert report.chunks == 5
    assert [row.outcome for row in report.rows] == ["done"] * 5
    assert {desk.task(task_id).state for task_id in task_ids} == {TaskState.SUCCEEDED}
    assert desk.visible() == set(desk.states()) == {f"{letter}.txt" for letter in "abcde"}


@pytest.mark.parametrize(
    ("size", "documents", "seconds", "most", "expected"),
    [
        (64, 64, 1.0, 256, 256),  # quick ones: many, but never more than that
        (64, 64, 0.0, 10_000, 256),  # nor four times as many as before
        (256, 256, 20.0, 256, 128),
        (64, 64, 3_600.0, 256, 8),  # scans of an hour: few, so that the first are found soon
        (64, 3, 3_600.0, 4, 4),
    ],
)
def test_a_batch_takes_about_ten_seconds(
    size: int, documents: int, seconds: float, most: int, expected: int
) -> None:
    assert next_batch(size, documents, seconds, most) == expected


def test_a_run_with_a_time_slice_leaves_the_rest_for_others(desk: Desk) -> None:
    desk.submit("a.txt", "b.txt", "c.txt")

    assert desk.run(slice_seconds=0).documents == 2
    assert desk.run(slice_seconds=60).documents == 1
    assert desk.run(slice_seconds=60).documents == 0


def test_a_run_of_the_stream_makes_room_after_a_batch_when_another_tenant_waits(
    desk: Desk, write: Any
) -> None:
    desk.submit("a.txt", "b.txt", "c.txt", "d.txt")
    other, _ = desk.services.registry.collections.ensure(CollectionName("other", "docs"))
    submit(desk.services, other, [write("other.txt")], Priority.NORMAL, {})

    assert desk.run(slice_seconds=60).documents == 2, "a batch, and no more"
    run(desk.services, other, WorkRequest("theirs", Backend.IN_PROCESS, slice_seconds=60))
    assert desk.run(slice_seconds=60).documents == 2


def test_a_document_submitted_ten_times_at_once_is_processed_once_and_the_last_version_wins(
    desk: Desk,
) -> None:
    task_ids = [desk.submit("a.txt", a=f"Version {number}.")[0] for number in range(10)]

    report = desk.run()

    assert report.documents == 1
    assert {desk.task(task_id).state for task_id in task_ids} == {TaskState.SUCCEEDED}
    snapshot = desk.services.index(desk.collection).snapshot()
    assert [hit.text for hit in snapshot.matching("version", 10)] == ["Version 9."]


def test_a_person_who_stops_a_run_cancels_its_tasks_and_no_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_ids = desk.submit("a.txt", "b.txt", "c.txt")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages_run.embedded, "run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            desk.run(stopped_by_person=lambda: True)

    states = [desk.task(task_id).state for task_id in task_ids]
    assert sorted(states) == [TaskState.CANCELED, TaskState.CANCELED, TaskState.WAITING]
    assert desk.services.registry.runs.find() == []
    desk.run()
    assert len(desk.visible()) == 1


def test_what_a_drain_marked_is_unmarked_when_a_person_stops_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.submit("a.txt", "b.txt", "c.txt")
    desk.run()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages_run.embedded, "run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            desk.run(only=ReindexOnly.ALL, stopped_by_person=lambda: True)

    assert set(desk.states().values()) == {DocumentState.INDEXED}
    assert desk.services.registry.documents.backlog() == []


def test_tasks_tell_the_run_the_backend_and_what_happened(desk: Desk) -> None:
    (task_id,) = desk.submit("a.txt")
    desk.run()

    task = desk.task(task_id)
    assert (task.run_id, task.backend, task.attempts) == ("run", Backend.IN_PROCESS, 1)
    events = desk.services.events.read(task_id)
    assert [event.state for event in events] == [
        TaskState.WAITING,
        TaskState.RUNNING,
        TaskState.RUNNING,
        TaskState.RUNNING,
        TaskState.SUCCEEDED,
    ]
    assert [event.progress for event in events] == [0, 0, 0.5, 0.9, 1]
    assert [event.message for event in events] == [message[9:] for message in task.messages]


def test_nothing_to_do_is_done_quickly_and_said(desk: Desk) -> None:
    desk.submit("a.txt")
    desk.run()

    report = desk.run(only=ReindexOnly.STALE)

    assert (report.documents, report.batches) == (0, 0)
    assert report.summary().startswith("0 documents in 0 batches")


def test_submitting_again_works_on_what_changed_only(desk: Desk) -> None:
    desk.submit("a.txt", "b.txt", "c.txt")
    desk.run()

    desk.submit("a.txt", "b.txt", "c.txt", b="Something else.")
    report = desk.run()

    assert [row.name for row in report.rows] == ["b.txt"]


def test_a_changed_chunk_size_makes_documents_stale_and_parses_none_again(desk: Desk) -> None:
    desk.submit("a.txt", "b.txt", a="Many words. " * 100)
    desk.run()
    desk.services.registry.collections.configure("docs", {"chunk_tokens": 32})

    report = desk.run(only=ReindexOnly.STALE)

    assert report.reused == {Stage.SOURCED: 2, Stage.PARSED: 2}
    assert report.computed == dict.fromkeys(STAGES[2:], 2)


def test_force_and_only_all_do_unchanged_documents_again(desk: Desk) -> None:
    desk.submit("a.txt", "b.txt")
    desk.run()

    for request in ({"only": ReindexOnly.ALL}, {"only": ReindexOnly.STALE, "force": True}):
        assert desk.run(**request).computed[Stage.PARSED] == 2
    assert desk.run(only=ReindexOnly.STALE).documents == 0


def test_named_documents_are_taken_and_no_other(desk: Desk) -> None:
    desk.submit("a.txt", "b.txt", "c.txt")
    wanted = desk.documents()["b.txt"].document_id

    report = desk.run(only=ReindexOnly.STALE, document_ids=(wanted,))

    assert [row.name for row in report.rows] == ["b.txt"]
    assert desk.visible() == {"b.txt"}


@pytest.mark.parametrize("stages", [STAGES, (Stage.PARSED,)])
@pytest.mark.parametrize("force", [False, True])
def test_an_unknown_document_is_an_error(
    desk: Desk, stages: tuple[Stage, ...], force: bool
) -> None:
    with pytest.raises(PermanentError) as raised:
        desk.run(stages=stages, only=ReindexOnly.STALE, document_ids=("unheard-of",), force=force)

    assert raised.value.kind is ErrorKind.NOT_FOUND


def test_a_bad_document_fails_with_its_task_and_the_others_succeed(desk: Desk) -> None:
    good, bad, other = desk.submit("a.txt", "b.txt", "c.txt", b=f"This is {POISON}.")

    report = desk.run()

    assert (report.documents, report.failed, report.changed) == (3, 1, 2)
    assert report.rows[0].name == "b.txt", "failures come first"
    assert report.rows[0].outcome == "failed"
    assert "1 failed" in report.summary()
    assert desk.task(bad).state is TaskState.FAILED
    assert desk.task(good).state is desk.task(other).state is TaskState.SUCCEEDED


def test_only_failed_documents_are_tried_again_if_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.submit("a.txt", "b.txt", b=f"This is {POISON}.")
    desk.run()
    monkeypatch.setattr("ingestion_pipeline_tests.fakes.POISON", "nothing like it")

    assert desk.run(only=ReindexOnly.STALE).documents == 0
    report = desk.run(only=ReindexOnly.FAILED)

    assert [row.name for row in report.rows] == ["b.txt"]
    assert desk.states()["b.txt"] is DocumentState.INDEXED


def test_a_reindex_task_is_carried_out_by_the_next_run(desk: Desk) -> None:
    desk.submit("a.txt", "b.txt", "c.txt")
    desk.run()
    task_id = submit_reindex(desk.services, desk.collection, ReindexOnly.ALL)

    desk.run()

    task = desk.task(task_id)
    assert (task.state, task.progress, task.attempts) == (TaskState.SUCCEEDED, 1, 2)


def test_some_stages_are_run_for_what_is_ready_and_stale(desk: Desk) -> None:
    (task_id,) = desk.submit("a.txt")

    assert desk.run(stages=(Stage.CHUNKED,), only=ReindexOnly.STALE).documents == 0
    report = desk.run(stages=(Stage.SOURCED, Stage.PARSED), only=ReindexOnly.STALE)
    assert report.computed == {Stage.PARSED: 1}
    assert desk.visible() == set()
    assert not desk.task(task_id).state.final
    report = desk.run(stages=STAGES[2:], only=ReindexOnly.STALE)
    assert report.computed == dict.fromkeys(STAGES[2:], 1)
    assert desk.visible() == {"a.txt"}
    assert desk.task(task_id).state is TaskState.SUCCEEDED


def test_some_stages_can_be_forced(desk: Desk) -> None:
    desk.submit("a.txt", "b.txt")
    desk.run()
    name = desk.documents()["a.txt"].document_id
    request = {"stages": (Stage.PARSED,), "only": ReindexOnly.STALE}

    assert desk.run(**request).documents == 0
    assert desk.run(**request, force=True, document_ids=(name,)).computed == {Stage.PARSED: 1}
    assert desk.run(**request, force=True).computed == {Stage.PARSED: 2}
    assert desk.states() == {"a.txt": DocumentState.INDEXED, "b.txt": DocumentState.INDEXED}


def test_lost_results_of_an_upstream_stage_end_the_run_and_are_named(desk: Desk) -> None:
    desk.submit("a.txt", "b.txt", "c.txt")
    desk.run()
    for key in list(desk.services.store.keys("artifacts/default/docs")):
        if "/parsed-" in key:
            desk.services.store.delete(key)

    report = desk.run(stages=(Stage.CHUNKED,), only=ReindexOnly.STALE, force=True)

    assert report.waiting > 0
    assert {row.outcome for row in report.rows} == {"waits for parsed"}


def test_a_transient_error_leaves_the_document_for_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise TransientError(ErrorKind.UNAVAILABLE, "the store is busy")

    (task_id,) = desk.submit("a.txt")
    with monkeypatch.context() as patch:
        patch.setattr(type(desk.services.objects), "get", refuse)
        report = desk.run()

    assert report.failed == 1
    assert desk.states() == {"a.txt": DocumentState.PENDING}
    assert not desk.task(task_id).state.final
    assert desk.services.registry.claims.live_runs() == {}


def test_a_batch_lost_to_another_run_is_dropped_and_the_run_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The lease of the first batch goes to nobody in particular while it is being embedded."""
    desk.submit("a.txt", "b.txt", "c.txt")
    registry = desk.services.registry
    claims: list[int] = []
    announce = registry.publications.announce

    def announce_once_lost(claim_id: int, *rest: Any, **more: Any) -> set[str]:
        claims.append(claim_id)
        if len(claims) == 1:
            registry.claims.release(claim_id)
        return announce(claim_id, *rest, **more)

    monkeypatch.setattr(registry.publications, "announce", announce_once_lost)
    with caplog.at_level(logging.WARNING):
        report = desk.run()

    assert "a batch of 2 documents was dropped" in caplog.text
    assert len(claims) == 3
    assert report.failed == 0
    assert desk.visible() == {"a.txt", "b.txt", "c.txt"}
    assert set(desk.states().values()) == {DocumentState.INDEXED}


def test_after_a_batch_was_lost_while_it_was_parsed_the_next_one_is_parsed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.submit("a.txt", "b.txt", "c.txt")
    parse, calls = stages_run.parsed.run, []

    def lost_at_first(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            desk.services.registry.claims.release_runs(["run"])
            raise LeaseLostError("noticed while parsing")
        return parse(*arguments)

    monkeypatch.setattr(stages_run.parsed, "run", lost_at_first)

    report = desk.run()

    assert report.failed == 0
    assert desk.visible() == {"a.txt", "b.txt", "c.txt"}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
@pytest.mark.parametrize("where", ["publish", "record"])
def test_an_interrupted_run_gives_its_batch_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException], where: str
) -> None:
    (task_id, *_) = desk.submit("a.txt", "b.txt")

    def interrupt(*_: object, **__: object) -> None:
        raise interruption

    with monkeypatch.context() as patch:
        if where == "publish" and interruption is not ZeroDivisionError:
            patch.setattr(CollectionIndex, "publish", interrupt)
        else:
            patch.setattr(desk.services.registry.claims, "record", interrupt)
        with pytest.raises(interruption):
            desk.run()

    assert desk.services.registry.claims.live_runs() == {}
    assert set(desk.states().values()) == {DocumentState.PENDING}
    assert desk.task(task_id).state is TaskState.RUNNING

    assert desk.run().failed == 0
    assert desk.task(task_id).state is TaskState.SUCCEEDED


def test_a_publication_that_was_not_recorded_is_published_again_and_seen_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.submit("a.txt")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(desk.services.registry.claims, "record", die)
        with pytest.raises(KeyboardInterrupt):
            desk.run()
    assert desk.visible() == {"a.txt"}
    assert desk.states() == {"a.txt": DocumentState.PENDING}

    report = desk.run()

    assert report.computed == {Stage.INDEXED: 1}
    (version,) = desk.services.index(desk.collection).snapshot().document_versions()
    assert version.chunks == 1


def test_redis_away_stops_no_work(desk: Desk, tmp_path: Path) -> None:
    task_ids = desk.submit("a.txt")
    desk.services.settings = desk.services.settings.model_copy(
        update={"redis_url": f"unix://{tmp_path / 'none.sock'}"}
    )
    desk.services.close()
    for part in ("redis", "events", "streams"):
        vars(desk.services).pop(part, None)

    assert desk.run().failed == 0
    assert desk.task(task_ids[0]).state is TaskState.SUCCEEDED


def test_a_report_names_so_many_documents_and_counts_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "ROWS_KEPT", 2)
    desk.submit("a.txt", "b.txt", "z.txt", z=f"This is {POISON}.")

    report = desk.run()

    assert [row.name for row in report.rows] == ["z.txt", "a.txt"]
    assert report.documents == 3


def test_documents_that_did_not_change_are_reported_as_such(desk: Desk) -> None:
    desk.submit("a.txt")
    desk.run()
    identity = desk.documents()["a.txt"].document_id

    report = desk.run(only=ReindexOnly.STALE, document_ids=(identity,))

    assert (report.documents, report.changed, report.chunks) == (1, 0, 0)
    assert report.rows[0].outcome == "unchanged"
    assert report.reused == dict.fromkeys(STAGES, 1)


def test_failed_documents_are_not_offered_to_a_run_of_some_stages(desk: Desk) -> None:
    with pytest.raises(PermanentError, match="needs all six assets") as raised:
        desk.run(stages=(Stage.CHUNKED,), only=ReindexOnly.FAILED)
    assert raised.value.kind is ErrorKind.INVALID_OPTION
