"""What people say of the names of entities: it stays true whatever happens to documents.

Belongs here: keeping it. Does not belong here: what a graph makes of it (``graph.resolution``).
"""

from __future__ import annotations

import sqlalchemy as sa

from ingestion_pipeline.model.graph import DifferentEntities, SameEntity
from ingestion_pipeline.registry.database import Database, now
from ingestion_pipeline.registry.schema import corrections


class Corrections:
    """The corrections of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, collection_key: str, correction: SameEntity | DifferentEntities) -> None:
        """Keep what a person says; what was said before of the same two names is forgotten."""
        one, other = sorted((correction.one, correction.other))
        with self._database.write() as connection:
            connection.execute(
                corrections.delete().where(
                    corrections.c.collection_key == collection_key,
                    corrections.c.one == one,
                    corrections.c.other == other,
                )
            )
            connection.execute(
                corrections.insert().values(
                    collection_key=collection_key,
                    same=isinstance(correction, SameEntity),
                    one=one,
                    other=other,
                    created_at=now(),
                )
            )

    def all(self, collection_key: str) -> list[SameEntity | DifferentEntities]:
        """Return what was said of a collection, by names."""
        query = (
            sa.select(corrections)
            .where(corrections.c.collection_key == collection_key)
            .order_by(corrections.c.one, corrections.c.other)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            SameEntity(row.one, row.other) if row.same else DifferentEntities(row.one, row.other)
            for row in rows
        ]
