"""Runs at work: who they are, until when they are believed to live, and why they are stopped.

Belongs here: the rows that runs keep while they work. Does not belong here: what Dagster knows of
them (``execution``) and what follows from a silence (``tasks.reconciliation``).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.registry.database import Database, now
from ingestion_pipeline.registry.schema import claims, documents, runs, task_documents, tasks


@dataclass(frozen=True)
class RunRecord:
    """A run that works, or that left something behind."""

    run_id: str
    process: str | None
    """Which process it is (``host:pid:start``); None if only what it left is known."""
    silent: bool
    """Whether its lease lapsed."""
    reason: str | None
    """Why somebody other than a person stops it."""


class Runs:
    """The runs of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, run_id: str, collection_key: str, process: str, lease_seconds: float) -> None:
        """Note that a run works from now on; it has to renew its lease."""
        with self._database.write() as connection:
            connection.execute(runs.delete().where(runs.c.run_id == run_id))
            connection.execute(
                runs.insert().values(
                    run_id=run_id,
                    collection_key=collection_key,
                    process=process,
                    created_at=now(),
                    expires_at=now() + lease_seconds,
                )
            )

    def renew(self, run_id: str, lease_seconds: float) -> None:
        """Say that a run lives."""
        with self._database.write() as connection:
            connection.execute(
                runs.update()
                .where(runs.c.run_id == run_id)
                .values(expires_at=now() + lease_seconds)
            )

    def forget(self, run_id: str) -> None:
        """Note that a run ended and holds nothing; one that is not known is no error."""
        with self._database.write() as connection:
            connection.execute(runs.delete().where(runs.c.run_id == run_id))

    def note_reason(self, run_id: str, reason: str) -> None:
        """Say why a run is about to be stopped, before it is: then no person did it."""
        with self._database.write() as connection:
            connection.execute(runs.update().where(runs.c.run_id == run_id).values(reason=reason))

    def reason(self, run_id: str) -> str | None:
        """Return why somebody other than a person stops a run; None if nobody does."""
        query = sa.select(runs.c.reason).where(runs.c.run_id == run_id)
        with self._database.read() as connection:
            return connection.scalar(query)

    def between_steps(self) -> list[str]:
        """Return the runs that do nothing now, but took documents to some step of a pipeline.

        That is those whose tasks run, or who asked for documents by themselves.
        """
        idle = (
            documents.c.pipeline.is_not(None)
            & documents.c.claim_id.is_(None)
            & (documents.c.state == DocumentState.PENDING)
        )
        at_work = sa.select(runs.c.run_id)
        waits = sa.exists().where(documents.c.document_id == task_documents.c.document_id, idle)
        of_tasks = sa.select(tasks.c.run_id).where(
            tasks.c.state == TaskState.RUNNING,
            tasks.c.run_id.not_in(at_work),
            sa.exists().where(
                task_documents.c.task_id == tasks.c.task_id,
                task_documents.c.outcome.is_(None),
                waits,  # not joined: SQLite would begin with all documents that wait
            ),
        )
        of_their_own = sa.select(documents.c.requested_by).where(
            idle,
            documents.c.requested_by.is_not(None),
            documents.c.requested_by.not_in(at_work),
        )
        with self._database.read() as connection:
            return sorted(connection.scalars(sa.union(of_tasks, of_their_own)))

    def find(self) -> list[RunRecord]:
        """Return every run that works or holds a claim."""
        own = sa.select(runs.c.run_id, runs.c.process, runs.c.expires_at < now(), runs.c.reason)
        holding = (
            sa.select(claims.c.run_id, sa.func.max(claims.c.expires_at) < now())
            .where(claims.c.run_id.not_in(sa.select(runs.c.run_id)))
            .group_by(claims.c.run_id)
        )
        with self._database.read() as connection:
            found = [
                RunRecord(run_id, process, bool(silent), reason)
                for run_id, process, silent, reason in connection.execute(own)
            ]
            found += [
                RunRecord(run_id, None, bool(silent), None)
                for run_id, silent in connection.execute(holding)
            ]
        return found
