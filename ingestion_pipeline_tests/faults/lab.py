"""What each case of the fault suite needs: sources, a fault, and the same look at the end."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import dagster as dg
import redis
import sqlalchemy as sa

from ingestion_pipeline.execution.signals import run_signals
from ingestion_pipeline.model.tasks import Task, TaskState
from ingestion_pipeline.registry.schema import claims
from ingestion_pipeline.tasks.process import is_gone
from ingestion_pipeline_tests.faults.clean import CleanBuilds, Content, Rows, content
from ingestion_pipeline_tests.faults.faults import Faults
from ingestion_pipeline_tests.system.installation import Installation, eventually
from ingestion_pipeline_tests.texts import logbook

LONG_SENTENCES = 11_000
"""So many take 20 s and more to embed on one core, with the real model as with the other."""
SETTLED_SECONDS = 90
"""After its tasks ended a run still tidies up, and a message whose acknowledgement died with Redis
is taken once more after a minute; this much later nothing of a case may be left."""
LONGEST_STOP_SECONDS = 5.0
"""After that long nobody may work any more on what was canceled."""
STREAMS = ("ingest:tasks:high", "ingest:tasks:normal")
GROUP = "ingestion_pipeline"
RECORDS = "FAULTS_RECORDS"
"""Names the file that each case appends its figures to."""


@dataclass(frozen=True)
class Record:
    """The figures of one case, a line of the table."""

    fault: str
    tasks: int
    recovered: int
    """Tasks that ended as they should."""
    lost: int
    """Tasks that did not end, and rows of the index that are missing."""
    duplicated: int
    """Rows of the index that should not be there or are there twice."""
    seconds: float | None
    """From the fault until the last task ended; None if one did not."""


@dataclass(frozen=True)
class Stop:
    """How soon work stopped that nobody wants any more, a line of the other table."""

    stopped: str
    seconds: float


@dataclass(frozen=True)
class Case:
    """Documents of a collection that something happens to."""

    name: str
    paths: tuple[Path, ...]
    task_ids: tuple[str, ...]
    password: str | None = None
    """Opens those of the documents that are encrypted."""

    def task(self, name: str) -> str:
        """Return the task of a document, where each has one."""
        return dict(zip([path.name for path in self.paths], self.task_ids, strict=True))[name]


@dataclass(frozen=True)
class Exceptions:
    """The documents of a case that do not end as new rows of the index, by name."""

    failed: Sequence[str] = ()
    canceled: Sequence[str] = ()
    timed_out: Sequence[str] = ()
    before: Rows = field(default_factory=Counter)
    """What there was of the documents before; what was canceled stays like that."""

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset([*self.failed, *self.canceled, *self.timed_out])

    def state(self, name: str) -> TaskState:
        """Return how the task of a document is to end."""
        if name in self.failed:
            return TaskState.FAILED
        if name in self.canceled:
            return TaskState.CANCELED
        return TaskState.TIMEOUT if name in self.timed_out else TaskState.SUCCEEDED

    def rows(self, clean: Content) -> Rows:
        """Return what is to be in the index, given what a clean build has there."""
        return clean.without(self.names) + Counter(
            {row: count for row, count in self.before.items() if row[0] in self.names}
        )


EVERYTHING_SUCCEEDS = Exceptions()


class Lab:
    """An installation whose processes have faults, and clean builds to compare with."""

    def __init__(
        self,
        installation: Installation,
        faults: Faults,
        clean: CleanBuilds,
        loading_seconds: float,
    ) -> None:
        self.installation = installation
        self.faults = faults
        self.clean = clean
        self.loading_seconds = loading_seconds
        """After that long a run that has something to embed has loaded its model."""

    def write(self, name: str, documents: int = 2) -> tuple[Path, ...]:
        """Write the documents of a case, each of a few chunks."""
        return tuple(
            self.installation.write(f"{name}-{n}.txt", f"{name} {n}. {logbook(40)}")
            for n in range(documents)
        )

    def rewrite(self, paths: Sequence[Path]) -> None:
        """Make new versions of documents."""
        for path in paths:
            path.write_text(f"Corrected. {path.read_text()}")

    def rows(self, name: str) -> Rows:
        """Return what readers of a collection find."""
        return content(self.installation.services, name).rows

    def submit(self, name: str, documents: int = 2) -> Case:
        """Have a collection of the case's name made from new documents."""
        return self.submit_files(name, self.write(name, documents))

    def submit_files(self, name: str, paths: Sequence[Path]) -> Case:
        """Have a collection made from files, or changed by them."""
        self.installation.ensure_up()
        batch = self.installation.client.launch_tasks(paths, collection=name)
        return Case(name, tuple(paths), batch.task_ids)

    def publish(self, name: str, paths: Sequence[Path]) -> Rows:
        """Have files published undisturbed, and return what is in the index then.

        When they are changed and submitted again, both versions of them may be stored.
        """
        case = self.submit_files(name, paths)
        self.installation.done(*case.task_ids)
        self.clean.build(name, paths)
        return self.rows(name)

    def submit_more(self, case: Case, name: str, documents: int = 2) -> Case:
        """Submit further documents to the collection of a case."""
        paths = self.write(name, documents)
        batch = self.installation.client.launch_tasks(paths, collection=case.name)
        return Case(case.name, (*case.paths, *paths), (*case.task_ids, *batch.task_ids))

    def kill_everything(self) -> None:
        """Kill every process of the installation, as when the machine loses its power."""
        for pid in (*self.installation.processes(), self.installation.redis()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self.installation.nothing_is_left()
        self.installation.close()
        # As after the minute in which nobody can tell a killed daemon from a busy one.
        self.installation.instance.wipe_daemon_heartbeats()

    def cancel(self, task_id: str) -> float:
        """Cancel a task, which is then canceled; return when."""
        client, at = self.installation.client, time.time()
        assert client.cancel_task(task_id) == [task_id]
        assert client.get_task(task_id).state is TaskState.CANCELED
        return at

    def is_gone(self, pid: int) -> bool:
        """Wait until a process has ended."""
        return eventually(lambda: pid not in self.installation.processes(), LONGEST_STOP_SECONDS)

    def runs(self, name: str) -> Sequence[dg.DagsterRun]:
        """Return the runs of a collection, the last one first."""
        of_collection = dg.RunsFilter(tags={"dagster/partition": name})
        return self.installation.instance.get_runs(of_collection)

    def is_over(self, run_id: str, seconds: float = LONGEST_STOP_SECONDS) -> bool:
        """Wait until nobody works on a run any more, whose process may be there for others."""

        def over() -> bool:
            found = run_signals().silence(run_id)
            return found is None or is_gone(found[1])

        return eventually(over, seconds)

    def send(self, name: str, documents: int = 1, times: int = 1, *, named: bool = True) -> Case:
        """Do what a foreign producer does, the same message several times if need be.

        The messages name their tasks, or leave that to intake: then each makes a task.
        """
        self.installation.ensure_up()
        self.installation.collection(name)
        paths = self.write(name, documents)
        ids = []
        with self.installation.producer() as producer:
            for path in paths:
                message = {"type": "ingest", "collection": name, "source": {"uri": path.as_uri()}}
                if named:
                    message["task_id"] = path.stem
                sent = [self._send(producer, message) for _ in range(times)]
                ids += [path.stem] if named else sent
        return Case(name, paths, tuple(ids))

    def _send(self, producer: redis.Redis, message: dict[str, object]) -> str:
        """Put a message on the stream; return the task id that intake makes if it names none."""
        entry = producer.xadd(STREAMS[1], {"message": json.dumps(message)})
        return f"normal-{entry.decode()}"

    def everything_is_well(
        self,
        case: Case,
        fault: str,
        struck_at: float,
        but: Exceptions = EVERYTHING_SUCCEEDS,
        *,
        at: float | None = None,
        seconds: float = 120,
    ) -> list[Task]:
        """Wait until all tasks are final, record the figures, and make sure that nothing is wrong.

        ``at`` says when everything was well again, if not at the end of the tasks. Returns these.
        """
        ended = eventually(lambda: self._all_final(case), seconds)
        tasks = self.installation.services.registry.tasks.find(task_ids=case.task_ids)
        settled = eventually(lambda: self._nothing_is_held(case), SETTLED_SECONDS)
        clean = self.clean.build(case.name, case.paths, case.password)
        found = content(self.installation.services, case.name)
        expected = but.rows(clean)
        wrong = self._wrong(case, tasks, but)
        self._note(
            Record(
                fault=fault,
                tasks=len(case.task_ids),
                recovered=len(tasks) - len(wrong),
                lost=sum(not t.state.final for t in tasks) + (expected - found.rows).total(),
                duplicated=(found.rows - expected).total(),
                seconds=(at or _end(tasks)) - struck_at if ended else None,
            )
        )
        assert ended, self.installation.told(*case.task_ids)
        assert not wrong, self.installation.told(*wrong)
        assert found.rows == expected
        assert found.stored <= clean.stored
        assert found.tables <= clean.tables
        assert settled, f"held still: {self._held(case)}"
        assert self.installation.differences(case.name) == ()
        return tasks

    def stopped(self, what: str, since: float, until: float | None = None) -> None:
        """Record how soon something stopped, now or at a known time, and that it was in time."""
        taken = (time.time() if until is None else until) - since
        self._note(Stop(what, taken))
        assert taken < LONGEST_STOP_SECONDS

    def _all_final(self, case: Case) -> bool:
        states = self.installation.services.registry.tasks.states(case.task_ids)
        return len(states) == len(case.task_ids) and all(s.final for s in states.values())

    def _wrong(self, case: Case, tasks: Sequence[Task], but: Exceptions) -> list[str]:
        """Return the tasks that did not end as they should."""
        ids = [task.document_id for task in tasks if task.document_id]
        documents = self.installation.services.registry.documents.find(case.name, ids)
        names = {document.document_id: document.name for document in documents}
        return [
            task.task_id
            for task in tasks
            if task.state is not but.state(names[task.document_id or ""])
        ]

    def _nothing_is_held(self, case: Case) -> bool:
        return self._held(case) == (0, 0)

    def _held(self, case: Case) -> tuple[int, int]:
        """Return how many leases and unacknowledged messages of the collection there are."""
        leases = (
            sa.select(sa.func.count())
            .select_from(claims)
            .where(claims.c.collection_key == case.name)
        )
        with self.installation.services.registry.database.read() as connection:
            held = connection.scalar(leases) or 0
        with self.installation.producer() as producer:
            return held, sum(self._unacknowledged(producer, case))

    def _unacknowledged(self, producer: redis.Redis, case: Case) -> Iterator[bool]:
        for stream in STREAMS:
            with suppress(redis.ResponseError):  # a Redis that was emptied has no group at first
                for entry in producer.xpending_range(stream, GROUP, "-", "+", 1000):
                    key = entry["message_id"]
                    for _, fields in producer.xrange(stream, key, key):
                        yield json.loads(fields[b"message"])["collection"] == case.name

    def _note(self, figures: Record | Stop) -> None:
        if RECORDS in os.environ:
            with Path(os.environ[RECORDS]).open("a") as file:
                file.write(json.dumps(asdict(figures)) + "\n")


def long_text() -> str:
    """Return a text whose embedding takes long."""
    return f"A long watch. {logbook(LONG_SENTENCES)}"


def _end(tasks: Sequence[Task]) -> float:
    return max(task.finished_at or 0.0 for task in tasks)
