"""What is built of collections as a whole, and when they changed last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; collections count as unchanged for long."""
    op.add_column(
        "stage_versions",
        sa.Column("changed_at", sa.Double(), nullable=False, server_default="0"),
    )
    op.create_table(
        "builds",
        sa.Column("collection_key", sa.String(length=127), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="the type of its tasks"),
        sa.Column("run_id", sa.String(length=128), nullable=True, comment="the run that is at it"),
        sa.Column("not_before", sa.Double(), nullable=False, comment="when to try again"),
        sa.Column(
            "planned_for",
            sa.String(length=128),
            nullable=True,
            comment="the version it was last asked for by itself",
        ),
        sa.Column(
            "built_from",
            sa.String(length=128),
            nullable=True,
            comment="the version that the last one is of",
        ),
        sa.Column("built_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_key"],
            ["collections.key"],
            name=op.f("fk_builds_collection_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_key", "kind", name=op.f("pk_builds")),
        comment="what is built of a collection as a whole: one run at a time",
    )
    op.create_index(op.f("ix_builds_run_id"), "builds", ["run_id"], unique=False)
