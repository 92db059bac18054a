"""The rows of claims: opened, found by their runs, and given back.

Belongs here: what every owner of documents does with its claim, inside a transaction of its own.
Does not belong here: which documents are claimed, and for what (``claims``, ``publications``).
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.registry.database import now
from ingestion_pipeline.registry.documents import parts
from ingestion_pipeline.registry.schema import claims, documents, task_documents


def open_claim(
    connection: sa.Connection,
    collection_key: str,
    run_id: str,
    lease_seconds: float,
    document_ids: Sequence[str],
) -> int:
    """Claim documents; return the claim's id."""
    claim_id: int = connection.execute(
        claims.insert()
        .values(
            collection_key=collection_key,
            run_id=run_id,
            created_at=now(),
            expires_at=now() + lease_seconds,
        )
        .returning(claims.c.claim_id)
    ).scalar_one()
    for part in parts(document_ids):
        connection.execute(
            documents.update().where(documents.c.document_id.in_(part)).values(claim_id=claim_id)
        )
    return claim_id


def claims_of(connection: sa.Connection, run_ids: Sequence[str]) -> list[int]:
    """Return the claims of runs, locked."""
    query = sa.select(claims.c.claim_id).where(claims.c.run_id.in_(run_ids)).with_for_update()
    return list(connection.scalars(query))


def release_claims(connection: sa.Connection, claim_ids: Sequence[int]) -> None:
    """Give back what claims hold; what was being processed waits again."""
    connection.execute(
        documents.update()
        .where(documents.c.claim_id.in_(claim_ids))
        .values(
            state=sa.case(
                (documents.c.state == DocumentState.PROCESSING, DocumentState.PENDING),
                else_=documents.c.state,
            ),
            claim_id=None,
        )
    )
    connection.execute(
        task_documents.update()
        .where(task_documents.c.claim_id.in_(claim_ids))
        .values(claim_id=None)
    )
    connection.execute(claims.delete().where(claims.c.claim_id.in_(claim_ids)))
