"""Runs, announced publications, versions, answers, deadlines, crash counts, a fuller log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what surviving needs; the versions there are become known."""
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("collection_key", sa.String(length=127), nullable=False),
        sa.Column(
            "process", sa.String(length=512), nullable=False, comment="host, number and start"
        ),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=True,
            comment="why somebody other than a person stops it",
        ),
        sa.ForeignKeyConstraint(
            ["collection_key"],
            ["collections.key"],
            name=op.f("fk_runs_collection_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
        comment="runs at work: a row appears when one begins and goes when it ends",
    )
    op.create_table(
        "document_versions",
        sa.Column("document_id", sa.String(length=128), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.document_id"],
            name=op.f("fk_document_versions_document_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("document_id", "sha256", name=op.f("pk_document_versions")),
        comment="where the bytes of each version are, until maintenance removes them",
    )
    op.create_index(
        op.f("ix_document_versions_object_key"), "document_versions", ["object_key"], unique=False
    )
    op.execute(
        "INSERT INTO document_versions (document_id, sha256, object_key, bytes, created_at) "
        "SELECT document_id, sha256, object_key, bytes, updated_at FROM documents "
        "WHERE sha256 IS NOT NULL AND object_key IS NOT NULL"
    )
    op.create_table(
        "answers",
        sa.Column("document_id", sa.String(length=128), nullable=False),
        sa.Column(
            "sealed", sa.Text(), nullable=False, comment="encrypted with a key kept elsewhere"
        ),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.document_id"],
            name=op.f("fk_answers_document_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_answers")),
        comment="what people answered, until it was used",
    )
    op.create_table(
        "publications",
        sa.Column("claim_id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.String(length=128), nullable=False),
        sa.Column("collection_key", sa.String(length=127), nullable=False),
        sa.Column("announced_at", sa.Double(), nullable=False),
        sa.Column(
            "returned", sa.Boolean(), nullable=False, comment="the publisher is through with it"
        ),
        sa.ForeignKeyConstraint(
            ["collection_key"],
            ["collections.key"],
            name=op.f("fk_publications_collection_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("claim_id", "document_id", name=op.f("pk_publications")),
        comment="index commits that were announced and not yet recorded: there the index is in "
        "doubt",
    )
    op.create_index(
        op.f("ix_publications_document_id"), "publications", ["document_id"], unique=False
    )
    crashes = "runs in a row that died while they had it"
    op.add_column(
        "documents",
        sa.Column("crashes", sa.Integer(), nullable=False, server_default="0", comment=crashes),
    )
    requested_by = "the run that asked for it by itself, for no task"
    op.add_column(
        "documents",
        sa.Column("requested_by", sa.String(length=128), nullable=True, comment=requested_by),
    )
    confirmed = "the version that a person said to go on with"
    op.add_column(
        "documents", sa.Column("confirmed", sa.String(length=64), nullable=True, comment=confirmed)
    )
    question = "put to a person, while it waits"
    op.add_column("tasks", sa.Column("question", sa.JSON(), nullable=True, comment=question))
    deadline = "when running, or waiting for input, has to end"
    op.add_column("tasks", sa.Column("deadline", sa.Double(), nullable=True, comment=deadline))
    op.create_index(op.f("ix_tasks_deadline"), "tasks", ["deadline"], unique=False)
    for name, kind, comment in (
        ("name", sa.String(length=512), "of the document"),
        ("suffix", sa.String(length=32), "of its name, without the dot"),
        ("source", sa.Text(), "where its bytes came from"),
        ("pipeline", sa.String(length=63), "which way it took"),
        ("messages", sa.Text(), "everything it said, a line each"),
    ):
        op.add_column("operations", sa.Column(name, kind, nullable=True, comment=comment))
    if op.get_context().dialect.name != "sqlite":  # which keeps no comments
        op.alter_column(
            "task_documents", "outcome", comment="the state it ended in; null while open"
        )
