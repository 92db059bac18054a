"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "collections",
        sa.Column("key", sa.String(length=127), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_collections")),
    )
    op.create_table(
        "operations",
        sa.Column("operation_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("task_id", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("collection", sa.String(length=255), nullable=False),
        sa.Column("tenant", sa.String(length=255), nullable=False),
        sa.Column("document_id", sa.String(length=128), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("pk_operations")),
        comment="the operation log: one row for each task that ended",
    )
    op.create_index(op.f("ix_operations_task_id"), "operations", ["task_id"], unique=False)
    op.create_index(
        op.f("ix_operations_tenant_collection_operation_id"),
        "operations",
        ["tenant", "collection", "operation_id"],
        unique=False,
    )
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.String(length=128), nullable=False),
        sa.Column("batch_id", sa.String(length=128), nullable=True),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("collection", sa.String(length=255), nullable=False),
        sa.Column("tenant", sa.String(length=255), nullable=False),
        sa.Column("document_id", sa.String(length=128), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("error_kind", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("backend", sa.String(length=16), nullable=True),
        sa.Column("run_id", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_tasks")),
    )
    op.create_index(op.f("ix_tasks_batch_id"), "tasks", ["batch_id"], unique=False)
    op.create_index(
        op.f("ix_tasks_collection_state"), "tasks", ["collection", "state"], unique=False
    )
    op.create_index(op.f("ix_tasks_document_id"), "tasks", ["document_id"], unique=False)
    op.create_index(
        op.f("ix_tasks_state_created_at"), "tasks", ["state", "created_at"], unique=False
    )
    op.create_table(
        "claims",
        sa.Column("claim_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("collection_key", sa.String(length=127), nullable=False),
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_key"],
            ["collections.key"],
            name=op.f("fk_claims_collection_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_claims")),
        comment="batches that runs own through leases; a claim's id is its fencing token",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_claims_collection_key"), "claims", ["collection_key"], unique=False)
    op.create_index(op.f("ix_claims_run_id"), "claims", ["run_id"], unique=False)
    op.create_table(
        "stage_versions",
        sa.Column("collection_key", sa.String(length=127), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("multiset", sa.String(length=64), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_key"],
            ["collections.key"],
            name=op.f("fk_stage_versions_collection_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_key", "stage", name=op.f("pk_stage_versions")),
        comment="per collection and stage: hash of the multiset of (document, fingerprint)",
    )
    op.create_table(
        "task_documents",
        sa.Column("task_id", sa.String(length=128), nullable=False),
        sa.Column("document_id", sa.String(length=128), nullable=False),
        sa.Column("claim_id", sa.Integer(), nullable=True),
        sa.Column(
            "outcome",
            sa.String(length=16),
            nullable=True,
            comment="succeeded or failed; null while open",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["tasks.task_id"],
            name=op.f("fk_task_documents_task_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("task_id", "document_id", name=op.f("pk_task_documents")),
        comment="which documents a task is about and how each ended",
    )
    op.create_index(
        op.f("ix_task_documents_claim_id"), "task_documents", ["claim_id"], unique=False
    )
    op.create_index(
        op.f("ix_task_documents_document_id"), "task_documents", ["document_id"], unique=False
    )
    op.create_table(
        "task_messages",
        sa.Column("message_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("task_id", sa.String(length=128), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["tasks.task_id"],
            name=op.f("fk_task_messages_task_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_task_messages")),
    )
    op.create_index(op.f("ix_task_messages_task_id"), "task_messages", ["task_id"], unique=False)
    op.create_table(
        "documents",
        sa.Column("document_id", sa.String(length=128), nullable=False),
        sa.Column("collection_key", sa.String(length=127), nullable=False),
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("object_key", sa.Text(), nullable=True),
        sa.Column(
            "fetch", sa.Boolean(), nullable=False, comment="bytes are to be fetched from the uri"
        ),
        sa.Column("media_type", sa.String(length=255), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("chunks", sa.Integer(), nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=True),
        sa.Column(
            "index_table",
            sa.String(length=255),
            nullable=True,
            comment="where its published chunks are",
        ),
        sa.Column("error_kind", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="transient failures in a row"),
        sa.Column("not_before", sa.Double(), nullable=False, comment="when to try again"),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.Double(), nullable=False),
        sa.Column(
            "force", sa.Boolean(), nullable=False, comment="process although nothing changed"
        ),
        sa.Column("claim_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["claim_id"], ["claims.claim_id"], name=op.f("fk_documents_claim_id")
        ),
        sa.ForeignKeyConstraint(
            ["collection_key"],
            ["collections.key"],
            name=op.f("fk_documents_collection_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_documents")),
    )
    op.create_index(op.f("ix_documents_claim_id"), "documents", ["claim_id"], unique=False)
    op.create_index(
        op.f("ix_documents_collection_key_state_requested_at"),
        "documents",
        ["collection_key", "state", "requested_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_documents_state_not_before"), "documents", ["state", "not_before"], unique=False
    )
    op.create_table(
        "document_stages",
        sa.Column("document_id", sa.String(length=128), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column(
            "version", sa.String(length=64), nullable=False, comment="sha256 of the source bytes"
        ),
        sa.Column("recipe", sa.String(length=64), nullable=False, comment="configuration and code"),
        sa.Column(
            "fingerprint", sa.String(length=64), nullable=False, comment="names the stored result"
        ),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.document_id"],
            name=op.f("fk_document_stages_document_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("document_id", "stage", name=op.f("pk_document_stages")),
    )
