from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing.transfer import PinnedTable, holds_tables
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import STAGES, DocumentState, Stage
from ingestion_pipeline.model.search import SearchMode
from ingestion_pipeline.model.tasks import Backend, Priority, TaskState
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.registry.claims import Wanted
from ingestion_pipeline.registry.schema import tasks
from ingestion_pipeline.registry.transfer import snapshot
from ingestion_pipeline.retrieval import search
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.storage import ObjectStore, open_store
from ingestion_pipeline.tasks import backup as backup_module
from ingestion_pipeline.tasks import inspection
from ingestion_pipeline.tasks.backup import back_up
from ingestion_pipeline.tasks.backup_format import MANIFEST, Manifest
from ingestion_pipeline.tasks.doubts import settle_doubts
from ingestion_pipeline.tasks.restore import Restored, restore
from ingestion_pipeline.tasks.submission import submit, submit_deletion
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.servers import new_database

WORDS = ["harbour", "pilot", "tide", "buoy", "lantern", "anchor", "signal", "mast"]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "SETTLE_SECONDS", 0)


@pytest.fixture
def backup(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path / "backup"))


@pytest.fixture
def elsewhere(tmp_path: Path, redis_url: str, parsers: ParserPool) -> Iterator[FakeServices]:
    """Services on an empty state."""
    settings = Settings(state_dir=tmp_path / "elsewhere", redis_url=redis_url)
    with closing(FakeServices(settings, parsers)) as opened:
        yield opened


class Shelf:
    """A collection of short documents."""

    def __init__(
        self, services: FakeServices, collection: Collection, write: Callable[[str, str], Path]
    ) -> None:
        self.services = services
        self.collection = collection
        self.write = write

    def submit(self, name: str, text: str) -> str:
        path = self.write(name, text)
        made = submit(self.services, self.collection, [path], Priority.NORMAL, {})
        (task_id,) = made.task_ids
        return task_id

    def run(self) -> None:
        run(self.services, self.collection, WorkRequest("run", Backend.IN_PROCESS))

    def fill(self, documents: int = 6) -> None:
        for number in range(documents):
            word = WORDS[number % len(WORDS)]
            self.submit(f"{number}.txt", f"The {word} number {number} is described here.")
        self.run()

    def id_of(self, name: str) -> str:
        found = self.services.registry.documents.find(self.collection.key)
        return next(document.document_id for document in found if document.name == name)


@pytest.fixture
def shelf(
    services: FakeServices, collection: Collection, write: Callable[[str, str], Path]
) -> Shelf:
    return Shelf(services, collection, write)


def taken(services: FakeServices, backup: ObjectStore) -> Manifest:
    return back_up(services, backup, _silent)


def restored(services: FakeServices, backup: ObjectStore) -> Restored:
    return restore(services, backup, _silent)


def answers(services: FakeServices, mode: SearchMode) -> list[list[tuple[str, float]]]:
    collection = services.registry.collections.get("docs")
    index, embedder = services.index(collection), services.embedder(collection)
    return [
        [(hit.chunk_id, round(hit.score, 6)) for hit in search(index, embedder, word, mode)]
        for word in WORDS
    ]


def documents_of(services: FakeServices) -> list[tuple[str, DocumentState, dict[Stage, str]]]:
    found = services.registry.documents.find("docs")
    return [(each.document_id, each.state, each.stages) for each in found]


def keys_of(backup: ObjectStore, prefix: str = "") -> list[str]:
    return [key for key in list(backup.keys()) if key.startswith(prefix)]


def damage(backup: ObjectStore, key: str) -> None:
    data = bytearray(backup.get(key))
    data[len(data) // 2] ^= 0xFF
    backup.put(key, bytes(data))


def _silent(_: str) -> None:
    """Say nothing."""


def test_a_restored_state_gives_the_same_answers(
    shelf: Shelf, backup: ObjectStore, elsewhere: FakeServices
) -> None:
    shelf.fill()
    described = taken(shelf.services, backup)

    made = restored(elsewhere, backup)

    assert (described.documents, described.tasks, described.missing) == (6, 6, ())
    assert (made.manifest, made.differences, made.waiting) == (described, 0, 0)
    assert documents_of(elsewhere) == documents_of(shelf.services)
    for mode in (SearchMode.TEXT, SearchMode.VECTOR, SearchMode.HYBRID):
        assert answers(elsewhere, mode) == answers(shelf.services, mode)
    collection = elsewhere.registry.collections.get("docs")
    assert elsewhere.index(collection).maintain().unindexed_rows == 0


def test_work_goes_on_in_a_restored_state_where_nothing_is_computed_twice(
    shelf: Shelf, backup: ObjectStore, elsewhere: FakeServices
) -> None:
    shelf.fill()
    taken(shelf.services, backup)
    restored(elsewhere, backup)
    there = Shelf(elsewhere, shelf.collection, shelf.write)

    there.submit("new.txt", "A foghorn is new.")
    there.submit("0.txt", "The harbour number 0 is described here.")
    there.run()

    embedder = elsewhere.embedders["fake"]
    assert [text for text in embedder.encoded if "number" in text] == []
    assert {state for _, state, _ in documents_of(elsewhere)} == {DocumentState.INDEXED}
    assert len(documents_of(elsewhere)) == 7
    assert inspection.compare_index_with_registry(elsewhere, "docs").differences == ()


def test_only_what_the_registry_refers_to_is_copied(shelf: Shelf, backup: ObjectStore) -> None:
    shelf.fill(1)
    services, name = shelf.services, shelf.collection.name
    nobodys, _ = services.objects.put(name, b"nobody's")
    services.artifacts.put(name, "unknown", Stage.PARSED, "1" * 64, b"nobody's")
    services.artifacts.put(name, shelf.id_of("0.txt"), Stage.PARSED, "2" * 64, b"superseded")

    taken(services, backup)

    stored = {key.removeprefix("storage/") for key in backup.keys("storage")}
    (document,) = services.registry.documents.find("docs")
    everything = set(services.store.keys())
    assert nobodys in everything
    assert nobodys not in stored
    assert document.object_key in stored
    assert not any("1" * 64 in key or "2" * 64 in key or "unknown" in key for key in stored)
    assert len(everything - stored) == 3
    registry = {key.split("/")[1] for key in backup.keys("registry")}
    assert "runs" not in registry


def test_what_is_published_after_the_registry_was_read_is_published_again(
    shelf: Shelf, backup: ObjectStore, elsewhere: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.fill(3)
    shelf.submit("0.txt", "The lighthouse has taken the place of the harbour.")
    shelf.submit("late.txt", "The late one.")
    gone = shelf.id_of("1.txt")
    pin = backup_module.pinned

    def later(uri: str, names: list[str]) -> AbstractContextManager[list[PinnedTable]]:
        submit_deletion(shelf.services, shelf.collection, [gone], purge=False)
        shelf.run()
        settle_doubts(shelf.services)
        return pin(uri, names)

    monkeypatch.setattr(backup_module, "pinned", later)
    taken(shelf.services, backup)

    made = restored(elsewhere, backup)
    there = Shelf(elsewhere, shelf.collection, shelf.write)
    before = inspection.compare_index_with_registry(elsewhere, "docs").differing
    there.run()
    settle_doubts(elsewhere)
    there.run()

    assert made.differences == 3
    assert made.waiting == 3
    assert set(before) <= {there.id_of(name) for name in ("0.txt", "1.txt", "late.txt")}
    assert inspection.compare_index_with_registry(elsewhere, "docs").differences == ()
    assert {state for _, state, _ in documents_of(elsewhere)} == {DocumentState.INDEXED}
    assert len(documents_of(elsewhere)) == 4
    states = elsewhere.registry.tasks.find()
    assert {task.state for task in states} == {TaskState.SUCCEEDED}


def test_a_backup_under_load_becomes_a_state_in_which_index_and_registry_agree(
    shelf: Shelf, backup: ObjectStore, elsewhere: FakeServices
) -> None:
    shelf.fill(3)
    stop = threading.Event()
    numbers = iter(range(1000))

    def load() -> None:
        while not stop.is_set():
            number = next(numbers)
            shelf.submit(f"{number % 9}.txt", f"The {WORDS[number % 8]} is now number {number}.")
            if number % 3 == 0:
                shelf.run()

    with ThreadPoolExecutor(1) as threads:
        loading = threads.submit(load)
        try:
            described = taken(shelf.services, backup)
        finally:
            stop.set()
            loading.result()
    restored(elsewhere, backup)
    there = Shelf(elsewhere, shelf.collection, shelf.write)
    there.run()
    settle_doubts(elsewhere)
    there.run()

    assert described.missing == ()
    assert inspection.compare_index_with_registry(elsewhere, "docs").differences == ()
    assert len(documents_of(elsewhere)) == described.documents
    assert {state for _, state, _ in documents_of(elsewhere)} == {DocumentState.INDEXED}
    assert all(task.state.final for task in elsewhere.registry.tasks.find())


def test_what_a_run_had_in_work_is_taken_up_again_under_newer_tokens(
    shelf: Shelf, backup: ObjectStore, elsewhere: FakeServices
) -> None:
    task_id = shelf.submit("a.txt", "A signal.")
    services = shelf.services
    claim, _ = services.registry.claims.take(
        "docs",
        Wanted(services.recipes(shelf.collection), STAGES, whole=True),
        run_id="elsewhere",
        backend=Backend.DAGSTER,
        lease_seconds=1e6,
        max_documents=8,
        max_bytes=10**9,
        task_timeout_seconds=10,
    )
    assert claim is not None
    services.registry.runs.begin("elsewhere", "docs", "host:1:1", 1e6)
    with services.registry.database.write() as connection:
        connection.execute(tasks.update().values(deadline=tasks.c.deadline - 3600))
    described = taken(services, backup)
    backup.put(MANIFEST, _aged(described, 7200))

    restored(elsewhere, backup)

    assert elsewhere.registry.runs.find() == []
    (task,) = elsewhere.registry.tasks.find(task_ids=[task_id])
    assert task.deadline is not None
    assert task.deadline == pytest.approx(time.time() + 10 - 3600 + 7200, abs=60)
    Shelf(elsewhere, shelf.collection, shelf.write).run()
    (task,) = elsewhere.registry.tasks.find(task_ids=[task_id])
    assert task.state is TaskState.SUCCEEDED
    with elsewhere.registry.database.read() as connection:
        newest = connection.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'claims'"))
    assert newest == claim.claim_id + 1


def _aged(manifest: Manifest, seconds: float) -> bytes:
    return (
        manifest.model_copy(update={"taken_at": manifest.taken_at - seconds})
        .model_dump_json()
        .encode()
    )


def test_bytes_that_are_removed_meanwhile_have_a_later_moment_copied(
    shelf: Shelf, backup: ObjectStore, elsewhere: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.fill(3)
    gone = shelf.id_of("1.txt")
    copy = backup_module._copy

    def purge_first(*arguments: Any) -> list[str]:
        monkeypatch.setattr(backup_module, "_copy", copy)
        submit_deletion(shelf.services, shelf.collection, [gone], purge=True)
        assert len(documents_of(shelf.services)) == 2
        return copy(*arguments)

    monkeypatch.setattr(backup_module, "_copy", purge_first)
    described = taken(shelf.services, backup)

    assert (described.documents, described.missing) == (2, ())
    assert restored(elsewhere, backup).differences == 0
    assert not any(gone in key for key in keys_of(backup))


def test_source_bytes_that_are_missing_or_damaged_are_named(
    shelf: Shelf, backup: ObjectStore
) -> None:
    shelf.fill(3)
    keys = [str(each.object_key) for each in shelf.services.registry.documents.find("docs")]
    shelf.services.store.delete(keys[0])
    shelf.services.store.put(keys[1], b"something else")

    described = taken(shelf.services, backup)

    assert set(described.missing) == set(keys[:2])
    assert f"storage/{keys[1]}" not in set(backup.keys())


@pytest.mark.parametrize(
    "part",
    ["manifest.json", "files.jsonl.gz", "registry/tasks/", "lancedb/", "storage/objects/"],
)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    shelf: Shelf, backup: ObjectStore, elsewhere: FakeServices, part: str
) -> None:
    shelf.fill(2)
    taken(shelf.services, backup)
    damage(backup, keys_of(backup, part)[0])

    with pytest.raises(PermanentError, match="damaged") as caught:
        restored(elsewhere, backup)

    assert caught.value.kind is ErrorKind.BROKEN
    assert list(elsewhere.store.keys()) == []
    assert not holds_tables(elsewhere.settings.lancedb_address)
    assert elsewhere.registry.collections.all() == []


@pytest.mark.parametrize("part", ["registry/tasks/", "lancedb/", "storage/objects/"])
def test_a_backup_of_which_a_file_is_missing_is_refused(
    shelf: Shelf, backup: ObjectStore, elsewhere: FakeServices, part: str
) -> None:
    shelf.fill(1)
    taken(shelf.services, backup)
    backup.delete(keys_of(backup, part)[0])

    with pytest.raises(PermanentError, match=f"damaged.*{part}.* is missing"):
        restored(elsewhere, backup)


def test_an_unfinished_backup_is_none(
    shelf: Shelf, backup: ObjectStore, elsewhere: FakeServices
) -> None:
    shelf.fill(1)
    taken(shelf.services, backup)
    backup.delete(MANIFEST)

    with pytest.raises(PermanentError) as caught:
        restored(elsewhere, backup)
    assert caught.value.kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"schema_revision": "9999"}, ErrorKind.UNAVAILABLE),
        ({"format": 99}, ErrorKind.UNSUPPORTED),
    ],
)
def test_a_backup_of_a_newer_program_is_refused(
    shelf: Shelf,
    backup: ObjectStore,
    elsewhere: FakeServices,
    change: dict[str, Any],
    kind: ErrorKind,
) -> None:
    described = taken(shelf.services, backup)
    backup.put(MANIFEST, described.model_copy(update=change).model_dump_json().encode())

    with pytest.raises(PermanentError) as caught:
        restored(elsewhere, backup)
    assert caught.value.kind is kind


def test_a_backup_goes_to_an_empty_place_only(shelf: Shelf, backup: ObjectStore) -> None:
    taken(shelf.services, backup)

    with pytest.raises(PermanentError, match="empty"):
        taken(shelf.services, backup)


def test_a_state_that_holds_anything_is_not_restored_into(
    shelf: Shelf, backup: ObjectStore
) -> None:
    shelf.fill(1)
    taken(shelf.services, backup)
    before = documents_of(shelf.services)

    with pytest.raises(PermanentError, match=r"registry, the storage .*, LanceDB .* holds") as held:
        restored(shelf.services, backup)

    assert held.value.kind is ErrorKind.INVALID_OPTION
    assert documents_of(shelf.services) == before


def test_a_backup_of_sqlite_is_restored_to_postgresql_from_a_bucket(
    shelf: Shelf,
    real_bucket: str,
    postgres_url: str,
    tmp_path: Path,
    parsers: ParserPool,
) -> None:
    shelf.fill()
    backup = open_store(f"s3://{real_bucket}/nightly")
    taken(shelf.services, backup)
    settings = Settings(
        state_dir=tmp_path / "elsewhere",
        redis_url=shelf.services.settings.redis_url,
        database_url=new_database(postgres_url),
    )
    with closing(FakeServices(settings, parsers)) as elsewhere:
        assert restored(elsewhere, backup).differences == 0
        again = open_store(f"s3://{real_bucket}/again")
        assert taken(elsewhere, again).last_claim == taken_claim(shelf.services)
        Shelf(elsewhere, shelf.collection, shelf.write).fill(1)

        assert documents_of(elsewhere) == documents_of(shelf.services)
        assert answers(elsewhere, SearchMode.TEXT) == answers(shelf.services, SearchMode.TEXT)


def taken_claim(services: FakeServices) -> int:
    with snapshot(services.registry.database) as registry:
        return registry.last_claim
