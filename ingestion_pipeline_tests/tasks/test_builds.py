"""Building something of a collection as a whole: who does it, and what becomes of the tasks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.indexing import SummaryIndex
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.tasks import (
    Backend,
    Priority,
    Task,
    TaskMessage,
    TaskState,
    TaskType,
)
from ingestion_pipeline.tasks.builds import BuildRequest, Built, build
from ingestion_pipeline.tasks.deletion import delete_collection
from ingestion_pipeline.tasks.due import plan_due_builds
from ingestion_pipeline.tasks.intake import new_task
from ingestion_pipeline.tasks.submission import submit, submit_build, submit_deletion
from ingestion_pipeline.tasks.trees import look_at_tree, tree_is_current
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices

TEXT = "# {name}\n\n" + "\n\n".join(
    f"## Part {part}\n\nThe {{name}} of part {part} says something about the weather. It rains "
    f"on day {part}, and the {{name}} is wet. Nobody knows why."
    for part in range(4)
)


class Desk:
    """One collection: put documents in, build, look at it."""

    def __init__(
        self, services: FakeServices, collection: Collection, write: Callable[..., Path]
    ) -> None:
        self.services = services
        self.collection = collection
        self._write = write

    def ingest(self, *names: str) -> None:
        paths = [self._write(f"{name}.md", TEXT.format(name=name)) for name in names]
        submit(self.services, self.collection, paths, Priority.NORMAL, {})
        run(self.services, self.collection, WorkRequest("ingest", Backend.IN_PROCESS))

    def configure(self, **changes: Any) -> None:
        self.collection = self.services.registry.collections.configure("docs", changes)

    def ask(self, *document_ids: str, kind: TaskType = TaskType.RAPTOR) -> str:
        return submit_build(self.services, self.collection, kind, document_ids)

    def build(self, kind: TaskType = TaskType.RAPTOR, **request: Any) -> Built | None:
        asked = BuildRequest(f"run-{uuid.uuid4().hex}", Backend.IN_PROCESS, kind, **request)
        return build(self.services, self.collection, asked)

    def task(self, task_id: str) -> Task:
        return self.services.registry.tasks.get(task_id)

    def ids(self) -> dict[str, str]:
        found = self.services.registry.documents.find("docs")
        return {document.name.removesuffix(".md"): document.document_id for document in found}

    def summarised(self) -> set[str | None]:
        tree = SummaryIndex(self.services.index(self.collection)).snapshot()
        return {indexed.summary.document_id for indexed in tree.all()}


@pytest.fixture
def desk(services: FakeServices, collection: Collection, write: Callable[..., Path]) -> Desk:
    desk = Desk(services, collection, write)
    desk.configure(chunk_tokens=32)
    return desk


@contextmanager
def interrupted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]
) -> Iterator[None]:
    """Do something when the first summary is embedded."""
    embedder = desk.services.embedder(desk.collection)
    encode = embedder.encode

    def once(*arguments: Any) -> NDArray[np.float32]:
        monkeypatch.setattr(embedder, "encode", encode)
        do()
        return encode(*arguments)

    monkeypatch.setattr(embedder, "encode", once)
    yield


def test_a_build_ends_the_tasks_that_wait_for_it(desk: Desk) -> None:
    desk.ingest("rain", "snow")
    waiting = [desk.ask(), desk.ask()]

    built = desk.build()

    assert built is not None
    for task in map(desk.task, waiting):
        assert (task.state, task.progress) == (TaskState.SUCCEEDED, 1.0)
        assert task.messages[-1].endswith(f"Task done: {built.message}")
    assert desk.summarised() == set(desk.ids().values())
    assert look_at_tree(desk.services, "docs").uncovered == ()
    assert tree_is_current(desk.services, "docs")[0]


def test_what_did_not_change_is_not_summarised_again(desk: Desk) -> None:
    desk.ingest("rain", "snow")
    first = desk.build()
    desk.ingest("fog")

    second = desk.build()
    third = desk.build()

    assert first is not None
    assert second is not None
    assert third is not None
    assert first.figures["summaries_written"] == first.figures["summaries"]
    assert second.figures["summaries_reused"] == first.figures["summaries"]
    assert third.figures["summaries_written"] == 0
    assert second.version == third.version != first.version


def test_a_tree_says_when_it_is_no_longer_current(desk: Desk) -> None:
    desk.ingest("rain")
    assert tree_is_current(desk.services, "docs") == (True, "no tree was built")
    desk.build()
    desk.ingest("snow")
    assert not tree_is_current(desk.services, "docs")[0]
    desk.build()
    assert tree_is_current(desk.services, "docs")[0]

    desk.configure(**{"raptor.max_tokens": 48})

    current, why = tree_is_current(desk.services, "docs")
    assert not current
    assert "another way" in why


def test_summaries_go_with_their_documents(desk: Desk) -> None:
    desk.configure(**{"raptor.scope": "collection"})
    desk.ingest("rain", "snow", "fog")
    desk.build()
    assert None in desk.summarised()
    gone = desk.ids()["snow"]

    submit_deletion(desk.services, desk.collection, [gone], purge=False)

    assert gone not in desk.summarised()
    assert look_at_tree(desk.services, "docs").dangling == ()


def test_documents_can_be_built_alone(desk: Desk) -> None:
    desk.ingest("rain", "snow")
    rain = desk.ids()["rain"]
    task_id = desk.ask(rain)

    desk.build()

    assert desk.task(task_id).state is TaskState.SUCCEEDED
    assert desk.summarised() == {rain}
    record = desk.services.registry.builds.find("docs", TaskType.RAPTOR)
    assert record is not None
    assert record.built_from is None


def test_a_message_may_name_documents(desk: Desk) -> None:
    desk.ingest("rain", "snow")
    rain = desk.ids()["rain"]
    message = TaskMessage(type=TaskType.RAPTOR, collection="docs", document_ids=[rain])

    desk.services.registry.tasks.accept([new_task(desk.services, message, "from-elsewhere")])
    desk.build()

    assert desk.task("from-elsewhere").state is TaskState.SUCCEEDED
    assert desk.summarised() == {rain}


def test_options_that_there_are_not_are_refused(desk: Desk) -> None:
    message = TaskMessage(type=TaskType.RAPTOR, collection="docs", options={"depth": 3})

    refused = new_task(desk.services, message, "wrong")

    assert refused.error is not None
    assert refused.error.kind is ErrorKind.INVALID_OPTION
    assert "document_ids" in refused.error.message


def test_a_second_run_leaves_the_build_to_the_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ingest("rain")
    second: list[Built | None] = []

    with interrupted(desk, monkeypatch, lambda: second.append(desk.build())):
        assert desk.build() is not None

    assert second == [None]


def test_a_collection_that_is_being_built_is_not_deleted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ingest("rain")
    refused: list[str] = []

    def delete() -> None:
        with pytest.raises(TransientError) as error:
            delete_collection(desk.services, desk.collection.name)
        refused.append(error.value.message)

    with interrupted(desk, monkeypatch, delete):
        assert desk.build() is not None

    assert "a run works on" in refused[0]
    delete_collection(desk.services, desk.collection.name)


def test_a_canceled_build_publishes_nothing_and_goes_on_another_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ingest("rain", "snow")
    task_id = desk.ask()

    def cancel() -> None:
        desk.services.registry.tasks.cancel([task_id])

    with interrupted(desk, monkeypatch, cancel):
        assert desk.build() is None

    assert desk.task(task_id).state is TaskState.CANCELED
    assert desk.summarised() == set()
    assert desk.build() is not None


def test_what_cannot_succeed_fails_with_its_reason(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ingest("rain")
    task_id = desk.ask()

    def fail() -> None:
        raise PermanentError(ErrorKind.TOO_LARGE, "too much: build less")

    with (
        interrupted(desk, monkeypatch, fail),
        pytest.raises(PermanentError, match="too much"),
    ):
        desk.build()

    task = desk.task(task_id)
    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert task.error.message == "too much: build less"
    assert desk.services.registry.builds.wanted() == []


def test_what_may_succeed_another_time_is_given_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ingest("rain")
    task_id = desk.ask()

    def fail() -> None:
        raise TransientError(ErrorKind.UNAVAILABLE, "nobody answers")

    with (
        interrupted(desk, monkeypatch, fail),
        pytest.raises(TransientError, match="nobody answers"),
    ):
        desk.build()

    assert desk.task(task_id).state is TaskState.RUNNING
    assert desk.build() is not None
    assert desk.task(task_id).state is TaskState.SUCCEEDED


@pytest.mark.parametrize("by_person", [True, False])
def test_an_interrupted_build_is_canceled_only_if_a_person_did_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, by_person: bool
) -> None:
    desk.ingest("rain")
    task_id = desk.ask()
    monkeypatch.setattr(
        "ingestion_pipeline.stages.summarised.leaves_hash",
        lambda _: (_ for _ in ()).throw(KeyboardInterrupt),
    )

    with pytest.raises(KeyboardInterrupt):
        desk.build(stopped_by_person=lambda: by_person)

    expected = TaskState.CANCELED if by_person else TaskState.RUNNING
    assert desk.task(task_id).state is expected
    assert not desk.services.registry.runs.find()


def test_a_collection_that_is_quiet_again_gets_its_tree_once(desk: Desk) -> None:
    desk.configure(**{"raptor.enabled": True, "quiet_seconds": 0})
    assert plan_due_builds(desk.services, set()) == []
    desk.ingest("rain")

    (planned,) = plan_due_builds(desk.services, set())

    assert (planned.collection_key, planned.kind) == ("docs", TaskType.RAPTOR)
    assert len(plan_due_builds(desk.services, set())) == 1  # the same task still waits
    assert plan_due_builds(desk.services, {("docs", TaskType.RAPTOR)}) == []
    desk.build()
    assert plan_due_builds(desk.services, set()) == []
    desk.ingest("snow")
    assert len(plan_due_builds(desk.services, set())) == 1


def test_a_collection_that_changes_all_the_time_has_to_wait(desk: Desk) -> None:
    desk.configure(**{"raptor.enabled": True, "quiet_seconds": 60})
    desk.ingest("rain")

    assert plan_due_builds(desk.services, set()) == []
    assert desk.services.registry.builds.wanted() == []
