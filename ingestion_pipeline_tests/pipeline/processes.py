"""Processes that stop at a point of their work, to be killed there or to go on much later.

Each is a thread here. What it may stop at is wrapped; whatever it still wants of the registry after
it was killed is refused, so that its leases, claims and announcements stay as after ``kill -9``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from enum import StrEnum
from functools import wraps
from typing import Any

import pytest

from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.registry.claims import Claims
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline.registry.publications import Publications
from ingestion_pipeline.registry.tasks import Tasks
from ingestion_pipeline.registry.upkeep import Upkeep
from ingestion_pipeline.stages import chunked, embedded, enriched, indexed, parsed, sourced
from ingestion_pipeline.stages import run as stages_run
from ingestion_pipeline.tasks import lease, purge, reconciliation
from ingestion_pipeline.tasks.lease import Batch

PATIENCE_SECONDS = 60

STOPS: dict[str, tuple[Any, str]] = {
    "sourced": (sourced, "run"),
    "parsed": (parsed, "run"),
    "chunked": (chunked, "run"),
    "enriched": (enriched, "run"),
    "embedded": (embedded, "run"),
    "indexed": (indexed, "run"),
    "accept": (Tasks, "accept"),
    "take": (Claims, "take"),
    "announce": (Publications, "announce"),
    "publish": (CollectionIndex, "publish"),
    "record": (Claims, "record"),
    "hold": (Publications, "hold_doubtful"),
    "settle": (Publications, "settle"),
    "give_back": (Claims, "give_back_crashed"),
    "finish_deletion": (Tasks, "finish_deletion"),
    "purge": (purge, "purge_documents"),
    "forget": (Upkeep, "forget_deleted"),
}
COMMIT = "before commit"
"""Between the last check and the commit to the index."""

_process: ContextVar[Process | None] = ContextVar("process", default=None)


class Fate(StrEnum):
    """What becomes of a process that stopped."""

    WAKE = "wake"
    KILL = "kill"
    INTERRUPT = "interrupt"


class KilledError(BaseException):
    """The process is gone; nobody gets to clean up."""


class Process:
    """Does something in a thread, up to a point."""

    def __init__(self, name: str, action: Callable[[], Any], stop_at: str | None) -> None:
        self.name = name
        self.batch: Batch | None = None
        self.stopped_at: str | None = None
        self._action = action
        self._stop_at = stop_at
        self._fate = Fate.WAKE
        self._error: BaseException | None = None
        self._reported = threading.Semaphore(0)
        self._go_on = threading.Event()
        self._thread = threading.Thread(target=self._live, name=name)

    def start(self) -> None:
        """Run until it stops (then ``stopped_at`` says where) or ends."""
        self._thread.start()
        self._wait()

    def end(self, fate: Fate) -> None:
        """Decide what becomes of it, and wait until it has ended."""
        self._fate = fate
        self.stopped_at = None
        self._go_on.set()
        self._wait()

    def reach(self, point: str) -> None:
        """Stop here if this is the point."""
        self.require_alive()
        if point != self._stop_at:
            return
        self._stop_at, self.stopped_at = None, point
        self._reported.release()
        self._go_on.wait()
        self.require_alive()
        if self._fate is Fate.INTERRUPT:
            raise KeyboardInterrupt

    def require_alive(self) -> None:
        """Do nothing more once it is killed."""
        if self._fate is Fate.KILL:
            raise KilledError

    def _wait(self) -> None:
        assert self._reported.acquire(timeout=PATIENCE_SECONDS), f"{self.name} hangs"
        if self.stopped_at is None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _live(self) -> None:
        _process.set(self)
        try:
            self._action()
        except KilledError:
            assert self._fate is Fate.KILL
        except KeyboardInterrupt:
            assert self._fate is Fate.INTERRUPT
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error
        self._reported.release()


def make_stoppable(patch: pytest.MonkeyPatch) -> None:
    """Have processes stop at their points, and threads of leases notice nothing by themselves."""
    patch.setattr(lease, "LOOK_SECONDS", 3600)  # what they notice, and when, is the test's choice
    patch.setattr(reconciliation, "kill", lambda _: False)  # they are all this one
    for name, (owner, attribute) in STOPS.items():
        patch.setattr(owner, attribute, _stoppable(name, getattr(owner, attribute)))
    patch.setattr(CollectionIndex, "publish", _fenced(CollectionIndex.publish))
    patch.setattr(Database, "write", _mortal(Database.write))
    patch.setattr(stages_run, "run", _watched(stages_run.run))


def _reach(point: str) -> None:
    if process := _process.get():
        process.reach(point)


def _stoppable(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        _reach(f"before {name}")
        result = function(*args, **kwargs)
        _reach(f"after {name}")
        return result

    return call


def _fenced(publish: Callable[..., int]) -> Callable[..., int]:
    @wraps(publish)
    def call(*args: Any, before_commit: Callable[[], None] = lambda: None, **kwargs: Any) -> int:
        def check() -> None:
            before_commit()
            _reach(COMMIT)

        return publish(*args, before_commit=check, **kwargs)

    return call


def _mortal(
    write: Callable[..., AbstractContextManager[Any]],
) -> Callable[..., AbstractContextManager[Any]]:
    @wraps(write)
    def call(database: Database) -> AbstractContextManager[Any]:
        if process := _process.get():
            process.require_alive()
        return write(database)

    return call


def _watched(run: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(run)
    def call(claim: Any, stages: Any, tools: Any, control: Any, *others: Any) -> Any:
        if process := _process.get():
            process.batch = control
        return run(claim, stages, tools, control, *others)

    return call
