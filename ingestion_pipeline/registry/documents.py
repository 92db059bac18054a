"""Documents in the registry: listing them, asking for work on them, counting what waits.

Belongs here: reads, and marking documents as wanted. Does not belong here: who works on them
(``claims``) or for which task (``tasks``).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import ParserKind
from ingestion_pipeline.model.documents import Document, DocumentState, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import Priority, ReindexOnly
from ingestion_pipeline.registry.database import Database, now
from ingestion_pipeline.registry.schema import (
    claims,
    collections,
    copies,
    document_stages,
    documents,
    generations,
)
from ingestion_pipeline.registry.versions import StampedVersion, embedded_versions, stamped_versions

logger = logging.getLogger(__name__)

NOT_WANTED = (DocumentState.DELETED, DocumentState.INPUT)
CHUNK = 500
"""How many values go into one IN list, well under every database's limit."""


@dataclass(frozen=True)
class Backlog:
    """What waits in one collection and is to go one way."""

    collection_key: str
    tenant: str
    documents: int
    priority: int
    oldest_seconds: float
    """Age of the oldest request."""
    max_parallel_runs: int
    pipeline: str | None = None
    """The one that they belong to; None: the collection's own way."""


@dataclass(frozen=True)
class Totals:
    """How much of a collection readers can find."""

    documents: int
    chunks: int
    tokens: int


@dataclass(frozen=True)
class Rerun:
    """From which component of a pipeline on documents are done again.

    ``kept`` are the steps whose stored results are used, with the recipe that each must have.
    """

    component: str
    kept: Mapping[str, str]


@dataclass(frozen=True)
class Selection:
    """Which documents of a collection are asked for: those named, or else what ``only`` says.

    ``force`` has unchanged documents processed again. ``recipe`` is that of the last stage asked
    for; a document whose stored result has another one, or another version, is stale. ``pipelines``
    are the recipes of documents that belong to one, by its name. Only what has a recipe is meant.
    With ``rerun``, ``force`` is about a component of a pipeline and what reads it.
    """

    only: ReindexOnly
    recipe: str | None
    stage: Stage = Stage.INDEXED
    document_ids: tuple[str, ...] = ()
    force: bool = False
    pipelines: Mapping[str, str] = field(default_factory=dict)
    rerun: Rerun | None = None


class Documents:
    """The documents of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(
        self, collection_key: str, document_ids: Sequence[str] | None = None
    ) -> list[Document]:
        """Return the documents of a collection, by name; all that are not deleted, or those named.

        Named ones that were deleted are among them until maintenance forgets them.
        """
        condition = documents.c.collection_key == collection_key
        if document_ids is None:
            condition &= documents.c.state != DocumentState.DELETED
        with self._database.read() as connection:
            return select_documents(connection, condition, document_ids)

    def request(self, collection_key: str, selection: Selection, run_id: str) -> int:
        """Mark the selected documents as wanted by a run and return how many they are."""
        with self._database.write() as connection:
            require_known(connection, collection_key, selection.document_ids)
            wanted = selected(connection, collection_key, selection)
            mark_pending(
                connection,
                wanted,
                Priority.NORMAL,
                force=forced(selection),
                rerun=selection.rerun,
                requested_by=run_id,
            )
            if selection.rerun:
                logger.info("%s", said_of(connection, wanted, selection.rerun))
            return len(wanted)

    def force(self, collection_key: str, document_ids: Sequence[str]) -> None:
        """Have the next run that selects some stages redo them; all documents if none is named."""
        with self._database.write() as connection:
            require_known(connection, collection_key, document_ids)
            mine = documents.c.collection_key == collection_key
            forced = documents.update().where(mine).values(force=True)
            if not document_ids:
                connection.execute(forced)
            for part in parts(document_ids):
                connection.execute(forced.where(documents.c.document_id.in_(part)))

    def stamped(self, document_ids: Sequence[str]) -> dict[tuple[str, str], StampedVersion]:
        """Return the versions of documents that were read from files, by document and stamp."""
        with self._database.read() as connection:
            return {
                key: version
                for part in parts(document_ids)
                for key, version in stamped_versions(connection, part).items()
            }

    def embedded(self, object_keys: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return of each of some stored bytes a document that was embedded with them, and as what.

        Bytes are stored by collection, so it is one of the same.
        """
        with self._database.read() as connection:
            return {
                key: found
                for part in parts(object_keys)
                for key, found in embedded_versions(connection, part).items()
            }

    def require(self, collection_key: str, document_ids: Sequence[str]) -> None:
        """Make sure that the collection has all of these documents.

        Raises:
            PermanentError: of kind ``not_found``.
        """
        with self._database.read() as connection:
            require_known(connection, collection_key, document_ids)

    def count_stale(
        self, collection_key: str, recipe: str, pipelines: Mapping[str, str] | None = None
    ) -> int:
        """Return how many documents a reindex of ``stale`` would take."""
        selection = Selection(ReindexOnly.STALE, recipe, pipelines=pipelines or {})
        with self._database.read() as connection:
            return len(selected(connection, collection_key, selection))

    def may_be_stale(self, recipes: Mapping[str, str]) -> set[str]:
        """Return which collections may have stale documents; all others have none.

        One look for all of them. ``recipes`` are the current ones, by key of the collection.
        """
        done = (
            (document_stages.c.document_id == documents.c.document_id)
            & (document_stages.c.stage == Stage.INDEXED)
            & (document_stages.c.version == documents.c.sha256)
        )
        query = (
            sa.select(documents.c.collection_key, document_stages.c.recipe)
            .outerjoin(document_stages, done)
            .where(documents.c.state.not_in((*NOT_WANTED, DocumentState.FAILED)))
            .distinct()
        )
        filled = sa.select(generations.c.collection_key).where(generations.c.kept_until.is_(None))
        with self._database.read() as connection:
            suspects = {
                key
                for key, recipe in connection.execute(query)
                if key in recipes and recipe != recipes[key]
            }
            return suspects | (recipes.keys() & set(connection.scalars(filled)))

    def backlog(self) -> list[Backlog]:
        """Return what waits and is not claimed, for each collection and way that has any."""
        query = (
            sa.select(
                collections.c.key,
                collections.c.tenant,
                collections.c.config,
                documents.c.pipeline,
                sa.func.count().label("documents"),
                sa.func.max(documents.c.priority).label("priority"),
                (now() - sa.func.min(documents.c.requested_at)).label("oldest_seconds"),
            )
            .join(documents, documents.c.collection_key == collections.c.key)
            .where(
                documents.c.state == DocumentState.PENDING,
                documents.c.claim_id.is_(None),
                documents.c.not_before <= now(),
            )
            .group_by(collections.c.key, documents.c.pipeline)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            Backlog(
                collection_key=row.key,
                tenant=row.tenant,
                documents=row.documents,
                priority=row.priority,
                oldest_seconds=row.oldest_seconds,
                max_parallel_runs=row.config.get("max_parallel_runs", 1),
                pipeline=row.pipeline,
            )
            for row in rows
        ]

    def pipelines_waiting(self, collection_key: str) -> list[str]:
        """Return the pipelines whose documents wait in a collection."""
        query = (
            sa.select(documents.c.pipeline)
            .where(
                documents.c.collection_key == collection_key,
                documents.c.state == DocumentState.PENDING,
                documents.c.pipeline.is_not(None),
            )
            .distinct()
            .order_by(documents.c.pipeline)
        )
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def others_wait(self, tenant: str) -> bool:
        """Whether another tenant's documents wait and no run has any of that collection."""
        query = (
            sa.select(sa.literal(1))
            .select_from(documents)
            .join(collections, collections.c.key == documents.c.collection_key)
            .where(
                collections.c.tenant != tenant,
                documents.c.state == DocumentState.PENDING,
                documents.c.claim_id.is_(None),
                documents.c.not_before <= now(),
                documents.c.collection_key.not_in(sa.select(claims.c.collection_key)),
            )
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.scalar(query) is not None

    def give(self, collection_key: str, document_ids: Sequence[str], pipeline: str | None) -> None:
        """Have documents belong to a pipeline, all of the collection if none is named.

        None gives them back to the collection's own way.
        """
        with self._database.write() as connection:
            require_known(connection, collection_key, document_ids)
            every = sa.select(documents.c.document_id).where(
                documents.c.collection_key == collection_key,
                documents.c.state != DocumentState.DELETED,
            )
            ids = document_ids or connection.scalars(every).all()
            set_pipelines(connection, dict.fromkeys(ids, pipeline))

    def data_version(self, collection_key: str, pipeline: str) -> str:
        """Name what is published of a pipeline's documents: the same version is the same result."""
        query = (
            sa.select(documents.c.document_id, document_stages.c.fingerprint)
            .join(document_stages)
            .where(
                documents.c.collection_key == collection_key,
                documents.c.pipeline == pipeline,
                document_stages.c.stage == Stage.INDEXED,
            )
            .order_by(documents.c.document_id)
        )
        found = hashlib.sha256()
        with self._database.read() as connection:
            for document_id, fingerprint in connection.execute(query):
                found.update(f"{document_id}:{fingerprint};".encode())
        return found.hexdigest()[:32]

    def published_elsewhere(self, collection_key: str, index_table: str) -> int:
        """Return how many documents are published in another table than this one."""
        query = sa.select(sa.func.count()).where(
            documents.c.collection_key == collection_key, documents.c.index_table != index_table
        )
        with self._database.read() as connection:
            return connection.scalar(query) or 0

    def counts(self, collection_key: str) -> dict[DocumentState, int]:
        """Return the number of documents in each state."""
        query = (
            sa.select(documents.c.state, sa.func.count())
            .where(documents.c.collection_key == collection_key)
            .group_by(documents.c.state)
        )
        with self._database.read() as connection:
            return {DocumentState(state): count for state, count in connection.execute(query)}

    def totals(self, collection_key: str) -> Totals:
        """Return how much of a collection is published."""
        query = sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(documents.c.chunks), 0),
            sa.func.coalesce(sa.func.sum(documents.c.tokens), 0),
        ).where(documents.c.collection_key == collection_key, documents.c.index_table.is_not(None))
        with self._database.read() as connection:
            return Totals(*connection.execute(query).one())

    def published(
        self, collection_key: str, index_table: str, document_ids: Sequence[str] | None = None
    ) -> dict[str, tuple[str, int]]:
        """Return what was published to a table, by document: version and number of chunks.

        Of all documents of the collection, or of those named.
        """
        query = (
            sa.select(documents.c.document_id, document_stages.c.version, documents.c.chunks)
            .join(document_stages)
            .where(
                documents.c.collection_key == collection_key,
                documents.c.index_table == index_table,
                document_stages.c.stage == Stage.INDEXED,
            )
        )
        named: list[sa.ColumnElement[bool]] = [sa.true()]
        if document_ids is not None:
            named = [documents.c.document_id.in_(part) for part in parts(document_ids)]
        with self._database.read() as connection:
            return {
                row.document_id: (row.version, row.chunks or 0)
                for condition in named
                for row in connection.execute(query.where(condition))
            }


def forced(selection: Selection) -> bool:
    """Whether unchanged documents are to be processed again."""
    return selection.force or selection.only is ReindexOnly.ALL


def selected(connection: sa.Connection, collection_key: str, selection: Selection) -> list[str]:
    """Return the ids of the documents that a selection means."""
    done: sa.ColumnElement[bool] = (
        sa.select(sa.literal(1))
        .where(
            document_stages.c.document_id == documents.c.document_id,
            document_stages.c.stage == selection.stage,
            document_stages.c.version == documents.c.sha256,
            document_stages.c.recipe == _by_way(selection),
        )
        .exists()
    )
    if selection.stage is Stage.INDEXED:
        done &= _is_beside(connection, collection_key)
    failed = documents.c.state == DocumentState.FAILED
    wanted: dict[ReindexOnly, sa.ColumnElement[bool]] = {
        # A failed document is not stale: what failed once would fail again every night.
        ReindexOnly.STALE: ~done & ~failed,
        ReindexOnly.FAILED: failed,
        ReindexOnly.ALL: sa.true(),
    }
    everything = selection.force or selection.document_ids
    condition = sa.true() if everything else wanted[selection.only]
    query = sa.select(documents.c.document_id).where(
        documents.c.collection_key == collection_key,
        documents.c.state.not_in(NOT_WANTED),
        _by_way(selection).is_not(None),
        condition,
    )
    if not selection.document_ids:
        return list(connection.scalars(query))
    return [
        found
        for part in parts(selection.document_ids)
        for found in connection.scalars(query.where(documents.c.document_id.in_(part)))
    ]


def is_copied(index_table: str, recipes: Mapping[str, str]) -> sa.ColumnElement[bool]:
    """Whether what readers find of a document is, by its recipe, also in a table beside theirs.

    ``recipes`` has that of each pipeline by its name, and of documents without one by ``""``.
    """
    published = document_stages.alias()
    recipe = sa.case(recipes, value=sa.func.coalesce(documents.c.pipeline, ""))
    return sa.exists().where(
        copies.c.document_id == documents.c.document_id,
        copies.c.index_table == index_table,
        copies.c.recipe == recipe,
        published.c.document_id == documents.c.document_id,
        published.c.stage == Stage.INDEXED,
        published.c.version == copies.c.version,
    )


def _is_beside(connection: sa.Connection, collection_key: str) -> sa.ColumnElement[bool]:
    """Whether a document is in the table that is being filled, if another model is configured."""
    row = connection.execute(
        sa.select(
            collections.c.searched_model,
            collections.c.config,
            generations.c.index_table,
            generations.c.recipes,
        )
        .outerjoin(
            generations,
            (generations.c.collection_key == collections.c.key)
            & generations.c.kept_until.is_(None),
        )
        .where(collections.c.key == collection_key)
    ).first()
    if row is None:
        return sa.true()
    if row.index_table is not None:
        return is_copied(row.index_table, row.recipes)
    configured = row.config.get("embedding_model")
    return sa.literal(row.searched_model is None or configured in (None, row.searched_model))


def lock_documents(connection: sa.Connection, document_ids: Collection[str]) -> None:
    """Wait for whoever changes these documents; all lock them in one order, and before tasks.

    Otherwise two transactions could wait for each other on PostgreSQL.
    """
    for part in parts(sorted(document_ids)):
        connection.execute(
            sa.select(documents.c.document_id)
            .where(documents.c.document_id.in_(part))
            .order_by(documents.c.document_id)
            .with_for_update()
        )


def mark_pending(
    connection: sa.Connection,
    document_ids: Sequence[str],
    priority: Priority,
    *,
    force: bool,
    rerun: Rerun | None = None,
    requested_by: str | None = None,
) -> None:
    """Ask for work on documents; on one that is being worked on, for work once more after that.

    With ``rerun`` they are forced from a component on only; one that is asked for by force already
    is done from the earlier of both.
    """
    waiting = (documents.c.state == DocumentState.PENDING) & documents.c.claim_id.is_(None)
    lock_documents(connection, document_ids)
    for part in parts(document_ids):
        fresh = _unforced(connection, part) if rerun else []
        if force:
            _outdate_steps(connection, part, rerun)
        connection.execute(
            documents.update()
            .where(documents.c.document_id.in_(part))
            .values(
                # One that is being processed stays so: its claim sees the later request.
                state=sa.case(
                    (documents.c.state == DocumentState.PROCESSING, DocumentState.PROCESSING),
                    else_=DocumentState.PENDING,
                ),
                requested_at=sa.case((waiting, documents.c.requested_at), else_=now()),
                priority=sa.case(
                    (waiting & (documents.c.priority > priority.rank), documents.c.priority),
                    else_=priority.rank,
                ),
                requested_by=sa.case((waiting, documents.c.requested_by), else_=requested_by),
                force=sa.or_(documents.c.force, sa.literal(force)),
                attempts=0,
                crashes=0,
                not_before=0.0,
                updated_at=now(),
            )
        )
        if rerun:
            _refresh_steps(connection, fresh, rerun)


def _unforced(connection: sa.Connection, document_ids: Sequence[str]) -> Sequence[str]:
    query = sa.select(documents.c.document_id).where(
        documents.c.document_id.in_(document_ids), ~documents.c.force
    )
    return connection.scalars(query).all()


def _outdate_steps(
    connection: sa.Connection, document_ids: Sequence[str], rerun: Rerun | None
) -> None:
    """Have steps of pipelines count as done before they are asked for, but those to be kept."""
    of_pipelines = sa.select(documents.c.document_id).where(
        documents.c.document_id.in_(document_ids), documents.c.pipeline.is_not(None)
    )
    connection.execute(
        document_stages.update()
        .where(
            document_stages.c.document_id.in_(of_pipelines),
            document_stages.c.stage.not_in(rerun.kept if rerun else ()),
        )
        .values(updated_at=0.0)
    )


def _refresh_steps(connection: sa.Connection, document_ids: Sequence[str], rerun: Rerun) -> None:
    """Have steps that are to be kept count as done since they are asked for."""
    connection.execute(
        document_stages.update()
        .where(
            document_stages.c.document_id.in_(document_ids),
            document_stages.c.stage.in_(rerun.kept),
        )
        .values(updated_at=now())
    )


def said_of(connection: sa.Connection, document_ids: Sequence[str], rerun: Rerun | None) -> str:
    """Say how many documents wait, and how many of them lack a result that is to be kept."""
    said = f"{len(document_ids)} documents wait for a run"
    if rerun is None:
        return f"{said}."
    said = f"{said} from {rerun.component!r} on"
    lacking = len(document_ids) - _complete(connection, document_ids, rerun)
    if not lacking:
        return f"{said}."
    return f"{said}; {lacking} of them from an earlier one, as no result of that is kept."


def _complete(connection: sa.Connection, document_ids: Sequence[str], rerun: Rerun) -> int:
    """Count the documents that have all results that are to be kept."""
    current = [
        (document_stages.c.stage == stage) & (document_stages.c.recipe == recipe)
        for stage, recipe in rerun.kept.items()
    ]
    if not current:
        return len(document_ids)
    query = (
        sa.select(document_stages.c.document_id)
        .join(documents)
        .where(document_stages.c.version == documents.c.sha256, sa.or_(*current))
        .group_by(document_stages.c.document_id)
        .having(sa.func.count() == len(current))
    )
    return sum(
        len(connection.scalars(query.where(document_stages.c.document_id.in_(part))).all())
        for part in parts(document_ids)
    )


def _by_way(selection: Selection) -> sa.ColumnElement[str | None]:
    """Return the recipe for a document, by the pipeline it belongs to; null is not meant."""
    ways = [(documents.c.pipeline == name, recipe) for name, recipe in selection.pipelines.items()]
    return sa.case((documents.c.pipeline.is_(None), selection.recipe), *ways, else_=sa.null())


def set_pipelines(connection: sa.Connection, pipelines: Mapping[str, str | None]) -> None:
    """Say which pipeline each of the documents belongs to."""
    if pipelines:
        connection.execute(
            documents.update().where(documents.c.document_id == sa.bindparam("of")),
            [{"of": document_id, "pipeline": name} for document_id, name in pipelines.items()],
        )


def set_parsers(connection: sa.Connection, parsers: Mapping[str, ParserKind]) -> None:
    """Say which parser each of the documents is for."""
    if parsers:
        connection.execute(
            documents.update().where(documents.c.document_id == sa.bindparam("of")),
            [{"of": document_id, "parser": parser} for document_id, parser in parsers.items()],
        )


def select_documents(
    connection: sa.Connection,
    condition: sa.ColumnElement[bool],
    document_ids: Sequence[str] | None = None,
) -> list[Document]:
    """Return the documents that meet a condition, with their finished stages, by name."""
    query = (
        sa.select(documents).where(condition).order_by(documents.c.name, documents.c.document_id)
    )
    is_fresh = documents.c.pipeline.is_not(None) & (
        document_stages.c.updated_at >= documents.c.requested_at
    )
    stages = (
        sa.select(
            document_stages.c.document_id,
            document_stages.c.stage,
            document_stages.c.fingerprint,
            is_fresh,
        )
        .join(documents)
        .where(condition)
    )
    finished: dict[str, dict[str, str]] = {}
    fresh: dict[str, set[str]] = {}
    rows: list[sa.Row[Any]] = []
    for part in parts(document_ids) if document_ids is not None else [None]:
        named = sa.true() if part is None else documents.c.document_id.in_(part)
        rows += connection.execute(query.where(named)).all()
        for document_id, stage, fingerprint, is_new in connection.execute(stages.where(named)):
            finished.setdefault(document_id, {})[stage] = fingerprint
            if is_new:
                fresh.setdefault(document_id, set()).add(stage)
    return [
        _document(row, finished.get(row.document_id, {}), fresh.get(row.document_id, set()))
        for row in rows
    ]


def parents_among(connection: sa.Connection, document_ids: Collection[str]) -> set[str]:
    """Return which of the documents have others attached to them."""
    return {
        parent_id
        for part in parts(sorted(document_ids))
        for parent_id in connection.scalars(
            sa.select(documents.c.parent_id).where(documents.c.parent_id.in_(part)).distinct()
        )
    }


def require_known(
    connection: sa.Connection,
    collection_key: str,
    document_ids: Sequence[str],
    *,
    deleted_too: bool = False,
) -> None:
    """Raise ``PermanentError`` of kind ``not_found`` unless the collection has all documents."""
    query = sa.select(documents.c.document_id).where(documents.c.collection_key == collection_key)
    if not deleted_too:
        query = query.where(documents.c.state != DocumentState.DELETED)
    known = {
        found
        for part in parts(document_ids)
        for found in connection.scalars(query.where(documents.c.document_id.in_(part)))
    }
    missing = [document_id for document_id in document_ids if document_id not in known]
    if missing:
        raise not_found(collection_key, missing[0])


def not_found(collection_key: str, document_id: str) -> PermanentError:
    """Return the error of asking for a document that a collection does not have."""
    return PermanentError(
        ErrorKind.NOT_FOUND,
        f"collection {collection_key!r} has no document {document_id!r}: "
        f"see `ingest documents --collection {collection_key}`",
    )


def parts(values: Sequence[str]) -> list[Sequence[str]]:
    """Cut values into pieces that fit into one IN list."""
    return [values[start : start + CHUNK] for start in range(0, len(values), CHUNK)]


def _document(row: sa.Row[Any], stages: dict[str, str], fresh: set[str]) -> Document:
    error = ErrorInfo(kind=row.error_kind, message=row.error_message) if row.error_kind else None
    return Document(
        document_id=row.document_id,
        collection_key=row.collection_key,
        name=row.name,
        uri=row.uri,
        state=DocumentState(row.state),
        updated_at=row.updated_at,
        sha256=row.sha256,
        object_key=row.object_key,
        parent_id=row.parent_id,
        parser=ParserKind(row.parser) if row.parser else None,
        pipeline=row.pipeline,
        fetch=row.fetch,
        media_type=row.media_type,
        bytes=row.bytes,
        pages=row.pages,
        chunks=row.chunks,
        tokens=row.tokens,
        error=error,
        force=row.force,
        confirmed=row.confirmed,
        stages=stages,
        fresh=frozenset(fresh),
    )
