"""Which result of each stage a document has, and a collection's data versions that follow from it.

Belongs here: writing and forgetting ``document_stages``, keeping ``stage_versions`` in step. Does
not belong here: who may do so (``results``, ``publications``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.registry import multiset
from ingestion_pipeline.registry.database import insert_if_missing, now
from ingestion_pipeline.registry.schema import document_stages, stage_versions


@dataclass(frozen=True)
class StageResult:
    """What names a stored result of a stage; see ``document_stages``."""

    recipe: str
    fingerprint: str


@dataclass(frozen=True)
class FinishedStages:
    """The stages that were brought up to date for one version of a document."""

    version: str | None
    stages: Mapping[Stage, StageResult]


def record_stages(
    connection: sa.Connection, collection_key: str, finished: Mapping[str, FinishedStages]
) -> None:
    """Upsert the stages' fingerprints, by document, and the collection's data versions."""
    before = _fingerprints(connection, sorted(finished))
    for stage in Stage:
        new = {
            document_id: (one.version, one.stages[stage])
            for document_id, one in finished.items()
            if stage in one.stages
        }
        if not new:
            continue
        connection.execute(
            document_stages.delete().where(
                document_stages.c.document_id.in_(new), document_stages.c.stage == stage
            )
        )
        connection.execute(
            document_stages.insert().values(updated_at=now()),
            [
                {
                    "document_id": document_id,
                    "stage": stage,
                    "version": version,
                    "recipe": done.recipe,
                    "fingerprint": done.fingerprint,
                }
                for document_id, (version, done) in new.items()
            ],
        )
        old = {key: before[key, stage] for key in new if (key, stage) in before}
        added = {key: done.fingerprint for key, (_, done) in new.items()}
        _update_version(connection, collection_key, stage, removed=old, added=added)


def forget_stages(
    connection: sa.Connection,
    collection_key: str,
    document_ids: Sequence[str],
    stages: Sequence[Stage] = tuple(Stage),
) -> None:
    """Forget stages of documents, all of them unless some are named."""
    before = _fingerprints(connection, document_ids)
    connection.execute(
        document_stages.delete().where(
            document_stages.c.document_id.in_(document_ids), document_stages.c.stage.in_(stages)
        )
    )
    for stage in stages:
        removed = {key: found for (key, of), found in before.items() if of is stage}
        if removed:
            _update_version(connection, collection_key, stage, removed=removed, added={})


def _fingerprints(
    connection: sa.Connection, document_ids: Sequence[str]
) -> dict[tuple[str, Stage], str]:
    rows = connection.execute(
        sa.select(
            document_stages.c.document_id, document_stages.c.stage, document_stages.c.fingerprint
        ).where(document_stages.c.document_id.in_(document_ids))
    )
    return {(row.document_id, Stage(row.stage)): row.fingerprint for row in rows}


def _update_version(
    connection: sa.Connection,
    collection_key: str,
    stage: Stage,
    *,
    removed: Mapping[str, str],
    added: Mapping[str, str],
) -> None:
    mine = (stage_versions.c.collection_key == collection_key) & (stage_versions.c.stage == stage)
    insert_if_missing(
        connection,
        stage_versions,
        collection_key=collection_key,
        stage=stage,
        multiset=multiset.EMPTY,
        documents=0,
        changed_at=now(),
    )
    row = connection.execute(sa.select(stage_versions).where(mine).with_for_update()).one()
    connection.execute(
        stage_versions.update()
        .where(mine)
        .values(
            multiset=multiset.replace(row.multiset, _members(removed), _members(added)),
            documents=row.documents + len(added) - len(removed),
            changed_at=now(),
        )
    )


def _members(fingerprints: Mapping[str, str]) -> list[str]:
    return [f"{document_id}:{fingerprint}" for document_id, fingerprint in fingerprints.items()]
