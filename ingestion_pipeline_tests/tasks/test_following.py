from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import Backend, TaskState, TaskType
from ingestion_pipeline.registry.sources import SourceFile
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.storage.folder_listing import FolderLister
from ingestion_pipeline.storage.listing import Found, Patterns, Source, Unknown, Vanished
from ingestion_pipeline.storage.source_rules import SourcePolicy
from ingestion_pipeline.tasks import following
from ingestion_pipeline.tasks.deletion import apply_deletions
from ingestion_pipeline.tasks.following import follow, plan, sweep
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.parsing.samples import zipped

DOCS = CollectionName("default", "docs")


@dataclass
class FakeLister:
    """Yields what a test says."""

    entries: list[Found | Unknown] = field(default_factory=list)
    error: Exception | None = None

    def look(
        self, policy: SourcePolicy, after: str, known: Mapping[str, str]
    ) -> Iterator[Found | Unknown]:
        for entry in sorted(self.entries, key=lambda each: each.uri):
            if entry.uri > after:
                yield entry
        if self.error:
            raise self.error


def source_of(lister: FakeLister, **values: object) -> Source:
    made = Source("inbox", DOCS, "folder", "/inbox", lister)
    return replace(made, **values)  # type: ignore[arg-type]


def known(*names: str, missing: bool = False, confirmed: bool = False) -> list[SourceFile]:
    return [SourceFile(name, f"id-{name}", "1", 5, missing, confirmed) for name in names]


def found(*names: str, signature: str = "1") -> list[Found | Unknown]:
    return [Found(name, signature, 5) for name in names]


class TestPlan:
    def test_what_is_new_or_changed_is_wanted(self) -> None:
        listing = [*found("a"), *found("b", signature="2"), *found("c")]

        changes = plan(listing, known("a", "b"))

        assert [each.uri for each in changes.wanted] == ["b", "c"]
        assert (changes.back, changes.missing) == ((), ())

    def test_what_is_not_there_any_more_is_missing_once(self) -> None:
        files = known("a", "b") + known("c", missing=True)

        assert plan(found("a"), files).missing == ("b",)

    def test_what_was_missing_and_is_there_is_back(self) -> None:
        assert plan(found("a"), known("a", missing=True)).back == ("a",)

    def test_nothing_is_missing_where_nobody_could_look(self) -> None:
        files = known("a/1", "a/2", "b")

        assert plan([Unknown("a/", "denied")], files).missing == ("b",)

    def test_what_is_being_written_is_neither_wanted_nor_missing(self) -> None:
        listing = [Found("a", "2", 5, settled=False), Found("b", "1", 5, settled=False)]

        assert plan(listing, known("a")) == following.Changes((), (), ())

    def test_nothing_is_said_of_what_lies_outside_the_part(self) -> None:
        files = known("a", "b", "c", "d")

        assert plan([], files, after="a", until="c").missing == ("b", "c")

    @given(
        before=st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("123")),
        now=st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("123")),
        cuts=st.sets(st.sampled_from("abcdefgh")),
    )
    def test_parts_say_together_what_the_whole_does(
        self, before: dict[str, str], now: dict[str, str], cuts: set[str]
    ) -> None:
        files = [SourceFile(name, name, signature) for name, signature in sorted(before.items())]
        listing = [Found(name, signature) for name, signature in sorted(now.items())]
        whole = plan(listing, files)

        after, wanted, missing = "", [], []
        for until in [*sorted(cuts), None]:
            part = [
                each for each in listing if each.uri > after and (not until or each.uri <= until)
            ]
            changes = plan(part, files, after=after, until=until)
            wanted += changes.wanted
            missing += changes.missing
            after = until or ""

        assert (tuple(wanted), tuple(missing)) == (whole.wanted, whole.missing)
        assert {each.uri for each in whole.wanted} == {
            name for name, signature in now.items() if before.get(name) != signature
        }
        assert set(whole.missing) == before.keys() - now.keys()


class TestSweep:
    source = source_of(FakeLister())

    def test_few_files_go_at_once(self) -> None:
        files = known("a", "b", "c", missing=True) + known("d")

        assert sweep(files, [], self.source).gone == tuple(files[:3])

    def test_many_files_at_once_are_held_back(self) -> None:
        files = known(*"abcd", missing=True) + known(*"efghijklmno")

        swept = sweep(files, [], self.source)

        assert (swept.gone, swept.held) == ((), 4)

    def test_many_files_go_where_they_are_a_small_share(self) -> None:
        files = known(*"abcd", missing=True) + known(*"efghijklmnopqrstuvw")

        assert len(sweep(files, [], self.source).gone) == 4

    @pytest.mark.parametrize("count", [1, 3, 100])
    def test_a_source_that_is_empty_all_at_once_is_held_back(self, count: int) -> None:
        files = known(*(f"{number}" for number in range(count)), missing=True)

        assert sweep(files, [], self.source).held == count

    def test_what_a_person_confirmed_goes_and_what_vanished_since_does_not(self) -> None:
        confirmed = known(*"abcdef", missing=True, confirmed=True)
        files = confirmed + known(*"ghijkl", missing=True)

        swept = sweep(files, [], self.source)

        assert (swept.gone, swept.held) == (tuple(confirmed), 6)

    def test_the_guard_can_be_turned_off(self) -> None:
        files = known(*"abcdef", missing=True)

        assert len(sweep(files, [], replace(self.source, max_vanished=1.0)).gone) == 6

    @pytest.mark.parametrize(("arriving", "waits"), [([5], True), ([None], True), ([6], False)])
    def test_what_may_have_another_name_waits_for_it(
        self, arriving: list[int | None], waits: bool
    ) -> None:
        files = known("a", missing=True) + known("b", "c")

        swept = sweep(files, arriving, self.source)

        assert (swept.waiting, len(swept.gone)) == ((1, 0) if waits else (0, 1))

    def test_where_documents_stay_files_are_just_forgotten(self) -> None:
        files = known(*"abcdef", missing=True)

        swept = sweep(files, [5], replace(self.source, vanished=Vanished.KEEP))

        assert (len(swept.gone), swept.held, swept.waiting) == (6, 0, 0)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"source_roots": (tmp_path,)})


@dataclass
class Inbox:
    """A real folder that a collection follows."""

    services: FakeServices
    path: Path
    source: Source

    def write(self, name: str, text: str = "Some words about travel.") -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self._settle(path)
        return path

    def _settle(self, path: Path) -> None:
        then = time.time() - 60
        os.utime(path, (then, then))

    def look(self, position: str = "") -> following.Followed:
        return follow(self.services, self.source, position)

    def work(self) -> None:
        """Do what the other sensor and its runs do."""
        apply_deletions(self.services)
        collection = self.services.registry.collections.get(DOCS.key)
        run(self.services, collection, WorkRequest("run", Backend.IN_PROCESS))

    def names(self) -> dict[str, DocumentState]:
        found = self.services.registry.documents.find(DOCS.key)
        return {each.uri.removeprefix(self.path.as_uri() + "/"): each.state for each in found}

    def visible(self) -> int:
        collection = self.services.registry.collections.get(DOCS.key)
        return self.services.index(collection).snapshot().counts().documents


@pytest.fixture
def inbox(services: FakeServices, tmp_path: Path) -> Inbox:
    path = tmp_path / "inbox"
    path.mkdir()
    lister = FolderLister(path, Patterns(), recursive=True)
    return Inbox(services, path, Source("inbox", DOCS, "folder", str(path), lister))


@pytest.fixture
def filled(inbox: Inbox) -> Inbox:
    """Ten files, followed and indexed."""
    for number in range(10):
        inbox.write(f"{number}.txt", f"Words of file {number}.")
    inbox.look()
    inbox.work()
    return inbox


def test_what_is_in_a_folder_is_indexed(filled: Inbox) -> None:
    assert set(filled.names().values()) == {DocumentState.INDEXED}
    assert filled.visible() == 10


def test_a_look_that_shows_nothing_new_asks_for_nothing(filled: Inbox) -> None:
    before = len(filled.services.registry.tasks.find())

    followed = filled.look()

    assert (followed.wanted, followed.deleted, followed.files) == (0, 0, 10)
    assert len(filled.services.registry.tasks.find()) == before


def test_an_edited_file_is_indexed_again_and_a_new_one_too(filled: Inbox) -> None:
    filled.write("3.txt", "Other words altogether.")
    filled.write("new/11.txt")

    assert filled.look().wanted == 2
    filled.work()

    assert filled.visible() == 11


def test_an_archive_that_was_merely_touched_keeps_its_members(inbox: Inbox) -> None:
    archive = inbox.path / "all.zip"
    archive.write_bytes(zipped({"a.txt": "Words of one.", "b.txt": "Words of another."}))
    inbox._settle(archive)
    inbox.look()
    inbox.work()
    assert inbox.visible() == 2

    os.utime(archive, (time.time() - 30,) * 2)
    assert inbox.look().wanted == 1
    inbox.work()

    assert set(inbox.names().values()) == {DocumentState.INDEXED}
    assert inbox.visible() == 2


def test_a_file_that_vanished_takes_its_document_along(filled: Inbox) -> None:
    (filled.path / "3.txt").unlink()

    assert filled.look().deleted == 1
    filled.work()

    assert "3.txt" not in filled.names()
    assert filled.visible() == 9
    deletions = [
        task for task in filled.services.registry.tasks.find() if task.type is TaskType.DELETE
    ]
    assert [task.state for task in deletions] == [TaskState.SUCCEEDED]


def test_where_documents_are_kept_a_vanished_file_leaves_its_document(filled: Inbox) -> None:
    filled.source = replace(filled.source, vanished=Vanished.KEEP)
    (filled.path / "3.txt").unlink()

    assert filled.look().deleted == 0
    filled.work()

    assert filled.visible() == 10
    assert filled.look().files == 9


def test_a_renamed_file_is_found_under_one_name_at_least(filled: Inbox) -> None:
    (filled.path / "3.txt").rename(filled.path / "renamed.txt")

    first = filled.look()
    assert (first.wanted, first.deleted, first.waiting) == (1, 0, 1)
    assert filled.visible() == 10

    filled.work()
    assert filled.visible() == 11

    assert filled.look().deleted == 1
    filled.work()
    assert filled.visible() == 10
    assert "renamed.txt" in filled.names()


def test_a_new_name_that_is_still_being_written_keeps_the_old_one(filled: Inbox) -> None:
    (filled.path / "copy.txt").write_bytes((filled.path / "3.txt").read_bytes())
    (filled.path / "3.txt").unlink()

    followed = filled.look()

    assert (followed.wanted, followed.deleted, followed.waiting) == (0, 0, 1)


def test_a_folder_that_cannot_be_listed_changes_nothing(filled: Inbox) -> None:
    filled.path.rename(filled.path.with_name("unmounted"))

    with pytest.raises(TransientError):
        filled.look()
    filled.work()

    assert filled.visible() == 10
    (record,) = filled.services.registry.sources.all()
    assert "cannot be listed" in (record.problem or "")
    assert record.missing == 0

    filled.path.with_name("unmounted").rename(filled.path)
    assert filled.look().wanted == 0
    assert filled.services.registry.sources.all()[0].problem is None


def test_a_look_that_fails_half_way_deletes_nothing(filled: Inbox) -> None:
    uris = [each.uri for each in filled.services.registry.sources.files("inbox")]
    lister = FakeLister(
        [Found(uri, "1") for uri in uris[:3]],
        error=TransientError(ErrorKind.UNAVAILABLE, "the connection broke"),
    )

    with pytest.raises(TransientError):
        follow(filled.services, replace(filled.source, lister=lister), "")

    assert not any(each.missing for each in filled.services.registry.sources.files("inbox"))


def test_what_could_not_be_looked_at_stays_while_the_rest_goes_on(filled: Inbox) -> None:
    files = filled.services.registry.sources.files("inbox")
    lister = FakeLister(
        [Unknown(files[0].uri, "denied"), *(Found(f.uri, f.signature, f.bytes) for f in files[2:])]
    )

    followed = follow(filled.services, replace(filled.source, lister=lister), "")

    assert followed.deleted == 1
    assert "denied" in followed.summary
    assert files[0].uri in [each.uri for each in filled.services.registry.sources.files("inbox")]


def test_a_folder_that_is_empty_all_at_once_keeps_its_documents_until_confirmed(
    filled: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    for path in filled.path.iterdir():
        path.unlink()

    with caplog.at_level(logging.WARNING):
        followed = filled.look()
    assert (followed.deleted, followed.held) == (0, 10)
    assert "HELD BACK: 10 files" in caplog.text
    assert "ingest sources confirm inbox" in followed.summary
    assert filled.look().held == 10
    filled.work()
    assert filled.visible() == 10

    assert filled.services.registry.sources.confirm("inbox") == 10
    assert filled.look().deleted == 10
    filled.work()
    assert filled.visible() == 0


def test_files_that_come_back_need_no_work(filled: Inbox) -> None:
    hidden = filled.path.with_name("hidden")
    filled.path.rename(hidden)
    filled.path.mkdir()
    assert filled.look().held == 10

    filled.path.rmdir()
    hidden.rename(filled.path)

    followed = filled.look()
    assert (followed.held, followed.wanted, followed.files) == (0, 0, 10)


def test_a_large_folder_is_handed_over_in_portions(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "FILES_PER_TICK", 4)
    for number in range(10):
        inbox.write(f"{number}.txt")

    ticks = [inbox.look()]
    while ticks[-1].position:
        ticks.append(inbox.look(ticks[-1].position))

    assert [each.wanted for each in ticks] == [4, 4, 2]
    assert len(inbox.names()) == 10


def test_a_look_that_takes_too_long_goes_on_at_the_next_tick(inbox: Inbox) -> None:
    inbox.source = replace(inbox.source, budget_seconds=0.0)
    for number in range(3):
        inbox.write(f"{number}.txt")

    position, ticks = "", 0
    while ticks == 0 or position:
        position, ticks = inbox.look(position).position, ticks + 1

    assert ticks == 4
    assert len(inbox.names()) == 3


def test_a_document_that_a_person_deleted_stays_deleted_until_its_file_changes(
    filled: Inbox,
) -> None:
    from ingestion_pipeline.tasks.submission import submit_deletion

    collection = filled.services.registry.collections.get(DOCS.key)
    (document,) = [
        each for each in filled.services.registry.documents.find(DOCS.key) if each.name == "3.txt"
    ]
    submit_deletion(filled.services, collection, [document.document_id], purge=True)

    assert filled.look().wanted == 0
    filled.write("3.txt", "It is written anew.")
    assert filled.look().wanted == 1


def test_a_source_that_feeds_another_collection_is_refused(filled: Inbox) -> None:
    filled.source = replace(filled.source, collection=CollectionName("default", "other"))

    with pytest.raises(PermanentError, match="another name"):
        filled.look()


def test_files_outside_the_roots_are_not_followed(services: FakeServices) -> None:
    lister = FolderLister(Path("/usr/share"), Patterns(), recursive=True)

    with pytest.raises(PermanentError, match="INGEST_SOURCE_ROOTS"):
        follow(services, Source("usr", DOCS, "folder", "/usr/share", lister), "")


def test_a_file_of_two_sources_stays_until_both_have_lost_it(filled: Inbox) -> None:
    second = replace(filled.source, name="second")
    follow(filled.services, second, "")
    filled.work()
    narrow = FolderLister(filled.path, Patterns(exclude=("3.txt",)), recursive=True)

    assert follow(filled.services, replace(filled.source, lister=narrow), "").files == 9
    filled.work()
    assert "3.txt" in filled.names()

    follow(filled.services, replace(second, lister=narrow), "")
    filled.work()
    assert "3.txt" not in filled.names()
