"""What a file is known by, and what is known again without reading it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import STAGES, Document, DocumentState
from ingestion_pipeline.model.tasks import Backend, Priority, Task, TaskState
from ingestion_pipeline.registry.claims import Wanted
from ingestion_pipeline.registry.results import DocumentResult
from ingestion_pipeline.registry.stage_records import StageResult
from ingestion_pipeline.tasks import files, submission
from ingestion_pipeline.tasks.submission import Submission, submit
from ingestion_pipeline_tests.fakes import FakeServices

Submit = Callable[..., Task]


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rely on the times of files that were written just now."""
    monkeypatch.setattr(files, "SETTLED_SECONDS", 0.0)


@pytest.fixture
def submitted(services: FakeServices, collection: Collection) -> Submit:
    """Submit a file and return its task."""

    def submitted(path: Path, **options: object) -> Task:
        (task_id,) = submit(services, collection, [path], Priority.NORMAL, options).task_ids
        return services.registry.tasks.get(task_id)

    return submitted


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read."""
    seen: list[str] = []

    def read(path: Path, max_bytes: int) -> tuple[bytes, str | None]:
        seen.append(path.name)
        return original(path, max_bytes)

    original = files.read
    monkeypatch.setattr(files, "read", read)
    return seen


def index(services: FakeServices, collection: Collection) -> None:
    """Record what waits as if it had gone through all stages."""
    recipes = services.recipes(collection)
    claim, _ = services.registry.claims.take(
        collection.key,
        Wanted(recipes, STAGES, whole=True),
        run_id="run",
        backend=Backend.IN_PROCESS,
        lease_seconds=60,
        task_timeout_seconds=60,
        max_documents=10,
        max_bytes=10**6,
    )
    assert claim is not None
    results = [
        DocumentResult(
            document.document_id,
            document.sha256,
            {stage: StageResult(recipes[stage], "f" * 64) for stage in STAGES},
            chunks=1,
            tokens=1,
            index_table="docs.G1",
        )
        for document in claim.documents
    ]
    services.registry.claims.record(claim, results, input_timeout_seconds=60)
    services.registry.claims.release(claim.claim_id)


def the_document(services: FakeServices) -> Document:
    (document,) = services.registry.documents.find("docs")
    return document


@pytest.mark.usefixtures("settled")
def test_a_stamp_tells_of_a_change_that_size_and_time_of_modification_hide(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    before, times = files.stamp(path), path.stat()
    time.sleep(0.05)  # the clock of the file system ticks

    path.write_text("two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert path.stat().st_mtime_ns == times.st_mtime_ns
    assert None is not files.stamp(path) != before


def test_a_file_that_was_written_just_now_and_one_that_is_gone_have_no_stamp(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")

    assert files.stamp(path) is None
    assert files.read(path, 10) == (b"one", None)
    assert files.stamp(tmp_path / "gone.txt") is None


@pytest.mark.usefixtures("settled")
def test_a_file_that_changes_while_it_is_read_has_no_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    assert files.read(path, 10) == (b"one", files.stamp(path))

    def read_bytes(path: Path) -> bytes:
        path.write_text("longer")
        return b"one"

    monkeypatch.setattr(Path, "read_bytes", read_bytes)

    assert files.read(path, 10) == (b"one", None)


@pytest.mark.usefixtures("settled")
def test_an_unchanged_file_is_not_read_again_unless_by_force(
    services: FakeServices,
    collection: Collection,
    write: Any,
    submitted: Submit,
    read_files: list[str],
) -> None:
    path = write("a.txt", "Some words.")
    submitted(path)
    index(services, collection)

    assert submitted(path).messages[-1].endswith("Unchanged: nothing to do.")
    assert read_files == ["a.txt"]

    assert submitted(path, force=True).state is TaskState.WAITING
    assert read_files == ["a.txt", "a.txt"]


@pytest.mark.usefixtures("settled")
def test_a_changed_file_is_read_again(
    services: FakeServices, collection: Collection, write: Any, submitted: Submit
) -> None:
    submitted(write("a.txt", "Some words."))
    index(services, collection)
    before = the_document(services).sha256

    assert submitted(write("a.txt", "Some wordS.")).state is TaskState.WAITING
    assert the_document(services).sha256 != before


def test_a_file_that_was_submitted_right_after_it_was_written_is_read_twice(
    services: FakeServices,
    collection: Collection,
    write: Any,
    submitted: Submit,
    read_files: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write("a.txt", "Some words.")
    submitted(path)
    index(services, collection)
    monkeypatch.setattr(files, "SETTLED_SECONDS", 0.0)

    assert [submitted(path).state for _ in range(2)] == [TaskState.SUCCEEDED] * 2
    assert read_files == ["a.txt", "a.txt"]


@pytest.mark.usefixtures("settled")
def test_what_was_canceled_is_not_taken_for_unchanged(
    services: FakeServices, collection: Collection, write: Any, submitted: Submit
) -> None:
    submitted(write("a.txt", "Some words."))
    index(services, collection)
    path = write("a.txt", "Other words.")
    services.registry.tasks.cancel([submitted(path).task_id])
    assert the_document(services).state is DocumentState.INDEXED

    assert submitted(path).state is TaskState.WAITING
    key = the_document(services).object_key
    assert services.objects.get(collection.name, str(key)) == b"Other words."


@pytest.mark.usefixtures("settled")
def test_a_known_file_whose_bytes_are_gone_is_read_again(
    services: FakeServices, collection: Collection, write: Any, submitted: Submit
) -> None:
    path = write("a.txt", "Some words.")
    submitted(path)
    key = str(the_document(services).object_key)
    services.objects.delete(collection.name, key)

    submitted(path)

    assert services.objects.get(collection.name, key) == b"Some words."


@pytest.mark.usefixtures("settled")
def test_unchanged_files_send_no_messages(
    services: FakeServices, collection: Collection, write: Any, submitted: Submit
) -> None:
    path = write("a.txt", "Some words.")
    submitted(path)
    index(services, collection)
    before = services.streams.status().length

    submitted(path)

    assert services.streams.status().length == before


def test_what_a_folder_holds_unchanged_needs_no_task_and_is_read_once_more_at_most(
    services: FakeServices,
    collection: Collection,
    write: Any,
    read_files: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def submitted(**options: object) -> Submission:
        return submit(services, collection, [path.parent], Priority.NORMAL, options)

    path = write("a.txt", "Some words.")
    assert len(submitted().task_ids) == 1, "its times tell nothing yet"
    index(services, collection)
    monkeypatch.setattr(files, "SETTLED_SECONDS", 0.0)

    for _ in range(2):
        again = submitted()
        assert (again.task_ids, again.unchanged) == ((), 1)
        assert read_files == ["a.txt", "a.txt"], "they do from the second time on"

    assert len(submitted(force=True).task_ids) == 1
    write("a.txt", "Other words.")
    write("b.txt", "More words.")
    changed = submitted()
    assert (len(changed.task_ids), changed.unchanged) == (2, 0)


@pytest.mark.parametrize(("large", "most"), [(0, 1), (10, 3)])
def test_large_files_are_read_one_at_a_time_and_small_ones_together(
    services: FakeServices,
    collection: Collection,
    write: Any,
    monkeypatch: pytest.MonkeyPatch,
    large: int,
    most: int,
) -> None:
    together = threading.Barrier(most)

    def read(path: Path, max_bytes: int) -> tuple[bytes, str | None]:
        assert room.acquire(blocking=False), "too many at a time"
        together.wait(20)
        time.sleep(0.02)
        room.release()
        return original(path, max_bytes)

    original, room = files.read, threading.Semaphore(most)
    monkeypatch.setattr(files, "read", read)
    monkeypatch.setattr(submission, "LARGE_FILE_BYTES", large)
    paths = [write(f"{name}.txt", f"Word {name}") for name in "abc"]

    tasks = submit(services, collection, paths, Priority.NORMAL, {}).task_ids

    found = [services.registry.tasks.get(task_id) for task_id in tasks]
    assert [task.state for task in found] == [TaskState.WAITING] * 3
