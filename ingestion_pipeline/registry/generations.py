"""Generations of a collection's index: one that is searched, others beside it.

Each embedding model has a table of its own. One is searched; beside it may be one that is being
filled for a model that was configured meanwhile, and those that are kept for a while after they
were searched. Of the searched one, ``documents`` and ``document_stages`` say what is in it; of the
others, ``copies``.

Belongs here: which generations there are, what of each document is in those beside, and the switch
from one to another. Does not belong here: filling them (``tasks.generations``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.model.documents import DocumentState, Stage
from ingestion_pipeline.registry.collections import version_of
from ingestion_pipeline.registry.database import Database, now
from ingestion_pipeline.registry.documents import is_copied, parts
from ingestion_pipeline.registry.schema import (
    claims,
    collections,
    copies,
    document_stages,
    documents,
    generations,
)
from ingestion_pipeline.registry.stage_records import FinishedStages, StageResult, record_stages


@dataclass(frozen=True)
class Generation:
    """A table beside the one that is searched.

    ``recipes`` are those of its documents' last stage, by pipeline; of those without one by ``""``.
    ``kept_until`` is None while it is being filled, ``problem`` why it is not searched although it
    is full.
    """

    collection_key: str
    index_table: str
    model: str
    fingerprint: str
    recipes: Mapping[str, str]
    kept_until: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Copy:
    """What of a document is in a table beside the one that is searched."""

    version: str
    chunks: int
    tokens: int
    stages: Mapping[str, StageResult]


@dataclass(frozen=True)
class Copies:
    """What was published to a generation, by document."""

    generation: Generation
    documents: Mapping[str, Copy]


@dataclass(frozen=True)
class Filled:
    """How far a generation is: documents that are in it, of those that are searched."""

    documents: int
    published: int


class Generations:
    """The generations of the collections of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def search_with(self, key: str, model: str) -> None:
        """Have a collection searched with a model, unless something is published with another."""
        something = sa.exists().where(
            documents.c.collection_key == key,
            documents.c.index_table.is_not(None) | documents.c.claim_id.is_not(None),
        )
        with self._database.write() as connection:
            connection.execute(
                collections.update()
                .where(
                    collections.c.key == key, collections.c.searched_model.is_(None) | ~something
                )
                .values(searched_model=model)
            )

    def rename(self, key: str, model: str) -> None:
        """Note that the model that a collection is searched with goes by another name now."""
        with self._database.write() as connection:
            connection.execute(
                collections.update().where(collections.c.key == key).values(searched_model=model)
            )

    def fill(self, generation: Generation) -> None:
        """Begin or go on to fill a generation, in place of any other that is being filled.

        One that was kept is filled with what changed since it was searched.
        """
        with self._database.write() as connection:
            _drop(
                connection,
                _being_filled(generation.collection_key)
                & (generations.c.index_table != generation.index_table),
            )
            values: dict[str, Any] = {
                "model": generation.model,
                "fingerprint": generation.fingerprint,
                "recipes": dict(generation.recipes),
                "kept_until": None,
            }
            mine = _is(generation)
            if not connection.execute(generations.update().where(mine).values(values)).rowcount:
                connection.execute(
                    generations.insert().values(
                        collection_key=generation.collection_key,
                        index_table=generation.index_table,
                        **values,
                    )
                )

    def abandon(self, key: str) -> None:
        """Give up what is being filled for a collection."""
        with self._database.write() as connection:
            _drop(connection, _being_filled(key))

    def expire(self, key: str) -> None:
        """Give up what was kept long enough."""
        with self._database.write() as connection:
            mine = generations.c.collection_key == key
            _drop(connection, mine & (generations.c.kept_until < now()))

    def beside(self, key: str) -> list[Generation]:
        """Return the generations beside the one that is searched, the one kept longest last."""
        query = (
            sa.select(generations)
            .where(generations.c.collection_key == key)
            .order_by(generations.c.kept_until.nulls_first())
        )
        with self._database.read() as connection:
            return [Generation(**row) for row in connection.execute(query).mappings()]

    def note(self, generation: Generation, problem: str | None) -> None:
        """Note why a generation is not searched although it is full."""
        with self._database.write() as connection:
            connection.execute(generations.update().where(_is(generation)).values(problem=problem))

    def filled(self, generation: Generation) -> Filled:
        """Return how far a generation is."""
        published = sa.select(sa.func.count()).where(
            documents.c.collection_key == generation.collection_key,
            documents.c.index_table.is_not(None),
        )
        with self._database.read() as connection:
            total = connection.scalar(published) or 0
            return Filled(total - _missing(connection, generation), total)

    def copies(
        self, generation: Generation, document_ids: Sequence[str] | None = None
    ) -> dict[str, tuple[str, int]]:
        """Return what was published to a generation, by document: version and number of chunks."""
        query = (
            sa.select(copies.c.document_id, copies.c.version, copies.c.chunks)
            .join(documents)
            .where(
                documents.c.collection_key == generation.collection_key,
                copies.c.index_table == generation.index_table,
            )
        )
        return {
            row.document_id: (row.version, row.chunks)
            for row in self._of_documents(query, document_ids)
        }

    def current(self, generation: Generation, document_ids: Sequence[str]) -> dict[str, str]:
        """Return which version of documents without a pipeline is in a generation as it is now."""
        query = sa.select(copies.c.document_id, copies.c.version).where(
            copies.c.index_table == generation.index_table,
            copies.c.recipe == generation.recipes[""],
        )
        return {row.document_id: row.version for row in self._of_documents(query, document_ids)}

    def _of_documents(
        self, query: sa.Select[Any], document_ids: Sequence[str] | None
    ) -> list[sa.Row[Any]]:
        named: list[sa.ColumnElement[bool]] = [sa.true()]
        if document_ids is not None:
            named = [copies.c.document_id.in_(part) for part in parts(document_ids)]
        with self._database.read() as connection:
            return [row for one in named for row in connection.execute(query.where(one))]

    def forget(self, generation: Generation, document_ids: Sequence[str]) -> None:
        """Note that documents are not in a generation; one that is being filled gets them again."""
        with self._database.write() as connection:
            _delete(connection, generation.index_table, document_ids)
            if generation.kept_until is None:
                for part in parts(document_ids):
                    connection.execute(
                        documents.update()
                        .where(
                            documents.c.document_id.in_(part),
                            documents.c.state == DocumentState.INDEXED,
                        )
                        .values(state=DocumentState.PENDING, requested_at=now(), not_before=0.0)
                    )

    def switch(
        self, to: Generation, searched: Generation, data_version: str, keep_seconds: float
    ) -> bool:
        """Have a generation searched in place of the one that is; keep that one for a while.

        Nothing happens, and False is returned, while a run holds documents of the collection, a
        document is missing in the generation, or what is searched is not of ``data_version`` any
        more (see ``Collections.data_version``).
        """
        key = to.collection_key
        with self._database.write() as connection:
            mine = collections.c.key == key
            model = connection.scalar(
                # No run claims documents meanwhile.
                sa.select(collections.c.searched_model).where(mine).with_for_update()
            )
            filling = sa.select(generations.c.recipes).where(
                _is(to), generations.c.kept_until.is_(None)
            )
            claimed = sa.select(sa.literal(1)).where(claims.c.collection_key == key).limit(1)
            if (
                model != searched.model
                or connection.scalar(filling) != to.recipes
                or connection.scalar(claimed)
                or _missing(connection, to)
                or version_of(connection, key, Stage.INDEXED) != data_version
            ):
                return False
            before = _searched(connection, key)
            after = _copies(connection, to)
            _drop(connection, _is(to))
            connection.execute(
                generations.insert().values(
                    collection_key=key,
                    index_table=searched.index_table,
                    model=searched.model,
                    fingerprint=searched.fingerprint,
                    recipes=dict(searched.recipes),
                    kept_until=now() + keep_seconds,
                )
            )
            _insert(connection, searched.index_table, before)
            _record_searched(connection, to, before, after)
            connection.execute(collections.update().where(mine).values(searched_model=to.model))
        return True


def record_copies(connection: sa.Connection, claim_id: int, made: Copies) -> None:
    """Note what was published to a generation of the documents that a claim still has."""
    to = made.generation
    known = sa.select(generations.c.recipes).where(_is(to)).with_for_update(read=True)
    if connection.scalar(known) != to.recipes:
        return  # it was given up meanwhile
    owned = {
        document_id
        for part in parts(sorted(made.documents))
        for document_id in connection.scalars(
            sa.select(documents.c.document_id).where(
                documents.c.document_id.in_(part), documents.c.claim_id == claim_id
            )
        )
    }
    _delete(connection, to.index_table, sorted(owned))
    _insert(connection, to.index_table, {key: made.documents[key] for key in sorted(owned)})


def _is(generation: Generation) -> sa.ColumnElement[bool]:
    return (generations.c.collection_key == generation.collection_key) & (
        generations.c.index_table == generation.index_table
    )


def _being_filled(key: str) -> sa.ColumnElement[bool]:
    return (generations.c.collection_key == key) & generations.c.kept_until.is_(None)


def _missing(connection: sa.Connection, generation: Generation) -> int:
    """Count the documents that readers find and that are not in a generation as they are."""
    query = sa.select(sa.func.count()).where(
        documents.c.collection_key == generation.collection_key,
        documents.c.index_table.is_not(None),
        ~is_copied(generation.index_table, generation.recipes),
    )
    return connection.scalar(query) or 0


def _drop(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> None:
    tables = connection.scalars(
        generations.delete().where(condition).returning(generations.c.index_table)
    ).all()
    connection.execute(copies.delete().where(copies.c.index_table.in_(tables)))


def _copies(connection: sa.Connection, generation: Generation) -> dict[str, Copy]:
    query = sa.select(copies).where(copies.c.index_table == generation.index_table)
    return {
        row.document_id: Copy(
            row.version,
            row.chunks,
            row.tokens,
            {stage: StageResult(*result) for stage, result in row.stages.items()},
        )
        for row in connection.execute(query)
    }


def _searched(connection: sa.Connection, key: str) -> dict[str, Copy]:
    """Return what is searched, as it is noted of other generations."""
    query = (
        sa.select(
            documents.c.document_id,
            documents.c.chunks,
            documents.c.tokens,
            document_stages.c.stage,
            document_stages.c.version,
            document_stages.c.recipe,
            document_stages.c.fingerprint,
        )
        .join(document_stages)
        .where(documents.c.collection_key == key, documents.c.index_table.is_not(None))
    )
    found = {}
    for document_id, group in groupby(
        connection.execute(query.order_by(documents.c.document_id)), lambda row: row.document_id
    ):
        stages = list(group)
        (version,) = (row.version for row in stages if row.stage == Stage.INDEXED)
        found[document_id] = Copy(
            version,
            stages[0].chunks or 0,
            stages[0].tokens or 0,
            {
                row.stage: StageResult(row.recipe, row.fingerprint)
                for row in stages
                if row.version == version  # a newer one may have got some stages far
            },
        )
    return found


def _insert(connection: sa.Connection, index_table: str, made: Mapping[str, Copy]) -> None:
    rows = [
        {
            "document_id": document_id,
            "index_table": index_table,
            "version": copy.version,
            "recipe": copy.stages[Stage.INDEXED].recipe,
            "stages": {
                stage: [result.recipe, result.fingerprint] for stage, result in copy.stages.items()
            },
            "chunks": copy.chunks,
            "tokens": copy.tokens,
        }
        for document_id, copy in made.items()
    ]
    if rows:
        connection.execute(copies.insert(), rows)


def _delete(connection: sa.Connection, index_table: str, document_ids: Sequence[str]) -> None:
    for part in parts(document_ids):
        connection.execute(
            copies.delete().where(
                copies.c.index_table == index_table, copies.c.document_id.in_(part)
            )
        )


def _record_searched(
    connection: sa.Connection,
    to: Generation,
    before: Mapping[str, Copy],
    after: Mapping[str, Copy],
) -> None:
    """Record that of all that is searched the other generation's results are searched now."""
    for part in parts(sorted(before)):
        changed = {
            document_id: FinishedStages(
                after[document_id].version,
                {
                    stage: result
                    for stage, result in after[document_id].stages.items()
                    if before[document_id].stages.get(stage) != result
                },
            )
            for document_id in part
        }
        record_stages(connection, to.collection_key, changed)
        connection.execute(
            documents.update()
            .where(documents.c.document_id == sa.bindparam("of"))
            .values(index_table=to.index_table),
            [
                {
                    "of": document_id,
                    "chunks": after[document_id].chunks,
                    "tokens": after[document_id].tokens,
                }
                for document_id in part
            ],
        )
