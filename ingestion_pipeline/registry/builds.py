"""Builds: what is made of a collection as a whole, by one run at a time.

Belongs here: which run is at a build, when one is wanted or due, and how it ended. Does not belong
here: the work itself (``stages``) and who decides that a run is dead (``tasks``). A build has no
lease of its own: it is its run's for as long as the run's lease holds (``runs``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, LeaseLostError
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import ErrorInfo, Stage
from ingestion_pipeline.model.tasks import (
    FINAL_STATES,
    Backend,
    Priority,
    TaskState,
    TaskType,
)
from ingestion_pipeline.registry.acceptance import NewTask, accept, is_build
from ingestion_pipeline.registry.collections import collection_of, data_version
from ingestion_pipeline.registry.database import Database, insert_if_missing, now
from ingestion_pipeline.registry.schema import builds, collections, runs, stage_versions, tasks
from ingestion_pipeline.registry.transitions import (
    TaskUpdate,
    add_messages,
    end,
    start_tasks,
)

PAUSE_SECONDS = 30.0
"""After a build that did not get through, before it is tried again."""
MOST_ATTEMPTS = 4
"""Runs that may die of a build, or fail for a while, before its tasks do."""

GIVEN_UP = ErrorInfo(
    kind=ErrorKind.QUARANTINED,
    message=f"{MOST_ATTEMPTS} runs did not get through with it: look at what the log says of them, "
    "then ask for it again",
)


@dataclass(frozen=True)
class WantedBuild:
    """A build that tasks wait for and no run is at."""

    collection_key: str
    tenant: str
    kind: TaskType
    priority: int
    oldest_seconds: float
    """Age of the oldest of its tasks."""


@dataclass(frozen=True)
class TakenBuild:
    """A build that is a run's now, and the tasks that end with it."""

    collection_key: str
    kind: TaskType
    run_id: str
    task_ids: tuple[str, ...]
    document_ids: tuple[str, ...] | None
    """The only documents that its tasks are about; None if one of them is about all."""
    options: dict[str, Any]
    """What its tasks ask for besides; of two that say otherwise, the later counts."""


@dataclass(frozen=True)
class BuildRecord:
    """What is known of a build."""

    run_id: str | None
    planned_for: str | None
    built_from: str | None
    built_at: float | None


@dataclass(frozen=True)
class Changed:
    """What is indexed of a collection, since when, and what was built of it."""

    collection: Collection
    version: str
    """The data version of its index."""
    quiet_seconds: float
    """How long ago the last document was published or removed."""
    builds: dict[TaskType, BuildRecord]


class Builds:
    """The builds of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self,
        name: CollectionName,
        kind: TaskType,
        *,
        run_id: str,
        backend: Backend,
        task_timeout_seconds: float,
    ) -> tuple[TakenBuild | None, list[TaskUpdate]]:
        """Take a build, with all tasks that wait for it; None if another live run is at it."""
        with self._database.write() as connection:
            mine = _mine(name.key, kind)
            insert_if_missing(
                connection, builds, collection_key=name.key, kind=kind, not_before=now()
            )
            row = connection.execute(sa.select(builds).where(mine).with_for_update()).one()
            if row.run_id not in (None, run_id) and _is_alive(connection, row.run_id):
                return None, []
            connection.execute(builds.update().where(mine).values(run_id=run_id))
            waiting = connection.execute(
                sa.select(tasks.c.task_id, tasks.c.options)
                .where(_open_tasks(name, kind))
                .order_by(tasks.c.created_at, tasks.c.task_id)
                # What is tried is another thing for each.
                .limit(1 if kind is TaskType.DATAFLOW else None)
            ).all()
            ids = tuple(task.task_id for task in waiting)
            updates = start_tasks(connection, ids, run_id, backend, task_timeout_seconds)
        named = [task.options.get("document_ids") for task in waiting]
        only = {each for ids_ in named for each in ids_} if named and all(named) else None
        documents = None if only is None else tuple(sorted(only))
        options = {
            key: value
            for task in waiting
            for key, value in task.options.items()
            if key != "document_ids"
        }
        return TakenBuild(name.key, kind, run_id, ids, documents, options), updates

    def check(self, build: TakenBuild) -> None:
        """Make sure that a build is still its run's, and wanted.

        Raises:
            LeaseLostError: when another run took it, or all its tasks ended.
        """
        with self._database.read() as connection:
            holder = connection.scalar(
                sa.select(builds.c.run_id).where(_mine(build.collection_key, build.kind))
            )
            if holder != build.run_id or not _is_alive(connection, build.run_id):
                raise LeaseLostError(f"the build is not run {build.run_id}'s any more")
            wanted = sa.select(tasks.c.task_id).where(
                tasks.c.task_id.in_(build.task_ids), tasks.c.state.not_in(FINAL_STATES)
            )
            if build.task_ids and connection.execute(wanted.limit(1)).first() is None:
                raise LeaseLostError("nobody wants the build any more")

    def progress(self, build: TakenBuild, fraction: float, message: str) -> list[TaskUpdate]:
        """Record how far a build is; its progress never goes backwards."""
        with self._database.write() as connection:
            rows = connection.execute(
                sa.select(tasks.c.task_id, tasks.c.progress).where(
                    tasks.c.task_id.in_(build.task_ids), tasks.c.state == TaskState.RUNNING
                )
            ).all()
            updates = [
                TaskUpdate(
                    row.task_id, TaskState.RUNNING, max(row.progress, fraction), None, message
                )
                for row in rows
            ]
            for update in updates:
                connection.execute(
                    tasks.update()
                    .where(tasks.c.task_id == update.task_id)
                    .values(progress=update.progress)
                )
            add_messages(connection, updates)
        return updates

    def finish(
        self, build: TakenBuild, built_from: str | None, message: str, tokens: int
    ) -> list[TaskUpdate]:
        """End a build well; ``built_from`` is the version it is of, None if it is of a part."""
        values: dict[str, Any] = {"run_id": None}
        if built_from is not None:
            values |= {"built_from": built_from, "built_at": now()}
        with self._database.write() as connection:
            mine = _mine(build.collection_key, build.kind) & (builds.c.run_id == build.run_id)
            if connection.execute(builds.update().where(mine).values(values)).rowcount == 0:
                return []  # another run has it, and with it the tasks
            return end(connection, build.task_ids, TaskState.SUCCEEDED, message, tokens=tokens)

    def fail(self, build: TakenBuild, error: ErrorInfo) -> list[TaskUpdate]:
        """End a build that cannot succeed."""
        with self._database.write() as connection:
            mine = _mine(build.collection_key, build.kind) & (builds.c.run_id == build.run_id)
            if connection.execute(builds.update().where(mine).values(run_id=None)).rowcount == 0:
                return []
            return end(connection, build.task_ids, TaskState.FAILED, error=error)

    def wanted(self) -> list[WantedBuild]:
        """Return the builds that tasks wait for and no live run is at."""
        alive = sa.exists().where(runs.c.run_id == builds.c.run_id, runs.c.expires_at > now())
        query = (
            sa.select(
                collections.c.key,
                collections.c.tenant,
                tasks.c.type,
                sa.func.max(tasks.c.priority).label("priority"),
                (now() - sa.func.min(tasks.c.created_at)).label("oldest_seconds"),
            )
            .select_from(tasks)
            .join(
                collections,
                (collections.c.tenant == tasks.c.tenant)
                & (collections.c.name == tasks.c.collection),
            )
            .outerjoin(
                builds,
                (builds.c.collection_key == collections.c.key) & (builds.c.kind == tasks.c.type),
            )
            .where(
                tasks.c.state.in_((TaskState.WAITING, TaskState.RUNNING)),
                is_build(),
                builds.c.run_id.is_(None) | ~alive,
                sa.func.coalesce(builds.c.not_before, 0) <= now(),
            )
            .group_by(collections.c.key, collections.c.tenant, tasks.c.type)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            WantedBuild(row.key, row.tenant, TaskType(row.type), row.priority, row.oldest_seconds)
            for row in rows
        ]

    def changes(self) -> list[Changed]:
        """Return the collections in which something is, or was, indexed, and what is built."""
        query = sa.select(
            collections,
            stage_versions.c.documents,
            stage_versions.c.multiset,
            (now() - stage_versions.c.changed_at).label("quiet"),
        ).join(
            stage_versions,
            (stage_versions.c.collection_key == collections.c.key)
            & (stage_versions.c.stage == Stage.INDEXED),
        )
        with self._database.read() as connection:
            found = [
                Changed(
                    collection_of(row), data_version(row.documents, row.multiset), row.quiet, {}
                )
                for row in connection.execute(query)
            ]
            records = {changed.collection.key: changed.builds for changed in found}
            for row in connection.execute(sa.select(builds)):
                if row.collection_key in records:
                    records[row.collection_key][TaskType(row.kind)] = _record(row)
        return found

    def find(self, collection_key: str, kind: TaskType) -> BuildRecord | None:
        """Return what is known of a build; None if nobody ever asked for it."""
        query = sa.select(builds).where(_mine(collection_key, kind))
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _record(row)

    def at_work(self, collection_key: str) -> bool:
        """Whether a live run is at a build of a collection."""
        query = (
            sa.select(builds.c.run_id)
            .join(runs, runs.c.run_id == builds.c.run_id)
            .where(builds.c.collection_key == collection_key, runs.c.expires_at > now())
        )
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def ask_once(
        self, name: CollectionName, kind: TaskType, version: str, task_id: str
    ) -> list[TaskUpdate]:
        """Ask for a build of a version by itself, unless that was done or one is wanted already."""
        with self._database.write() as connection:
            mine = _mine(name.key, kind)
            insert_if_missing(
                connection, builds, collection_key=name.key, kind=kind, not_before=now()
            )
            row = connection.execute(sa.select(builds).where(mine).with_for_update()).one()
            if version in (row.planned_for, row.built_from):
                return []
            connection.execute(builds.update().where(mine).values(planned_for=version))
            if connection.execute(sa.select(tasks).where(_open_tasks(name, kind))).first():
                return []
            task = NewTask(task_id, kind, name.name, name.tenant, Priority.NORMAL)
            return accept(connection, [task])


def give_back(connection: sa.Connection, run_ids: Sequence[str], *, pause: bool) -> None:
    """Give back the builds that runs hold; with a ``pause``, not to be tried again at once."""
    values: dict[str, Any] = {"run_id": None}
    if pause:
        values["not_before"] = now() + PAUSE_SECONDS
    connection.execute(builds.update().where(builds.c.run_id.in_(run_ids)).values(values))


def give_up(connection: sa.Connection, run_ids: Sequence[str]) -> list[TaskUpdate]:
    """End the tasks of builds that too many runs did not get through with, of those runs."""
    ids = connection.scalars(_tasks_of_runs(run_ids).where(tasks.c.attempts >= MOST_ATTEMPTS)).all()
    return end(connection, ids, TaskState.FAILED, error=GIVEN_UP)


def cancel_tasks(
    connection: sa.Connection, run_ids: Sequence[str], message: str
) -> list[TaskUpdate]:
    """Cancel the tasks of the builds that runs hold."""
    ids = list(connection.scalars(_tasks_of_runs(run_ids)))
    return end(connection, ids, TaskState.CANCELED, message)


def _tasks_of_runs(run_ids: Sequence[str]) -> sa.Select[str]:
    return (
        sa.select(tasks.c.task_id)
        .join(builds, (builds.c.run_id == tasks.c.run_id) & (builds.c.kind == tasks.c.type))
        .where(builds.c.run_id.in_(run_ids), tasks.c.state == TaskState.RUNNING)
    )


def _record(row: sa.Row[Any]) -> BuildRecord:
    return BuildRecord(row.run_id, row.planned_for, row.built_from, row.built_at)


def _mine(collection_key: str, kind: TaskType) -> sa.ColumnElement[bool]:
    return (builds.c.collection_key == collection_key) & (builds.c.kind == kind)


def _open_tasks(name: CollectionName, kind: TaskType) -> sa.ColumnElement[bool]:
    return (
        (tasks.c.tenant == name.tenant)
        & (tasks.c.collection == name.name)
        & (tasks.c.type == kind)
        & is_build()
        & tasks.c.state.in_((TaskState.WAITING, TaskState.RUNNING))
    )


def _is_alive(connection: sa.Connection, run_id: str) -> bool:
    query = sa.select(runs.c.run_id).where(runs.c.run_id == run_id, runs.c.expires_at > now())
    return connection.scalar(query) is not None
