"""Random lives of a collection, with everything that may die or sleep in between.

Submissions, edits, deletions, cancellations, retries, runs and reconciliations come in any order;
runs, submissions, deletions and reconciliations stop anywhere, and are killed there, interrupted,
declared dead, or wake up much later. When all is quiet, the index is what a clean build makes.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from ingestion_pipeline.errors import Ask
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import STAGES, Document, DocumentState, Stage, document_id
from ingestion_pipeline.model.tasks import Backend, Priority, ReindexOnly, Task, TaskState, TaskType
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.registry.schema import claims, documents, publications, runs, tasks
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.embedded import EmbeddedRedis
from ingestion_pipeline.tasks import maintenance
from ingestion_pipeline.tasks.commands import retry
from ingestion_pipeline.tasks.deletion import finish_purges
from ingestion_pipeline.tasks.inspection import compare_index_with_registry
from ingestion_pipeline.tasks.maintenance import (
    compact_collection,
    purge_collection,
    sweep_collection,
)
from ingestion_pipeline.tasks.reconciliation import Standing, reconcile
from ingestion_pipeline.tasks.submission import submit, submit_deletion, submit_reindex
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import POISON, FakeServices
from ingestion_pipeline_tests.pipeline.processes import COMMIT, Fate, Process, make_stoppable

NAMES = ("a.txt", "b.txt", "c.txt", "d.txt")
GOOD = {
    f"good {n}": f"Journey {n}.\n\n{'Another valley came into view. ' * 12 * n}" for n in range(4)
}
ARCHIVES = {
    "archive 1": {"x.txt": "good 1", "y.txt": "good 2"},
    "archive 2": {"x.txt": "good 3", "z.txt": "good 2"},
}
"""What is in them, by name."""


def zipped(members: Mapping[str, str]) -> bytes:
    """An archive, the same bytes each time."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), GOOD[content])
    return file.getvalue()


CONTENTS = {
    **{name: text.encode() for name, text in GOOD.items()},
    **{name: zipped(members) for name, members in ARCHIVES.items()},
    "in doubt": b"It was a long way. " * 40,
    "refused": b"",
    "without text": b" \n",
    "unembeddable": f"This is {POISON}.".encode(),
}
CONTENT_OF = {hashlib.sha256(data).hexdigest(): name for name, data in CONTENTS.items()}
LONG_AGO = 10_000.0
ROUNDS_TO_QUIET = 12

contents = st.sampled_from([*CONTENTS])
which = st.integers(0, 9)
names = st.sampled_from(NAMES)


def around(*stops: str) -> tuple[str, ...]:
    return tuple(f"{when} {stop}" for stop in stops for when in ("before", "after"))


REPAIRING = (COMMIT, *around("hold", "settle", "publish", "finish_deletion"))
POINTS_OF_SUBMISSION = around("accept")
POINTS_OF_DELETION = (*around("accept", "purge", "forget"), *REPAIRING)
POINTS_OF_RECONCILIATION = (*around("give_back"), *REPAIRING)
POINTS_OF_RUN = (
    COMMIT,
    *around("take", "sourced", "parsed", "chunked", "enriched", "embedded", "indexed"),
    *around("announce", "publish", "record", "hold", "settle"),
)


@dataclass
class Place:
    """What all lives of a test share."""

    parsers: ParserPool
    redis_url: str
    folder: Path
    registry: Path
    """An empty registry, so that not each life has to migrate its own."""

    def services(self, state: Path) -> FakeServices:
        state.mkdir()
        shutil.copy(self.registry, state / "registry.db")
        return FakeServices(
            Settings(
                state_dir=state,
                redis_url=self.redis_url,
                doc_bulk_size=2,
                max_concurrent_tasks=1,
                lease_seconds=LONG_AGO / 2,
            ),
            self.parsers,
        )


@dataclass
class FakeRuns:
    """What Dagster says of runs."""

    known: dict[str, Standing] = field(default_factory=dict)

    def standings(self, run_ids: Sequence[str]) -> Mapping[str, Standing]:
        return {run_id: self.known[run_id] for run_id in run_ids if run_id in self.known}

    def report_stopped(self, run_id: str, reason: str) -> None:
        assert reason


@dataclass
class Wanted:
    """What was accepted of one document since it was last deleted."""

    submitted: list[tuple[str, str]] = field(default_factory=list)
    """Task and content, oldest first."""
    published: str | None = None
    newest_published: int = -1

    def newest(self, content: str) -> int:
        return max((n for n, (_, each) in enumerate(self.submitted) if each == content), default=-1)


class Life(RuleBasedStateMachine):
    """One collection, its documents, and those who work on it."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.folder = Path(tempfile.mkdtemp(dir=place.folder))
        self.services = place.services(self.folder / "state")
        self.collection = self.services.registry.collections.ensure(CollectionName("t", "docs"))[0]
        self.dagster = FakeRuns()
        self.asleep: list[Process] = []
        self.wanted: dict[str, Wanted] = {name: Wanted() for name in NAMES}
        self.seen: dict[str, Task] = {}
        self.retried: set[str] = set()
        self.started = 0
        self.stopped_by_person: set[str] = set()

    # What happens.

    @initialize(content=st.lists(contents, min_size=1, max_size=len(NAMES)))
    def begins_with_some(self, content: list[str]) -> None:
        for name, each in zip(NAMES, content, strict=False):
            self.submits(name, each, force=False, stop_at=None)
        self._run(None, None)

    @rule(
        name=names,
        content=contents,
        force=st.booleans(),
        stop_at=st.none() | st.sampled_from(POINTS_OF_SUBMISSION),
    )
    def submits(self, name: str, content: str, force: bool, stop_at: str | None) -> None:
        path = self._path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(CONTENTS[content])
        sources, options = [path], {"force": force}
        self._start(
            lambda: submit(self.services, self.collection, sources, Priority.NORMAL, options),
            stop_at,
        )

    @rule(
        name=names,
        purge=st.booleans(),
        stop_at=st.none() | st.sampled_from(POINTS_OF_DELETION),
    )
    def deletes(self, name: str, purge: bool, stop_at: str | None) -> None:
        if self._document(name):
            ids = [self._id(name)]
            self._start(
                lambda: submit_deletion(self.services, self.collection, ids, purge=purge), stop_at
            )

    @rule(only=st.sampled_from(ReindexOnly))
    def asks_for_a_reindex(self, only: ReindexOnly) -> None:
        submit_reindex(self.services, self.collection, only)

    @rule(which=which)
    def cancels(self, which: int) -> None:
        if going := self._task_ids(lambda task: not task.state.final):
            self.services.registry.tasks.cancel([going[which % len(going)]])

    @rule(which=which)
    def retries(self, which: int) -> None:
        failed = (TaskState.FAILED, TaskState.TIMEOUT)
        if ended := self._task_ids(lambda task: task.state in failed):
            self.retried.update(retry(self.services, [ended[which % len(ended)]]))

    @rule(which=which, go_on=st.booleans())
    def answers(self, which: int, go_on: bool) -> None:
        if asking := self._task_ids(lambda task: task.state is TaskState.INPUT):
            task_id = asking[which % len(asking)]
            if go_on:
                self.services.registry.tasks.answer(task_id, Ask.GO_ON, "")
            else:
                self.services.registry.tasks.decline(task_id)

    @rule(only=st.none() | st.sampled_from(ReindexOnly))
    def runs(self, only: ReindexOnly | None) -> None:
        self._run(None, only)

    @rule(
        name=names,
        content=contents,
        force=st.booleans(),
        stop_at=st.sampled_from(POINTS_OF_RUN),
        also=st.sets(names, max_size=2),
    )
    def submits_and_runs(
        self, name: str, content: str, force: bool, stop_at: str, also: set[str]
    ) -> None:
        for each in sorted({name, *also}):
            self.submits(each, content, force=force, stop_at=None)
        self._run(stop_at, None)

    @rule(stop_at=st.sampled_from(POINTS_OF_RUN))
    def runs_and_stops(self, stop_at: str) -> None:
        self._run(stop_at, None)

    @rule(stop_at=st.sampled_from(POINTS_OF_RUN))
    def kills_a_run(self, stop_at: str) -> None:
        process = self._run(stop_at, None)
        if process.stopped_at:
            self.asleep.remove(process)
            process.end(Fate.KILL)

    @rule(
        stop_at=st.none() | st.sampled_from(POINTS_OF_RECONCILIATION),
        standings=st.lists(st.sampled_from(Standing), min_size=1, max_size=4),
    )
    def reconciles(self, stop_at: str | None, standings: list[Standing]) -> None:
        held = [record.run_id for record in self.services.registry.runs.find()]
        known = {
            run_id: standings[number % len(standings)] for number, run_id in enumerate(sorted(held))
        }
        self._start(lambda: reconcile(self.services, FakeRuns(known)), stop_at)

    @rule(
        which=which,
        fate=st.sampled_from(Fate),
        looks=st.booleans(),
        lapsed=st.booleans(),
        by_person=st.booleans(),
    )
    def goes_on(self, which: int, fate: Fate, looks: bool, lapsed: bool, by_person: bool) -> None:
        if not self.asleep:
            return
        process = self.asleep.pop(which % len(self.asleep))
        if lapsed:
            self._lapse(process.name)
        if looks and process.batch is not None:
            process.batch.look(None)
        if by_person:
            self.stopped_by_person.add(process.name)
        process.end(fate)

    @rule()
    def leases_lapse(self) -> None:
        self._lapse()

    # What holds at any time.

    @invariant()
    def no_document_is_in_the_index_twice(self) -> None:
        versions = self._index().document_versions()
        assert len({version.document_id for version in versions}) == len(versions)

    @invariant()
    def tasks_change_as_they_may(self) -> None:
        for task in reversed(self.services.registry.tasks.find()):
            before = self.seen.get(task.task_id)
            if before is None:
                self._accepted(task)
            else:
                self._check_change(before, task)
            self.seen[task.task_id] = task
        self.retried.clear()

    @invariant()
    def what_was_published_is_never_replaced_by_something_older(self) -> None:
        for name, content in self._published().items():
            wanted = self.wanted[name]
            if content == wanted.published:
                continue  # the same text may have been submitted once more meanwhile
            newest = wanted.newest(content)
            assert newest >= wanted.newest_published
            wanted.published, wanted.newest_published = content, newest

    # What holds in the end.

    def teardown(self) -> None:
        try:
            for process in self.asleep:
                process.end(Fate.WAKE)
            self.asleep.clear()
            self.tasks_change_as_they_may()
            self._becomes_quiet()
            self._check_quiet()
            self._check_rebuild()
            self._check_purge()
        finally:
            for process in self.asleep:
                process.end(Fate.KILL)
            self.services.close()
            shutil.rmtree(self.folder)

    def _becomes_quiet(self) -> None:
        registry = self.services.registry
        for _ in range(ROUNDS_TO_QUIET):
            self._lapse()
            with registry.database.write() as connection:  # time passes
                connection.execute(documents.update().values(not_before=0))
                connection.execute(
                    tasks.update().where(tasks.c.state == TaskState.INPUT).values(deadline=0)
                )
                connection.execute(
                    publications.update().values(
                        announced_at=publications.c.announced_at - LONG_AGO
                    )
                )
            ended = {record.run_id: Standing.ENDED for record in registry.runs.find()}
            reconciled = reconcile(self.services, FakeRuns(ended))
            finish_purges(self.services)
            run(self.services, self.collection, WorkRequest(self._run_id(), Backend.IN_PROCESS))
            self._check_invariants()
            left = reconciled.settled.looked_at or reconciled.given_back
            if not left and self._nothing_is_left():
                return

    def _nothing_is_left(self) -> bool:
        """Whether all tasks ended, and nobody holds or doubts anything."""
        with self.services.registry.database.read() as connection:
            left = [connection.execute(sa.select(each)).all() for each in (claims, publications)]
        return not any(left) and not self._task_ids(lambda task: not task.state.final)

    def _check_quiet(self) -> None:
        registry = self.services.registry
        states = {task.task_id: task.state for task in registry.tasks.find()}
        assert [task for task in registry.tasks.find() if not task.state.final] == []
        with registry.database.read() as connection:
            for table in (claims, runs, publications):
                assert connection.execute(sa.select(table)).all() == []
        assert compare_index_with_registry(self.services, self.collection.key).differences == ()
        published = self._published()
        for name, wanted in self.wanted.items():
            self._check_document(name, wanted, published.get(name), states)
        self._check_attached(published)

    def _check_document(
        self, name: str, wanted: Wanted, content: str | None, states: Mapping[str, TaskState]
    ) -> None:
        found = self._document(name)
        state = found.state if found else DocumentState.DELETED
        assert state in {DocumentState.INDEXED, DocumentState.FAILED, DocumentState.DELETED}
        if not wanted.submitted:
            assert (state, content) == (DocumentState.DELETED, None)
            return
        if state is DocumentState.INDEXED:
            assert content is not None
        if state is DocumentState.DELETED:
            assert content is None
        done = [
            number
            for number, (task_id, _) in enumerate(wanted.submitted)
            if states[task_id] is TaskState.SUCCEEDED
        ]
        if done:
            assert content is not None, f"{name} is lost"
            assert wanted.newest(content) >= done[-1], f"{name} is older than what succeeded"

    def _check_attached(self, published: Mapping[str, str]) -> None:
        """What is attached to a document is what is in the version of it that readers find."""
        found = self.services.registry.documents.find(self.collection.key)
        for name in NAMES:
            members = ARCHIVES.get(published.get(name, ""), {})
            attached = {each.name: each for each in found if each.parent_id == self._id(name)}
            assert attached.keys() == members.keys(), f"in {name} is {published.get(name)}"
            for document in attached.values():
                assert CONTENT_OF[document.sha256 or ""] == members[document.name]
                assert document.state in {DocumentState.INDEXED, DocumentState.FAILED}

    def _check_rebuild(self) -> None:
        """The same documents, submitted once more elsewhere, make the same index."""
        with closing(self.place.services(self.folder / "clean")) as clean:
            collection = clean.registry.collections.ensure(self.collection.name)[0]
            published = self._published()
            for name, content in published.items():
                self._path(name).write_bytes(CONTENTS[content])
            sources = [self._path(name) for name in published]
            submit(clean, collection, sources, Priority.NORMAL, {})
            run(clean, collection, WorkRequest("clean", Backend.IN_PROCESS))
            for task in clean.registry.tasks.find(state=TaskState.INPUT):
                clean.registry.tasks.answer(task.task_id, Ask.GO_ON, "")
            run(clean, collection, WorkRequest("clean", Backend.IN_PROCESS))
            index, rebuilt = self._index(), clean.index(collection).snapshot()
            found = self.services.registry.documents.find(self.collection.key)
            failed = any(document.state is DocumentState.FAILED for document in found)
            assert failed or index.counts() == rebuilt.counts()
            for document in found:
                if document.state is DocumentState.INDEXED:
                    chunks = rebuilt.chunks_of(document.document_id)
                    assert index.chunks_of(document.document_id) == chunks
            if any(each.parent_id and each.state is DocumentState.FAILED for each in found):
                return  # their task was given up; the clean build has them
            for stage in (Stage.INDEXED,) if failed else STAGES:
                versions = [
                    each.registry.collections.data_version(collection.key, stage)
                    for each in (self.services, clean)
                ]
                assert versions[0] == versions[1], stage

    def _check_purge(self) -> None:
        """Maintenance takes what belongs to nobody, and nothing else."""
        live = self.services.registry.documents.find(self.collection.key)
        assert purge_collection(self.services, self.collection.key).differences == 0
        sweep_collection(self.services, self.collection.key)
        compact_collection(self.services, self.collection.key)
        known = {document.document_id for document in live}
        assert set(self.services.artifacts.document_ids(self.collection.name)) <= known
        used = {each.object_key for each in live if each.state is DocumentState.INDEXED}
        assert used <= set(self.services.store.keys("objects"))

    # Means.

    def _start(self, action: Any, stop_at: str | None, name: str = "") -> Process:
        self.started += 1
        process = Process(name or f"process {self.started}", action, stop_at)
        process.start()
        if process.stopped_at:
            self.asleep.append(process)
        return process

    def _run(self, stop_at: str | None, only: ReindexOnly | None) -> Process:
        run_id = self._run_id()
        request = WorkRequest(
            run_id,
            Backend.DAGSTER,
            only=only,
            stopped_by_person=lambda: run_id in self.stopped_by_person,
        )
        return self._start(lambda: run(self.services, self.collection, request), stop_at, run_id)

    def _run_id(self) -> str:
        self.started += 1
        return f"run {self.started}"

    def _lapse(self, run_id: str | None = None) -> None:
        with self.services.registry.database.write() as connection:
            for table in (runs, claims):
                mine = sa.true() if run_id is None else table.c.run_id == run_id
                connection.execute(table.update().where(mine).values(expires_at=0))

    def _path(self, name: str) -> Path:
        return self.folder / "sources" / name

    def _id(self, name: str) -> str:
        return document_id(self.collection.key, self._path(name).as_uri())

    def _document(self, name: str) -> Document | None:
        found = self.services.registry.documents.find(self.collection.key, [self._id(name)])
        return found[0] if found else None

    def _index(self) -> Any:
        return self.services.index(self.collection).snapshot()

    def _task_ids(self, condition: Any) -> list[str]:
        """Return the tasks that meet a condition, oldest first."""
        found = self.services.registry.tasks.find()
        return [task.task_id for task in reversed(found) if condition(task)]

    def _published(self) -> dict[str, str]:
        """Return what the registry says readers find: content by name."""
        name = self.services.index(self.collection).name
        found = self.services.registry.documents.published(self.collection.key, name)
        return {
            each: CONTENT_OF[found[self._id(each)][0]] for each in NAMES if self._id(each) in found
        }

    def _accepted(self, task: Task) -> None:
        ids = set(self.services.registry.tasks.documents_of(task.task_id))
        for name, wanted in self.wanted.items():
            if task.type is TaskType.DELETE and self._id(name) in ids:
                self.wanted[name] = Wanted()
            if task.type is TaskType.INGEST and task.document_id == self._id(name):
                # Not what is in the file: a submission may have read that long ago.
                (found,) = self.services.registry.documents.find(
                    self.collection.key, [task.document_id]
                )
                wanted.submitted.append((task.task_id, CONTENT_OF[found.sha256 or ""]))

    def _check_change(self, before: Task, now: Task) -> None:
        if before.state is not now.state and now.task_id not in self.retried:
            assert not before.state.final, f"{before.state} became {now.state}"
        if before.state in {TaskState.SUCCEEDED, TaskState.CANCELED}:
            assert now.state is before.state
        if now.task_id not in self.retried:
            assert now.progress >= before.progress

    def _check_invariants(self) -> None:
        self.no_document_is_in_the_index_twice()
        self.tasks_change_as_they_may()
        self.what_was_published_is_never_replaced_by_something_older()


@pytest.fixture(scope="module")
def place(
    parsers: ParserPool, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("lives")
    empty = folder / "empty.db"
    with closing(
        FakeServices(Settings(state_dir=folder, database_url=f"sqlite:///{empty}"))
    ) as one:
        assert one.registry.collections.all() == []
    with pytest.MonkeyPatch.context() as patch:
        make_stoppable(patch)
        patch.setattr(maintenance, "GRACE_SECONDS", -LONG_AGO)
        yield Place(parsers, f"unix://{redis_server.socket}", folder, empty)


def test_after_any_life_the_index_equals_a_clean_build(place: Place) -> None:
    run_state_machine_as_test(
        lambda: Life(place),
        settings=settings(
            max_examples=10,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_after_any_of_very_many_lives_the_index_equals_a_clean_build(place: Place) -> None:
    run_state_machine_as_test(
        lambda: Life(place),
        settings=settings(
            max_examples=500,
            stateful_step_count=30,
            deadline=None,
            print_blob=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("name", ["a.txt", "b.txt"])
@pytest.mark.parametrize("published", [False, True])
def test_what_is_submitted_while_the_same_bytes_are_purged_is_not_lost(
    place: Place, name: str, published: bool
) -> None:
    """The same document, or another one with equal bytes."""
    life = Life(place)
    life.begins_with_some(["good 1"])
    life.tasks_change_as_they_may()
    life.deletes("a.txt", purge=True, stop_at="before purge")
    assert life.asleep
    life.submits(name, "good 1", force=False, stop_at=None)
    life.tasks_change_as_they_may()
    if published:
        life.runs(None)
    life.teardown()


def test_a_removal_that_comes_late_takes_nothing_that_was_published_since(place: Place) -> None:
    life = Life(place)
    life.begins_with_some(["good 1"])
    life.tasks_change_as_they_may()
    life.deletes("a.txt", purge=False, stop_at=COMMIT)
    assert life.asleep
    life.leases_lapse()
    life.submits("a.txt", "good 2", force=False, stop_at=None)
    life.tasks_change_as_they_may()
    life.reconciles(None, [Standing.ENDED])
    life.runs(None)
    life.reconciles(None, [Standing.ENDED])
    assert life._published() == {"a.txt": "good 2"}
    life.teardown()
