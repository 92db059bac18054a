from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.tasks import Priority, ReindexOnly, Task, TaskState, TaskType
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks import submission
from ingestion_pipeline.tasks.intake import Received, receive
from ingestion_pipeline.tasks.submission import submit, submit_reindex
from ingestion_pipeline_tests.fakes import FakeServices

Submit = Callable[..., list[Task]]


@pytest.fixture
def submitted(services: FakeServices, collection: Collection) -> Submit:
    """Submit sources and return their tasks, in order."""

    def submitted(*sources: str | Path, **options: object) -> list[Task]:
        outcome = submit(services, collection, sources, Priority.NORMAL, options)
        return [services.registry.tasks.get(task_id) for task_id in outcome.task_ids]

    return submitted


def names(services: FakeServices) -> list[str]:
    return [document.name for document in services.registry.documents.find("docs")]


def test_a_file_is_stored_registered_and_announced(
    services: FakeServices, collection: Collection, write: Any, submitted: Submit
) -> None:
    path = write("a b.txt", "Some words.")

    (task,) = submitted(path)

    (document,) = services.registry.documents.find("docs")
    assert (document.name, document.uri, document.bytes) == ("a b.txt", path.as_uri(), 11)
    assert services.objects.get(collection.name, str(document.object_key)) == b"Some words."
    assert (task.type, task.state, task.document_id) == (
        TaskType.INGEST,
        TaskState.WAITING,
        document.document_id,
    )
    assert services.streams.status().length == 1
    assert [event.message for event in services.events.read(task.task_id)] == ["Task is queued."]


def test_intake_finds_what_our_client_registered_and_changes_nothing(
    services: FakeServices, write: Any, submitted: Submit
) -> None:
    submitted(write("a.txt"), write("b.txt"))
    before = services.registry.tasks.find(with_messages=True)

    assert receive(services, 0, 20) == Received(accepted=2)

    assert services.registry.tasks.find(with_messages=True) == before


def test_tasks_of_one_submission_share_a_batch(write: Any, submitted: Submit) -> None:
    tasks = submitted(write("a.txt"), write("b.txt"), "https://example.com/c.pdf")

    assert len({task.batch_id for task in tasks}) == 1
    assert submitted(write("a.txt"))[0].batch_id != tasks[0].batch_id


def test_a_large_submission_is_accepted_in_parts(
    write: Any, submitted: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "TASKS_PER_COMMIT", 2)

    tasks = submitted(*(write(f"{number}.txt", f"{number}") for number in range(5)))

    assert [task.state for task in tasks] == [TaskState.WAITING] * 5


def test_a_folder_is_walked_in_order_without_hidden_files(
    services: FakeServices, write: Any, submitted: Submit
) -> None:
    for name in ("b.txt", "a.txt", "deep/down/c.txt", ".hidden.txt", ".git/config", "deep/.x/y"):
        folder = write(f"folder/{name}", name)
    assert folder.exists()

    tasks = submitted(write("folder/a.txt", "a").parent)

    assert names(services) == ["a.txt", "b.txt", "c.txt"]
    assert len(tasks) == 3


def test_a_hidden_file_that_is_named_is_taken(
    services: FakeServices, write: Any, submitted: Submit
) -> None:
    submitted(write(".hidden.txt"))

    assert names(services) == [".hidden.txt"]


def test_an_empty_folder_gives_no_task(tmp_path: Path, submitted: Submit) -> None:
    (tmp_path / "empty").mkdir()

    assert submitted(tmp_path / "empty") == []


def test_a_loop_of_folders_ends_and_each_file_is_taken_once(
    services: FakeServices, write: Any, submitted: Submit
) -> None:
    folder = write("folder/deep/a.txt").parents[1]
    (folder / "deep" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "same").symlink_to(folder / "deep", target_is_directory=True)

    assert [task.state for task in submitted(folder)] == [TaskState.WAITING]


def test_a_link_that_leads_to_itself_is_one_failed_task(
    services: FakeServices, write: Any, submitted: Submit
) -> None:
    folder = write("folder/a.txt").parent
    (folder / "loop").symlink_to(folder / "loop")

    assert [task.state for task in submitted(folder)] == [TaskState.WAITING, TaskState.FAILED]


def test_a_linked_file_is_taken_under_the_name_of_the_link(
    services: FakeServices, write: Any, submitted: Submit
) -> None:
    folder = write("folder/a.txt").parent
    (folder / "b.txt").symlink_to(folder / "a.txt")
    submitted(folder)

    assert names(services) == ["a.txt", "b.txt"]


def test_a_path_names_the_same_document_however_it_is_written(
    services: FakeServices, write: Any, submitted: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("folder/deep/a.txt")
    monkeypatch.chdir(path.parent)
    ways = [path, str(path), "a.txt", "./a.txt", "../deep/a.txt", path.parent / "../deep/a.txt"]

    tasks = submitted(*ways)

    assert len({task.document_id for task in tasks}) == 1


class TestBadSources:
    """Each gives one failed task with the reason, and stops no other."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_file_bytes": 100})

    @pytest.fixture
    def refused(self, write: Any, submitted: Submit) -> Callable[[str | Path], str]:
        """Submit a bad source beside a good one; return the error's kind."""

        def refused(source: str | Path) -> str:
            bad, good = submitted(source, write("good.txt"))
            assert (bad.state, good.state) == (TaskState.FAILED, TaskState.WAITING)
            assert bad.error is not None
            assert bad.error.message.isprintable()
            return bad.error.kind

        return refused

    def test_a_missing_file(self, tmp_path: Path, refused: Any) -> None:
        assert refused(tmp_path / "none.txt") == ErrorKind.NOT_FOUND

    @pytest.mark.parametrize("path", ["a\0b", "x" * 300, "\udcff", "a" * 5000])
    def test_a_path_that_cannot_be(self, refused: Any, path: str) -> None:
        assert refused(path) in (ErrorKind.NOT_FOUND, ErrorKind.FORBIDDEN_SOURCE)

    def test_an_empty_file(self, write: Any, refused: Any) -> None:
        assert refused(write("empty.txt", "")) == ErrorKind.EMPTY

    def test_a_file_over_the_limit(self, write: Any, refused: Any) -> None:
        assert refused(write("large.txt", "x" * 101)) == ErrorKind.TOO_LARGE

    def test_a_pipe(self, write: Any, refused: Any) -> None:
        path = write("a.txt").with_name("pipe")
        os.mkfifo(path)

        assert refused(path) == ErrorKind.UNSUPPORTED

    def test_a_file_that_may_not_be_read(
        self, write: Any, refused: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write("secret.txt")
        readable = Path.read_bytes

        def read_bytes(self: Path) -> bytes:
            if self == path:
                raise PermissionError(13, "Permission denied")
            return readable(self)

        monkeypatch.setattr(Path, "read_bytes", read_bytes)  # root may read everything

        assert refused(path) == ErrorKind.FORBIDDEN_SOURCE

    def test_a_folder_that_may_not_be_listed(
        self, write: Any, refused: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write("closed/a.txt").parent
        listable = Path.iterdir

        def iterdir(self: Path) -> Any:
            if self == path:
                raise PermissionError(13, "Permission denied")
            return listable(self)

        monkeypatch.setattr(Path, "iterdir", iterdir)

        assert refused(path) == ErrorKind.FORBIDDEN_SOURCE

    @pytest.mark.parametrize(
        ("url", "kind"),
        [
            ("http://localhost/", ErrorKind.FORBIDDEN_SOURCE),
            ("http://192.168.0.1/a.pdf", ErrorKind.FORBIDDEN_SOURCE),
            ("http://[::1]/a.pdf", ErrorKind.FORBIDDEN_SOURCE),
            ("https://", ErrorKind.INVALID_MESSAGE),
            ("s3://bucket/", ErrorKind.INVALID_MESSAGE),
        ],
    )
    def test_a_url_that_may_not_be_fetched(self, refused: Any, url: str, kind: ErrorKind) -> None:
        assert refused(url) == kind

    def test_a_name_that_is_no_text_is_taken_as_far_as_it_is(
        self, services: FakeServices, write: Any, submitted: Submit
    ) -> None:
        path = Path(os.fsdecode(os.fsencode(write("x").parent) + b"/caf\xe9.txt"))
        path.write_text("Some words.")

        (task,) = submitted(path)

        assert task.state is TaskState.WAITING
        assert names(services) == ["caf.txt"]


def test_a_url_is_registered_to_be_fetched(services: FakeServices, submitted: Submit) -> None:
    submitted("https://Example.com:443/files/Gr%C3%B6%C3%9Fe.pdf?x=1#page=2")

    (document,) = services.registry.documents.find("docs")
    assert (document.name, document.fetch, document.sha256) == ("Größe.pdf", True, None)
    assert document.uri.startswith("https://example.com/files/")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com", "example.com"),
        ("https://example.com/", "example.com"),
        ("https://example.com/a/b/", "b"),
        ("https://example.com/a%2Fb.txt", "b.txt"),
        ("https://example.com/..%2F..%2F", "document"),
        ("s3://bucket/a/100%25.txt", "100%25.txt"),
    ],
)
def test_a_url_gives_a_name_to_show(
    services: FakeServices, submitted: Submit, url: str, name: str
) -> None:
    submitted(url)

    assert names(services) == [name]


def test_unknown_options_are_refused_before_anything_is_accepted(
    services: FakeServices, write: Any, submitted: Submit
) -> None:
    with pytest.raises(PermanentError, match="the options are: force"):
        submitted(write("a.txt"), forec=True)

    assert services.registry.tasks.find() == []


def test_options_and_priority_travel_with_the_task(
    services: FakeServices, collection: Collection, write: Any
) -> None:
    submit(services, collection, [write("a.txt")], Priority.HIGH, {"force": True})

    (task,) = services.registry.tasks.find()
    assert (task.priority, task.options) == (Priority.HIGH, {"force": True})
    assert services.registry.documents.find("docs")[0].force
    assert [waiting.priority for waiting in services.registry.documents.backlog()] == [1]


def test_submitting_does_not_need_redis(
    settings: Settings, parsers: ParserPool, write: Any, tmp_path: Path
) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{tmp_path / 'none.sock'}"})
    with closing(FakeServices(away, parsers)) as services:
        collection, _ = services.registry.collections.ensure(CollectionName("default", "docs"))
        submit(services, collection, [write("a.txt")], Priority.NORMAL, {})
        submit_reindex(services, collection, ReindexOnly.ALL)

        states = [task.state for task in services.registry.tasks.find()]

    assert states == [TaskState.WAITING] * 2


def test_a_reindex_is_accepted_as_a_task(
    services: FakeServices, collection: Collection, write: Any, submitted: Submit
) -> None:
    submitted(write("a.txt"))

    task = services.registry.tasks.get(submit_reindex(services, collection, ReindexOnly.ALL))

    assert (task.type, task.state, task.options) == (
        TaskType.REINDEX,
        TaskState.WAITING,
        {"only": "all"},
    )
    assert receive(services, 0, 20) == Received(accepted=2)
    assert services.registry.tasks.get(task.task_id) == task
