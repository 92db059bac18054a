from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingestion_pipeline.indexing import IndexedVersion
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import Document, DocumentState
from ingestion_pipeline.model.tasks import Backend, Priority, TaskState
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.registry.schema import claims
from ingestion_pipeline.tasks.doubts import Repair, repair, settle_doubts
from ingestion_pipeline.tasks.inspection import compare_index_with_registry
from ingestion_pipeline.tasks.submission import submit, submit_deletion
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import POISON, FakeServices

WriteFile = Callable[[str, str], Path]


class Desk:
    """A collection whose runs can be killed where index and registry come apart."""

    def __init__(self, services: FakeServices, collection: Collection, write: WriteFile) -> None:
        self.services = services
        self.collection = collection
        self.write = write

    def submit(self, name: str, text: str) -> str:
        path = self.write(name, text)
        return submit(self.services, self.collection, [path], Priority.NORMAL, {}).task_ids[0]

    def run(self) -> None:
        run(self.services, self.collection, WorkRequest("run", Backend.IN_PROCESS))

    def run_until_recording(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Commit to the index and die before the registry hears of it, holding the claim."""

        def die(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(self.services.registry.claims, "record", die)
            patch.setattr(self.services.registry.claims, "release_runs", lambda _: None)
            with pytest.raises(KeyboardInterrupt):
                self.run()

    def texts(self) -> list[str]:
        snapshot = self.services.index(self.collection).snapshot()
        return sorted(hit.text for hit in snapshot.matching("words", 10))

    def document(self, name: str) -> Document:
        found = self.services.registry.documents.find(self.collection.key)
        return next(document for document in found if document.name == name)

    def differences(self) -> tuple[str, ...]:
        return compare_index_with_registry(self.services, self.collection.key).differences


@pytest.fixture
def desk(services: FakeServices, collection: Collection, write: WriteFile) -> Desk:
    return Desk(services, collection, write)


@pytest.mark.parametrize(
    ("there", "recorded", "wanted", "expected"),
    [
        ([], None, "v1", "agreeing"),
        ([("v1", 2)], ("v1", 2), "v1", "agreeing"),
        ([("v1", 2)], ("v1", 2), "v2", "agreeing"),
        ([], ("v1", 0), "v1", "agreeing"),
        ([("v1", 2)], None, "v1", "remove"),
        ([], ("v1", 2), "v1", "republish"),
        ([], ("v1", 2), "v2", "republish"),
        ([("v2", 2)], ("v1", 2), "v1", "republish"),
        ([("v1", 1)], ("v1", 2), "v1", "republish"),
        ([("v1", 2), ("v2", 2)], ("v1", 2), "v2", "republish"),
        ([("v2", 2)], ("v1", 2), "v3", "adopt"),
        ([("v2", 2)], ("v1", 2), "v2", "adopt"),
    ],
)
def test_what_is_done_follows_from_what_is_there_what_was_recorded_and_what_is_wanted(
    there: list[tuple[str, int]], recorded: tuple[str, int] | None, wanted: str, expected: str
) -> None:
    indexed = [IndexedVersion("d", version, 1, chunks) for version, chunks in there]
    found = repair(["d"], indexed, {"d": recorded} if recorded else {}, {"d": wanted})

    what = tuple(indexed) if expected == "adopt" else ("d",)
    nothing: dict[str, Any] = dict.fromkeys(("agreeing", "remove", "adopt", "republish"), ())
    assert found == Repair(**nothing | {expected: what})


def test_a_reader_keeps_some_version_when_what_is_wanted_now_is_broken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.submit("a.txt", "First words.")
    desk.run()
    desk.submit("a.txt", "Second words.")
    desk.run_until_recording(monkeypatch)
    desk.services.registry.claims.give_back_crashed(["run"])
    desk.submit("a.txt", f"Third words are {POISON}.")
    desk.run()
    assert desk.document("a.txt").state is DocumentState.FAILED

    assert settle_doubts(desk.services).adopted == 1
    desk.run()

    assert desk.texts() == ["Second words."]
    assert desk.differences() == ()


def test_a_crash_between_the_commits_is_made_good_by_the_next_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.submit("a.txt", "First words.")
    desk.run_until_recording(monkeypatch)
    assert desk.texts() == ["First words."], "it was committed"
    desk.services.registry.claims.give_back_crashed(["run"])

    assert settle_doubts(desk.services).looked_at == 0, "a run is about to make it good"
    desk.run()

    settled = settle_doubts(desk.services)
    assert (settled.looked_at, settled.removed, settled.to_republish) == (1, 0, 0)
    assert desk.differences() == ()


def test_the_published_version_comes_back_when_an_unrecorded_edit_is_canceled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.submit("a.txt", "First words.")
    desk.run()
    task_id = desk.submit("a.txt", "Second words.")
    desk.run_until_recording(monkeypatch)
    assert desk.texts() == ["Second words."]
    desk.services.registry.tasks.cancel([task_id])
    assert desk.document("a.txt").state is DocumentState.INDEXED

    assert settle_doubts(desk.services).to_republish == 1
    desk.run()

    assert desk.texts() == ["First words."]
    assert settle_doubts(desk.services).to_republish == 0
    assert desk.differences() == ()
    assert desk.services.registry.tasks.get(task_id).state is TaskState.CANCELED


def test_an_unrecorded_first_version_is_removed_when_it_is_canceled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = desk.submit("a.txt", "First words.")
    desk.run_until_recording(monkeypatch)
    desk.services.registry.tasks.cancel([task_id])

    assert settle_doubts(desk.services).removed == 1

    assert desk.texts() == []
    assert desk.differences() == ()


def test_what_a_publisher_commits_after_it_was_declared_dead_is_found_and_repaired(
    desk: Desk,
) -> None:
    """It was stopped between its last check and its commit; a successor published meanwhile."""
    services, collection = desk.services, desk.collection
    desk.submit("a.txt", "First words.")
    desk.run()
    index = services.index(collection)
    publish = type(index).publish
    late: list[tuple[object, ...]] = []

    def stopped_after_announcing(
        self: object, documents: object, *args: object, **kw: object
    ) -> int:
        announce = kw["before_commit"]
        assert callable(announce)
        announce()
        late.append((self, documents))
        raise KeyboardInterrupt

    desk.submit("a.txt", "Second words.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(index), "publish", stopped_after_announcing)
        with pytest.raises(KeyboardInterrupt):
            desk.run()
    desk.submit("a.txt", "Third words.")
    desk.run()
    settle_doubts(services)
    (zombie, documents), *_ = late
    publish(zombie, documents)  # type: ignore[arg-type]
    assert desk.texts() == ["Second words."], "the late commit came through"

    assert settle_doubts(services).to_republish == 1
    desk.run()

    assert desk.texts() == ["Third words."]
    assert desk.differences() == ()


def test_a_deleted_document_is_invisible_at_once(desk: Desk) -> None:
    desk.submit("a.txt", "First words.")
    desk.submit("b.txt", "Other words.")
    desk.run()

    task_id = submit_deletion(
        desk.services, desk.collection, [desk.document("a.txt").document_id], purge=False
    )

    assert desk.texts() == ["Other words."]
    assert desk.services.registry.tasks.get(task_id).state is TaskState.SUCCEEDED
    assert desk.differences() == ()


def test_deleting_while_it_is_being_ingested_ends_in_deleted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deletion comes between the commit to the index and its recording."""
    services = desk.services
    ingest = desk.submit("a.txt", "First words.")
    document_id = desk.document("a.txt").document_id
    record = services.registry.claims.record

    def delete_first(*args: object, **kw: object) -> object:
        submit_deletion(services, desk.collection, [document_id], purge=False)
        return record(*args, **kw)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(services.registry.claims, "record", delete_first)
        desk.run()

    assert desk.texts() == []
    assert services.registry.tasks.get(ingest).state is TaskState.CANCELED
    assert services.registry.documents.find(desk.collection.key) == []
    assert desk.differences() == ()


def test_a_document_that_is_submitted_again_while_it_is_removed_comes_back(desk: Desk) -> None:
    desk.submit("a.txt", "First words.")
    desk.run()
    document_id = desk.document("a.txt").document_id

    submit_deletion(desk.services, desk.collection, [document_id], purge=True)
    desk.submit("a.txt", "First words.")
    desk.run()

    assert desk.texts() == ["First words."]
    assert desk.document("a.txt").state is DocumentState.INDEXED
    assert desk.differences() == ()


def test_a_commit_that_comes_during_the_comparison_stays_in_doubt(desk: Desk) -> None:
    """Its publisher was declared dead and canceled; it commits after the look at the index."""
    services = desk.services
    index = services.index(desk.collection)
    publish, record = type(index).publish, services.registry.claims.record
    settle = services.registry.publications.settle
    late: list[tuple[object, object]] = []
    task_id = desk.submit("a.txt", "First words.")

    def stopped_after_announcing(self: object, documents: object, *_: object, **kw: object) -> int:
        announce = kw["before_commit"]
        assert callable(announce)
        announce()
        late.append((self, documents))
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(index), "publish", stopped_after_announcing)
        patch.setattr(services.registry.claims, "release_runs", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            desk.run()
    (claim_id,) = held_claims(services)
    services.registry.tasks.cancel([task_id])

    def settle_late(*args: object, **kw: object) -> None:
        (zombie, documents), *_ = late
        publish(zombie, documents)  # type: ignore[arg-type]
        record(Claim(claim_id, desk.collection.key, "run", ()), [], input_timeout_seconds=1)
        settle(*args, **kw)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services.registry.publications, "settle", settle_late)
        settle_doubts(services)
    assert desk.texts() == ["First words."], "the late commit came through"

    assert settle_doubts(services).removed == 1
    assert desk.texts() == []
    assert desk.differences() == ()


def held_claims(services: FakeServices) -> list[int]:
    with services.registry.database.read() as connection:
        return list(connection.scalars(sa.select(claims.c.claim_id)))
