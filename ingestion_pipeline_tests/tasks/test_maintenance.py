from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import STAGES, Document, Stage
from ingestion_pipeline.model.tasks import Backend, Priority
from ingestion_pipeline.registry.claims import Wanted
from ingestion_pipeline.registry.schema import claims, document_versions, documents
from ingestion_pipeline.tasks import deletion, inspection
from ingestion_pipeline.tasks.deletion import delete_collection, deleted_collections
from ingestion_pipeline.tasks.doubts import settle_doubts
from ingestion_pipeline.tasks.inspection import compare_index_with_registry
from ingestion_pipeline.tasks.maintenance import (
    BYTES_GRACE_SECONDS,
    GRACE_SECONDS,
    Purged,
    Value,
    compact_collection,
    drop_deleted,
    purge_collection,
    report_of_each,
    sweep_collection,
    sweep_deleted,
)
from ingestion_pipeline.tasks.services import ANSWERS_OF_BUILDS, Services
from ingestion_pipeline.tasks.submission import submit, submit_deletion
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.indexing.samples import document as sample

WriteFile = Callable[[str, str], Path]
CANARY = "zqxcanaryvv"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "SETTLE_SECONDS", 0)


@dataclass(frozen=True)
class Maintained:
    """What all parts together did."""

    documents_purged: int = 0
    differences: int = 0
    artifacts_removed: int = 0
    versions_forgotten: int = 0
    objects_removed: int = 0
    index_rows: int = 0


class Desk:
    """A collection, and a clock that can be put on."""

    def __init__(self, services: FakeServices, collection: Collection, write: WriteFile) -> None:
        self.services = services
        self.collection = collection
        self.write = write

    def submit(self, name: str, text: str) -> None:
        submit(self.services, self.collection, [self.write(name, text)], Priority.NORMAL, {})

    def run(self) -> None:
        run(self.services, self.collection, WorkRequest("run", Backend.IN_PROCESS))

    def delete(self, name: str) -> None:
        ids = [self.document(name).document_id]
        submit_deletion(self.services, self.collection, ids, purge=False)

    def document(self, name: str) -> Document:
        found = self.services.registry.documents.find(self.collection.key)
        return next(document for document in found if document.name == name)

    def later(self, seconds: float = BYTES_GRACE_SECONDS + 60) -> None:
        """Let everything that was stored or recorded be so much older."""
        for path in Path(self.services.settings.state).rglob("*"):
            if path.is_file() and path.suffix != ".db":
                old = path.stat().st_mtime - seconds
                os.utime(path, (old, old))
        with self.services.registry.database.write() as connection:
            for column in (
                documents.c.updated_at,
                document_versions.c.created_at,
                claims.c.created_at,
            ):
                changes = {column.name: column - seconds}
                connection.execute(sa.update(column.table).values(changes))

    def keep_versions(self, hours: float) -> None:
        changes = {"index_versions_hours": hours}
        self.services.settings = self.services.settings.model_copy(update=changes)

    def contents(self) -> dict[str, int | None]:
        store = self.services.store
        return {key: store.size(key) for key in list(store.keys())}

    def maintain(self, *, dry_run: bool = False) -> Maintained:
        key = self.collection.key
        purged = purge_collection(self.services, key, dry_run)
        swept = sweep_collection(self.services, key, dry_run)
        compacted = compact_collection(self.services, key, dry_run)
        return Maintained(
            purged.documents_purged,
            purged.differences,
            swept.artifacts_removed,
            swept.versions_forgotten,
            swept.objects_removed,
            compacted.index_rows,
        )

    def traces(self) -> list[Path]:
        """The files of stores and index that hold the canary."""
        state = Path(self.services.settings.state)
        files = [path for path in state.rglob("*") if path.is_file() and path.suffix != ".log"]
        stored = [path for path in files if "registry" not in path.name]
        return [path for path in stored if CANARY.encode() in path.read_bytes()]

    @property
    def index(self) -> CollectionIndex:
        return self.services.index(self.collection)

    def visible(self) -> set[str]:
        return {each.document_id for each in self.index.snapshot().document_versions()}

    def objects(self) -> set[str]:
        name = self.collection.name
        return set(self.services.store.keys(f"objects/{name.tenant}/{name.name}"))


@pytest.fixture
def desk(services: FakeServices, collection: Collection, write: WriteFile) -> Desk:
    return Desk(services, collection, write)


def test_of_a_deleted_document_nothing_is_left_when_its_grace_is_over(desk: Desk) -> None:
    desk.submit("gone.txt", f"{CANARY} words.")
    desk.submit("kept.txt", "Other words.")
    desk.run()
    kept = desk.document("kept.txt")
    desk.delete("gone.txt")

    assert desk.maintain().documents_purged == 0
    assert desk.traces()
    desk.later(GRACE_SECONDS + 60)
    assert desk.maintain().documents_purged == 1

    assert desk.traces() == []
    assert desk.visible() == {kept.document_id}
    assert desk.objects() == {kept.object_key}
    assert len(desk.services.registry.upkeep.fingerprints("docs")) == 1


def test_what_is_current_or_published_stays_and_what_is_neither_goes(desk: Desk) -> None:
    for text in ("First words.", "Second words."):
        desk.submit("a.txt", text)
        desk.run()
    published = desk.document("a.txt").object_key
    desk.submit("a.txt", "Third words.")
    current = desk.document("a.txt").object_key
    assert len(desk.objects()) == 3

    desk.later()
    done = desk.maintain()

    assert (done.versions_forgotten, done.objects_removed) == (1, 1)
    assert desk.objects() == {published, current}
    desk.run()
    assert compare_index_with_registry(desk.services, "docs").differences == ()


def test_results_that_no_stage_names_go_and_those_that_are_named_are_used_again(
    desk: Desk,
) -> None:
    services, name = desk.services, desk.collection.name
    desk.submit("a.txt", "First words.")
    desk.run()
    document = desk.document("a.txt")
    services.artifacts.put(name, document.document_id, Stage.PARSED, "0" * 64, b"superseded")
    services.artifacts.put(name, "unknown", Stage.PARSED, "1" * 64, b"nobody's")
    desk.later()
    services.artifacts.put(name, document.document_id, Stage.PARSED, "2" * 64, b"young")
    services.artifacts.put(name, "unknown", Stage.PARSED, "3" * 64, b"young")

    assert desk.maintain().artifacts_removed == 2

    get = services.artifacts.get
    assert get(name, document.document_id, Stage.PARSED, "0" * 64) is None
    assert get(name, document.document_id, Stage.PARSED, "2" * 64) == b"young"
    assert get(name, "unknown", Stage.PARSED, "1" * 64) is None
    assert get(name, "unknown", Stage.PARSED, "3" * 64) == b"young"
    parsed = document.stages[Stage.PARSED]
    assert services.artifacts.get_parsed(name, document.document_id, parsed) is not None


def test_bytes_that_are_not_recorded_yet_stay_until_their_grace_is_over(desk: Desk) -> None:
    desk.services.objects.put(desk.collection.name, b"about to be recorded")

    desk.later(GRACE_SECONDS + 60)
    assert desk.maintain().objects_removed == 0
    desk.later()
    assert desk.maintain().objects_removed == 1
    assert desk.objects() == set()


def test_what_a_run_in_flight_has_made_stays_however_long_it_works(desk: Desk) -> None:
    services, name = desk.services, desk.collection.name
    desk.submit("a.txt", "First words.")
    claim, _ = services.registry.claims.take(
        "docs",
        Wanted(services.recipes(desk.collection), STAGES, whole=True),
        run_id="long",
        backend=Backend.IN_PROCESS,
        lease_seconds=1e6,
        max_documents=8,
        max_bytes=10**9,
        task_timeout_seconds=1e6,
    )
    assert claim is not None
    fetched, _ = services.objects.put(name, b"fetched by the run")
    (document,) = claim.documents
    services.artifacts.put(name, document.document_id, Stage.PARSED, "0" * 64, b"made by it")
    desk.later()

    done = desk.maintain()

    assert (done.artifacts_removed, done.objects_removed, done.versions_forgotten) == (0, 0, 0)
    assert fetched in desk.objects()


def test_other_collections_and_tenants_keep_everything(desk: Desk) -> None:
    services = desk.services
    others = [CollectionName("default", "docs2"), CollectionName("acme", "docs")]
    for name in others:
        services.registry.collections.ensure(name)
        services.objects.put(name, b"nobody's")
        services.artifacts.put(name, "unknown", Stage.PARSED, "0" * 64, b"nobody's")
    desk.later()

    desk.maintain()

    for name in others:
        assert len(services.objects.sweep(name, (), dry_run=True)) == 1
        assert list(services.artifacts.document_ids(name)) == ["unknown"]


def test_what_differs_is_repaired_by_reconciliation(desk: Desk) -> None:
    desk.submit("a.txt", "First words.")
    desk.submit("b.txt", "Other words.")
    desk.run()
    missing = desk.document("a.txt").document_id
    desk.index.publish([], removed=[missing])

    assert desk.maintain().differences == 1
    assert settle_doubts(desk.services).to_republish == 1
    desk.run()

    assert desk.maintain().differences == 0
    assert missing in desk.visible()


def test_rows_of_a_document_that_the_registry_forgot_are_purged(desk: Desk) -> None:
    desk.submit("a.txt", "First words.")
    desk.run()
    vectors = sample("stray", f"{CANARY} words.").vectors
    stray = replace(sample("stray", f"{CANARY} words."), vectors=vectors.repeat(8, 1)[:, :8])
    desk.index.publish([stray])
    assert "stray" in desk.visible()

    desk.maintain()

    assert desk.visible() == {desk.document("a.txt").document_id}
    assert desk.traces() == []
    assert list(desk.services.registry.publications.doubtful_collections()) == []


def leave_work(desk: Desk) -> None:
    """Leave a version that was replaced and a document that was deleted, long ago."""
    for text in ("First words.", "Second words."):
        desk.submit("a.txt", text)
        desk.run()
    desk.submit("b.txt", "Other words.")
    desk.run()
    desk.delete("b.txt")
    desk.later()


def test_doing_it_again_finds_nothing_to_do(desk: Desk) -> None:
    leave_work(desk)
    first = desk.maintain()
    assert first.documents_purged == first.versions_forgotten == 1

    second = desk.maintain()

    assert second == replace(
        first,
        documents_purged=0,
        artifacts_removed=0,
        versions_forgotten=0,
        objects_removed=0,
    )
    assert compare_index_with_registry(desk.services, "docs").differences == ()


@pytest.mark.parametrize(
    "part", ["artifacts.sweep_document", "objects.sweep", "upkeep.object_keys"]
)
def test_what_was_interrupted_is_done_the_next_time(
    desk: Desk, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_work(desk)
    owner, _, name = part.rpartition(".")
    target = getattr(desk.services.registry if owner == "upkeep" else desk.services, owner)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(target, name, die)
        with pytest.raises(KeyboardInterrupt):
            desk.maintain()
    desk.maintain()

    assert desk.objects() == {desk.document("a.txt").object_key}
    assert compare_index_with_registry(desk.services, "docs").differences == ()
    assert list(desk.services.artifacts.document_ids(desk.collection.name)) == [
        desk.document("a.txt").document_id
    ]


def test_a_collection_that_cannot_be_maintained_keeps_no_other_back(desk: Desk) -> None:
    for name in ("a", "b", "c"):
        desk.services.registry.collections.ensure(CollectionName("default", name))
    errors = {"a": TransientError(ErrorKind.UNAVAILABLE, "it is busy"), "b": ValueError(CANARY)}

    def one(_: Services, key: str, dry_run: bool) -> Purged:
        if key in errors:
            raise errors[key]
        return Purged(documents_purged=2, differences=1)

    report = report_of_each(desk.services, one, False)

    assert report.problems == ["a: it is busy", "b: unexpected: ValueError"]
    assert [row["collection"] for row in report.rows] == ["c", "docs"]
    assert report.figures == {"collections": 2, "documents_purged": 4, "differences": 2}


def test_a_collection_in_which_nothing_was_indexed_is_maintained_too(desk: Desk) -> None:
    assert desk.maintain() == Maintained()


def test_an_unknown_collection_is_an_error(services: FakeServices) -> None:
    with pytest.raises(PermanentError) as caught:
        compact_collection(services, "nowhere")
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_old_versions_of_the_table_go_after_the_time_that_is_set(desk: Desk) -> None:
    desk.keep_versions(hours=1e-6)
    for number in range(3):
        desk.submit("a.txt", f"Words {number} {CANARY}.")
        desk.run()
    desk.submit("a.txt", "Only these.")
    desk.run()
    desk.later()
    time.sleep(0.01)

    desk.maintain()

    table = desk.index._open()
    assert table is not None
    assert len(table.list_versions()) <= 2


def test_a_dry_run_says_what_would_go_and_removes_nothing(desk: Desk) -> None:
    leave_work(desk)
    before = desk.contents()

    would = desk.maintain(dry_run=True)

    assert desk.contents() == before
    assert len(desk.services.registry.upkeep.deleted("docs", 0)) == 1
    assert (would.documents_purged, would.versions_forgotten) == (1, 1)
    assert would.artifacts_removed > 0
    done = desk.maintain()
    assert (done.documents_purged, done.versions_forgotten) == (1, 1)


def test_answers_about_earlier_bytes_go_when_nobody_has_used_them_for_long(desk: Desk) -> None:
    services, name = desk.services, desk.collection.name
    history = services.settings.history_days * 86_400
    desk.submit("a.txt", "First words.")
    desk.submit("b.txt", "Other words.")
    desk.run()
    ids = {each: desk.document(f"{each}.txt").document_id for each in ("a", "b")}
    for document_id in (*ids.values(), ANSWERS_OF_BUILDS):
        services.artifacts.answers(name, document_id).put("key", "paid for")
    desk.later(history + 60)
    desk.submit("a.txt", "Second words.")
    desk.run()

    desk.maintain()

    kept = {
        each: services.artifacts.answers(name, document_id).get("key")
        for each, document_id in (*ids.items(), ("builds", ANSWERS_OF_BUILDS))
    }
    assert kept == {"a": None, "b": "paid for", "builds": None}


def test_tables_beside_the_searched_one_are_compacted_too(desk: Desk) -> None:
    desk.keep_versions(hours=1e-6)
    desk.submit("a.txt", "Words.")
    desk.run()
    services = desk.services
    services.registry.collections.configure("docs", {"embedding_model": "other"})
    desk.submit("b.txt", "More words.")
    desk.run()
    before = desk.index.stored()
    time.sleep(0.01)

    done = compact_collection(services, "docs")

    assert before.tables == 2
    assert done.versions_before == before.versions
    assert done.versions < before.versions


def kill_deletion(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Index a document, draw a map, and kill the collection's deletion when all is left to do."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    desk.submit("a.txt", f"{CANARY} words.")
    desk.run()
    desk.services.artifacts.put_map(desk.collection.name, CANARY.encode())
    with monkeypatch.context() as patch:
        patch.setattr(deletion, "drop_collection", die)
        with pytest.raises(KeyboardInterrupt):
            delete_collection(desk.services, desk.collection.name)


def night(desk: Desk, *, dry_run: bool = False) -> dict[str, Value]:
    """Do for all collections and deleted ones what the parts of the night do."""
    reports = [
        report_of_each(desk.services, purge_collection, dry_run),
        report_of_each(desk.services, sweep_collection, dry_run, sweep_deleted),
        report_of_each(desk.services, compact_collection, dry_run, drop_deleted),
    ]
    assert [problem for report in reports for problem in report.problems] == []
    return {name: value for report in reports for name, value in report.figures.items()}


def tables(desk: Desk) -> list[str]:
    return sorted(path.name for path in Path(desk.services.settings.lancedb_address).iterdir())


def test_what_a_killed_deletion_has_left_goes_when_its_grace_is_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_deletion(desk, monkeypatch)
    left = desk.contents()
    assert len(left) > 4
    assert len(tables(desk)) == 1

    assert night(desk) == {"collections": 0}
    assert desk.contents() == left
    desk.later(GRACE_SECONDS + 60)
    first = night(desk)
    assert (first["tables_dropped"], first["objects_removed"]) == (1, 0)
    assert first["artifacts_removed"] == len(left) - 2, "all but the source bytes and the mark"
    assert tables(desk) == []
    assert len(desk.objects()) == 1
    desk.later()
    second = night(desk)
    assert (second["artifacts_removed"], second["objects_removed"]) == (0, 1)

    assert desk.contents() == {}
    assert desk.traces() == []
    assert night(desk) == {"collections": 0}


def test_a_dry_run_tells_of_what_a_killed_deletion_has_left_and_leaves_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_deletion(desk, monkeypatch)
    desk.later()
    before, names = desk.contents(), tables(desk)

    would = night(desk, dry_run=True)

    assert (desk.contents(), tables(desk)) == (before, names)
    done = night(desk)
    removed = ("tables_dropped", "artifacts_removed", "artifact_bytes_removed", "objects_removed")
    assert {name: would[name] for name in removed} == {name: done[name] for name in removed}
    assert done["bytes_before"] == would["bytes_before"] != done["bytes"] == 0
    assert desk.contents() == {}


@pytest.mark.parametrize("same", [True, False], ids=["the same file again", "another file"])
def test_a_new_collection_of_a_name_whose_deletion_was_killed_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    kill_deletion(desk, monkeypatch)
    desk.later()
    desk.services.registry.collections.ensure(desk.collection.name)
    name = "a.txt" if same else "b.txt"
    desk.submit(name, f"{CANARY} words." if same else "Other words.")
    desk.run()
    desk.later()

    for _ in range(2):
        night(desk)

    document = desk.document(name)
    assert desk.visible() == {document.document_id}
    assert desk.objects() == {document.object_key}
    assert compare_index_with_registry(desk.services, "docs").differences == ()
    parsed = desk.services.artifacts.get_parsed(
        desk.collection.name, document.document_id, document.stages[Stage.PARSED]
    )
    assert parsed is not None
    assert deleted_collections(desk.services, 0) == []
    if not same:
        desk.services.artifacts.delete_map(desk.collection.name)  # drawn anew by the next build
        assert desk.traces() == []


def test_what_is_left_is_removed_of_deleted_collections_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry may be new, or not the right one: what it does not know keeps everything."""
    services = desk.services
    others = [CollectionName("default", "docs2"), CollectionName("acme", "docs")]
    for name in others:
        services.objects.put(name, b"of somebody")
        services.artifacts.put(name, "unknown", Stage.PARSED, "0" * 64, b"of somebody")
        services.artifacts.put_map(name, b"of somebody")
        index = CollectionIndex(services.settings.lancedb_address, name.table, "fake")
        index.publish([sample("one", "Words of somebody.")])
    of_others = desk.contents()
    kill_deletion(desk, monkeypatch)
    desk.later()

    night(desk)

    assert desk.contents() == of_others
    assert [name.partition(".G")[0] for name in tables(desk)] == ["_4_acme_docs", "docs2"]


def test_what_is_stored_after_a_deletion_is_found_by_the_night(desk: Desk) -> None:
    desk.submit("a.txt", "Some words.")
    desk.run()
    delete_collection(desk.services, desk.collection.name)
    desk.services.artifacts.put(desk.collection.name, "late", Stage.PARSED, "0" * 64, b"late")
    desk.later()

    assert night(desk)["artifacts_removed"] == 1

    assert desk.contents() == {}
