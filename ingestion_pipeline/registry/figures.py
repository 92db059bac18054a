"""Figures about the registry as a whole, for those who watch over it.

Belongs here: counts that stay quick however much there is. Does not belong here: how they are shown
(``tasks.metrics``) and what they give reason to (``tasks.alerts``).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.registry.database import Database, now
from ingestion_pipeline.registry.schema import documents, tasks


@dataclass(frozen=True)
class Figures:
    """How much there is in each state."""

    tasks: dict[tuple[str, str], int]
    """By type and state."""
    documents: dict[str, int]
    """By state."""
    oldest_waiting_seconds: float
    """Age of the oldest task that waits; 0 if none does."""


@dataclass(frozen=True)
class Failed:
    """How many documents of a collection failed, of how many that there are."""

    collection_key: str
    failed: int
    total: int


@dataclass(frozen=True)
class Waiting:
    """How many documents of a collection are still to be indexed, and for how long by now."""

    collection_key: str
    documents: int
    oldest_seconds: float


def figures(database: Database) -> Figures:
    """Count what there is."""
    by_type = sa.select(tasks.c.type, tasks.c.state, sa.func.count()).group_by(
        tasks.c.type, tasks.c.state
    )
    by_state = sa.select(documents.c.state, sa.func.count().label("documents")).group_by(
        documents.c.state
    )
    oldest = sa.select(now() - sa.func.min(tasks.c.created_at)).where(
        tasks.c.state == TaskState.WAITING
    )
    with database.read() as connection:
        return Figures(
            tasks={(kind, state): n for kind, state, n in connection.execute(by_type)},
            documents={row.state: row.documents for row in connection.execute(by_state)},
            oldest_waiting_seconds=max(0.0, connection.scalar(oldest) or 0.0),
        )


def failed_documents(database: Database) -> list[Failed]:
    """Count the failed documents of each collection that has any documents."""
    failed = sa.func.count().filter(documents.c.state == DocumentState.FAILED)
    query = (
        sa.select(documents.c.collection_key, failed, sa.func.count())
        .where(documents.c.state != DocumentState.DELETED)
        .group_by(documents.c.collection_key)
        .order_by(documents.c.collection_key)
    )
    with database.read() as connection:
        return [Failed(*row) for row in connection.execute(query)]


def waiting_documents(database: Database) -> list[Waiting]:
    """Count the documents that wait or are in work, of each collection that has any.

    Each waits since it was asked for, also while it is tried again.
    """
    query = (
        sa.select(
            documents.c.collection_key,
            sa.func.count(),
            now() - sa.func.min(documents.c.requested_at),
        )
        .where(documents.c.state.in_((DocumentState.PENDING, DocumentState.PROCESSING)))
        .group_by(documents.c.collection_key)
        .order_by(documents.c.collection_key)
    )
    with database.read() as connection:
        return [Waiting(*row) for row in connection.execute(query)]
