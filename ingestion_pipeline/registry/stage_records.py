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
from ingestion_pipeline.registry.database import insert_all_missing, insert_into, now
from ingestion_pipeline.registry.schema import document_stages, stage_versions

_STAGES = frozenset(Stage)


@dataclass(frozen=True)
class StageResult:
    """What names a stored result of a stage; see ``document_stages``."""

    recipe: str
    fingerprint: str


@dataclass(frozen=True)
class FinishedStages:
    """The stages that were brought up to date for one version of a document."""

    version: str | None
    stages: Mapping[str, StageResult]


def record_stages(
    connection: sa.Connection,
    collection_key: str,
    finished: Mapping[str, FinishedStages],
    begun_at: float | None = None,
) -> None:
    """Upsert the stages' fingerprints, by document, and the collection's data versions.

    What was asked for after ``begun_at``, which is now if it is not said, they are no answer to.
    """
    rows = [
        {
            "document_id": document_id,
            "stage": stage,
            "version": one.version,
            "recipe": result.recipe,
            "fingerprint": result.fingerprint,
        }
        for document_id, one in sorted(finished.items())
        for stage, result in one.stages.items()
    ]
    if not rows:
        return
    before = _fingerprints(connection, sorted(finished))
    at = now() if begun_at is None else sa.literal(begun_at, sa.Double)
    insert = insert_into(connection, document_stages).values(updated_at=at)
    kept = document_stages.c.updated_at > insert.excluded.updated_at  # see ``Rerun``
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=document_stages.primary_key,
            set_={name: insert.excluded[name] for name in ("version", "recipe", "fingerprint")}
            | {
                "updated_at": sa.case(
                    (kept, document_stages.c.updated_at), else_=insert.excluded.updated_at
                )
            },
        ),
        rows,
    )
    added: dict[str, dict[str, str]] = {}
    for document_id, one in finished.items():
        for stage, result in one.stages.items():
            if stage in _STAGES:  # parts of one, which pipelines have, count with it
                added.setdefault(stage, {})[document_id] = result.fingerprint
    removed = {
        stage: {key: before[key, stage] for key in new if (key, stage) in before}
        for stage, new in added.items()
    }
    _update_versions(connection, collection_key, removed, added)


def forget_stages(
    connection: sa.Connection,
    collection_key: str,
    document_ids: Sequence[str],
    stages: Sequence[Stage] | None = None,
) -> None:
    """Forget stages of documents, all of them unless some are named."""
    before = _fingerprints(connection, document_ids)
    named = sa.true() if stages is None else document_stages.c.stage.in_(stages)
    connection.execute(
        document_stages.delete().where(document_stages.c.document_id.in_(document_ids), named)
    )
    removed: dict[str, dict[str, str]] = {}
    for (document_id, stage), fingerprint in before.items():
        if stage in (stages or _STAGES):
            removed.setdefault(stage, {})[document_id] = fingerprint
    if removed:
        _update_versions(connection, collection_key, removed, {})


def _fingerprints(
    connection: sa.Connection, document_ids: Sequence[str]
) -> dict[tuple[str, str], str]:
    rows = connection.execute(
        sa.select(
            document_stages.c.document_id, document_stages.c.stage, document_stages.c.fingerprint
        ).where(document_stages.c.document_id.in_(document_ids))
    )
    return {(row.document_id, row.stage): row.fingerprint for row in rows}


def _update_versions(
    connection: sa.Connection,
    collection_key: str,
    removed: Mapping[str, Mapping[str, str]],
    added: Mapping[str, Mapping[str, str]],
) -> None:
    """Take fingerprints of documents out of the collection's data versions, and put others in."""
    stages = sorted({*removed, *added})
    insert_all_missing(
        connection,
        stage_versions,
        [{"stage": stage} for stage in stages],
        collection_key=collection_key,
        multiset=multiset.EMPTY,
        documents=0,
        changed_at=now(),
    )
    rows = connection.execute(
        sa.select(stage_versions)
        .where(
            stage_versions.c.collection_key == collection_key, stage_versions.c.stage.in_(stages)
        )
        .order_by(stage_versions.c.stage)
        .with_for_update()
    ).all()
    changed = []
    for row in rows:
        old, new = removed.get(row.stage, {}), added.get(row.stage, {})
        changed.append(
            {
                "of": row.stage,
                "multiset": multiset.replace(row.multiset, _members(old), _members(new)),
                "documents": row.documents + len(new) - len(old),
            }
        )
    connection.execute(
        stage_versions.update()
        .where(
            stage_versions.c.collection_key == collection_key,
            stage_versions.c.stage == sa.bindparam("of"),
        )
        .values(changed_at=now()),
        changed,
    )


def _members(fingerprints: Mapping[str, str]) -> list[str]:
    return [f"{document_id}:{fingerprint}" for document_id, fingerprint in fingerprints.items()]
