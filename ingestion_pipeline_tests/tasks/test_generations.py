"""Changing the embedding model of a collection while it is searched."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing import CollectionIndex, SummaryIndex
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import Document, DocumentState
from ingestion_pipeline.model.search import SearchMode
from ingestion_pipeline.model.tasks import Backend, Priority, ReindexOnly, TaskState, TaskType
from ingestion_pipeline.retrieval import search
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks import generations
from ingestion_pipeline.tasks.builds import BuildRequest, build
from ingestion_pipeline.tasks.doubts import settle_doubts
from ingestion_pipeline.tasks.inspection import compare_index_with_registry
from ingestion_pipeline.tasks.staleness import stale_collections
from ingestion_pipeline.tasks.submission import (
    submit,
    submit_build,
    submit_deletion,
    submit_reindex,
)
from ingestion_pipeline.tasks.work import WorkReport, WorkRequest, run
from ingestion_pipeline_tests.fakes import POISON, FakeEmbedder, FakeServices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingestion_pipeline.control import Control

NEW = "new model"
NOISE = "noise"


class OtherEmbedder(FakeEmbedder):
    """A model of another dimension."""

    dimension = 6


class NoiseEmbedder(OtherEmbedder):
    """A model that says something else of a text each time."""

    def encode(self, texts: Sequence[str], control: Control) -> NDArray[np.float32]:
        self.told = getattr(self, "told", 0) + 1
        return super().encode([f"{self.told} {text}" for text in texts], control)


class Desk:
    """One collection: submit to it, change its model, have it worked on, search it."""

    def __init__(self, services: FakeServices, write: Callable[..., Path]) -> None:
        self.services = services
        self.write = write

    @property
    def collection(self) -> Collection:
        return self.services.registry.collections.get("docs")

    def submit(self, *names: str, **contents: str) -> None:
        paths = [self.write(name, contents.get(name[0], f"About {name}.")) for name in names]
        submit(self.services, self.collection, paths, Priority.NORMAL, {})

    def delete(self, name: str) -> None:
        submit_deletion(
            self.services, self.collection, [self.documents()[name].document_id], purge=False
        )

    def run(self, **request: Any) -> WorkReport:
        asked = WorkRequest("run", Backend.IN_PROCESS, **request)
        return run(self.services, self.collection, asked)

    def change(self, model: str) -> None:
        generations.configure(self.services, "docs", {"embedding_model": model})

    def reindex(self) -> WorkReport:
        return self.run(only=ReindexOnly.STALE)

    def documents(self) -> dict[str, Document]:
        return {each.name: each for each in self.services.registry.documents.find("docs")}

    def find(self, question: str = "About") -> dict[str, str]:
        """Return what a reader finds: text by document."""
        known = self.collection
        index, embedder = self.services.index(known), self.services.embedder(known)
        hits = search(index, embedder, question, SearchMode.VECTOR, 100)
        found = {hit.name: hit.text for hit in hits}
        assert len(found) == len(hits), "a document is there twice"
        return found

    def is_well(self) -> bool:
        """Whether index and registry agree, also beside what is searched."""
        settle_doubts(self.services)
        assert compare_index_with_registry(self.services, "docs").differences == ()
        for state in generations.states(self.services, "docs"):
            index = self.services.index_of(self.collection, state.generation.fingerprint)
            assert generations.differences(self.services, index, state.generation) == []
        return True


def texts(*names: str) -> dict[str, str]:
    return {name: f"About {name}." for name in names}


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Batches of two documents, unless a test says otherwise."""
    return settings.model_copy(update={"doc_bulk_size": getattr(request, "param", 2)})


@pytest.fixture
def desk(services: FakeServices, collection: Collection, write: Callable[..., Path]) -> Desk:
    assert collection.key == "docs"
    for name, model in ((NEW, OtherEmbedder), (NOISE, NoiseEmbedder)):
        services.embedders[name] = model(name)
    desk = Desk(services, write)
    desk.submit("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")
    desk.run()
    return desk


@contextmanager
def before_each_commit(
    monkeypatch: pytest.MonkeyPatch, do: Callable[[CollectionIndex], None]
) -> Iterator[None]:
    """Do something right before anything is published."""
    publish = CollectionIndex.publish

    def watched(self: CollectionIndex, *args: Any, **options: Any) -> int:
        do(self)
        return publish(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(CollectionIndex, "publish", watched)
        yield


class Killed(BaseException):
    """The end of a process."""


@contextmanager
def killed_at(place: int, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Die right before or after something is published, recorded or switched; yield where."""
    places: list[str] = []

    def reach(name: str) -> None:
        places.append(name)
        if len(places) == place:
            raise Killed

    def mortal(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def dies(*args: Any, **options: Any) -> Any:
            reach(f"before {name}")
            done = original(*args, **options)
            reach(f"after {name}")
            return done

        patch.setattr(owner, name, dies)

    with monkeypatch.context() as patch:
        mortal(CollectionIndex, "publish")
        mortal(desk.services.registry.claims, "record")
        mortal(desk.services.registry.generations, "switch")
        yield places


def test_the_old_model_is_searched_until_the_new_index_is_complete(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = texts("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")
    seen: list[tuple[str | None, dict[str, str]]] = []
    desk.change(NEW)

    assert desk.find() == everything
    with before_each_commit(
        monkeypatch, lambda _: seen.append((desk.collection.searched_model, desk.find()))
    ):
        report = desk.reindex()

    assert seen == [("fake", everything)] * 3
    assert desk.collection.searched_model == NEW
    assert desk.find() == everything
    assert report.change == f"searched with {NEW} now; fake is kept 7 days"
    assert desk.is_well()
    assert stale_collections(desk.services) == {}
    assert desk.reindex().documents == 0


def test_a_reader_sees_whole_answers_of_one_model_all_the_time(desk: Desk) -> None:
    everything = texts("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")
    answers: list[dict[str, str]] = []
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.01):
            answers.append(desk.find())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        desk.change(NEW)
        desk.reindex()
        generations.roll_back(desk.services, "docs")
    finally:
        over.set()
        reader.join()

    assert len(answers) > 10
    assert all(answer == everything for answer in answers)
    assert desk.collection.searched_model == "fake"


def test_what_changes_while_the_new_index_is_filled_is_found_in_both(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interfere(_: CollectionIndex) -> None:
        if not done:
            done.append(True)
            desk.submit("a.txt", "f.txt", a="Edited a.txt.")
            desk.delete("e.txt")
            assert "e.txt" not in desk.find()

    done: list[bool] = []
    desk.change(NEW)
    with before_each_commit(monkeypatch, interfere):
        desk.reindex()

    expected = texts("a.txt", "b.txt", "c.txt", "d.txt", "f.txt") | {"a.txt": "Edited a.txt."}
    assert desk.collection.searched_model == NEW
    assert desk.find() == expected
    assert desk.is_well()
    assert generations.roll_back(desk.services, "docs").startswith("searched with fake now")
    assert desk.find() == expected
    assert desk.is_well()


def test_documents_that_come_before_the_reindex_go_to_both_indexes(desk: Desk) -> None:
    desk.change(NEW)
    desk.submit("f.txt")

    report = desk.run()

    assert report.change == f"1 of 6 documents are ready for {NEW}"
    assert desk.find() == texts("a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "f.txt")
    assert stale_collections(desk.services) == {"docs": 5}


def test_a_reindex_task_takes_the_documents_that_are_not_filled_yet(desk: Desk) -> None:
    desk.change(NEW)
    task_id = submit_reindex(desk.services, desk.collection, ReindexOnly.STALE)

    desk.run()

    task = desk.services.registry.tasks.get(task_id)
    assert (task.state, task.progress) == (TaskState.SUCCEEDED, 1.0)
    assert "5 documents wait for a run." in task.messages[0]
    assert desk.collection.searched_model == NEW


def test_a_rollback_loses_no_edit_and_brings_no_deleted_document_back(desk: Desk) -> None:
    desk.change(NEW)
    desk.reindex()
    desk.submit("a.txt", "f.txt", a="Edited a.txt.")
    desk.run()
    desk.delete("e.txt")
    expected = texts("a.txt", "b.txt", "c.txt", "d.txt", "f.txt") | {"a.txt": "Edited a.txt."}

    told = generations.roll_back(desk.services, "docs")

    assert told == "3 of 5 documents are ready for fake"
    assert desk.collection.searched_model == NEW, "until the kept index has what it missed"
    assert desk.find() == expected
    report = desk.reindex()
    assert report.documents == 2
    assert desk.collection.searched_model == "fake"
    assert desk.find() == expected
    assert desk.is_well()


def test_a_document_that_is_deleted_after_the_switch_is_in_no_table(desk: Desk) -> None:
    desk.change(NEW)
    desk.reindex()

    desk.delete("e.txt")

    (state,) = generations.states(desk.services, "docs")
    kept = desk.services.index_of(desk.collection, state.generation.fingerprint)
    assert set(kept.snapshot().document_names().values()) == set(desk.find())
    assert desk.is_well()


def test_a_change_under_way_is_given_up_by_a_rollback(desk: Desk) -> None:
    desk.change(NEW)
    desk.submit("f.txt")
    desk.run()

    assert generations.roll_back(desk.services, "docs") == "docs stays searched with fake"

    assert generations.states(desk.services, "docs") == []
    assert desk.reindex().documents == 0
    generations.tidy(desk.services, desk.collection)
    assert list(Path(desk.services.settings.lancedb_address).glob("docs.G*")) == [
        Path(desk.services.settings.lancedb_address)
        / f"{desk.services.index(desk.collection).name}.lance"
    ]


def test_there_is_nothing_to_roll_back_to_when_the_time_is_over(desk: Desk) -> None:
    generations.configure(desk.services, "docs", {"rollback_days": 0, "embedding_model": NEW})
    desk.reindex()
    (state,) = generations.states(desk.services, "docs")
    assert state.generation.kept_until is not None
    with desk.services.registry.database.write() as connection:
        connection.exec_driver_sql("UPDATE generations SET kept_until = 1")

    with pytest.raises(PermanentError, match="no index of an earlier embedding model") as caught:
        generations.roll_back(desk.services, "docs")

    assert caught.value.kind is ErrorKind.NOT_FOUND
    assert generations.tidy(desk.services, desk.collection) == 1
    assert desk.find() == texts("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")


def test_the_published_version_of_a_document_that_failed_since_is_in_the_new_index(
    desk: Desk,
) -> None:
    desk.submit("a.txt", a=f"This is {POISON}.")
    desk.run()
    assert desk.documents()["a.txt"].state is DocumentState.FAILED
    assert desk.find()["a.txt"] == "About a.txt."
    desk.change(NEW)

    desk.reindex()

    assert desk.collection.searched_model == NEW
    assert desk.find() == texts("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")
    assert desk.documents()["a.txt"].state is DocumentState.FAILED
    assert desk.is_well()


def test_a_model_that_finds_nothing_is_not_switched_to(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "SAMPLE_DEPTH", 1)  # among so few, ten are found by chance
    more = [f"{letter}.txt" for letter in "fghijklmnopqrstuvwxyz"]
    desk.submit(*more)
    desk.run()
    desk.change(NOISE)

    report = desk.reindex()

    assert desk.collection.searched_model == "fake"
    assert len(desk.find()) == 26
    (state,) = generations.states(desk.services, "docs")
    assert state.filled.documents == state.filled.published == 26
    assert state.generation.problem is not None
    assert "searches with this model find" in state.generation.problem
    assert report.change == f"not searched with {NOISE} yet: {state.generation.problem}"
    assert stale_collections(desk.services) == {"docs": 1}, "the next night tries again"


@pytest.mark.parametrize("settings", [8], indirect=True)
@pytest.mark.parametrize("place", range(1, 9))
def test_a_run_that_is_killed_anywhere_leaves_the_old_answers_and_the_next_one_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """Right before and after it publishes to either index, records that, and switches."""
    desk.change(NEW)
    desk.submit("f.txt")
    with pytest.raises(Killed), killed_at(place, desk, monkeypatch) as places:
        desk.reindex()
    settle_doubts(desk.services)
    assert desk.collection.searched_model == (NEW if places[-1] == "after switch" else "fake")
    old = texts("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")
    assert old.items() <= desk.find().items()

    desk.reindex()

    assert desk.collection.searched_model == NEW
    assert desk.find() == old | texts("f.txt")
    assert desk.is_well()


def test_summaries_are_there_before_the_new_index_is_searched(desk: Desk) -> None:
    desk.services.registry.collections.configure("docs", {"chunk_tokens": 16})
    desk.submit("a.txt", a="Rain falls on the hills. " * 30)
    desk.reindex()
    submit_build(desk.services, desk.collection, TaskType.RAPTOR)
    build(
        desk.services, desk.collection, BuildRequest("build", Backend.IN_PROCESS, TaskType.RAPTOR)
    )
    before = SummaryIndex(desk.services.index(desk.collection)).snapshot().count()
    assert before
    desk.change(NEW)

    desk.reindex()

    assert desk.collection.searched_model == NEW
    assert SummaryIndex(desk.services.index(desk.collection)).snapshot().count() == before


def test_a_collection_without_documents_is_searched_with_what_is_configured(desk: Desk) -> None:
    for name in desk.documents():
        desk.delete(name)
    desk.change(NEW)
    desk.submit("f.txt")

    desk.run()

    assert desk.collection.searched_model == NEW
    assert desk.find() == texts("f.txt")
    assert generations.states(desk.services, "docs") == []


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_in_whatever_order_readers_find_what_they_should(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Edits, deletions, changes of the model, rollbacks, and runs that die anywhere."""
    chance = random.Random(seed)
    wanted = texts("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")
    found = dict(wanted)
    for step in range(12):
        match chance.choice(["edit", "edit", "delete", "change", "roll back", "run", "die", "die"]):
            case "edit":
                name = f"{chance.choice('abcdefgh')}.txt"
                wanted[name] = f"Step {step} of {name}."
                desk.submit(name, **{name[0]: wanted[name]})
            case "delete" if wanted:
                name = chance.choice(sorted(wanted))
                desk.delete(name)
                del wanted[name]
                found.pop(name, None)
            case "change":
                desk.change(chance.choice(["fake", NEW]))
            case "roll back":
                with suppress(PermanentError):
                    generations.roll_back(desk.services, "docs")
            case "run":
                desk.reindex()
                assert desk.find() == wanted
            case "die":
                with suppress(Killed), killed_at(chance.randrange(1, 16), desk, monkeypatch):
                    desk.reindex()
        settle_doubts(desk.services)
        before, found = found, desk.find()
        assert before.keys() <= found.keys() <= wanted.keys(), "nothing is lost, nor comes back"
        for name, text in found.items():
            assert text in (before.get(name), wanted[name])

    desk.reindex()

    assert desk.find() == wanted
    assert desk.collection.searched_model == desk.services.configured_model(desk.collection)
    assert desk.is_well()
