"""What people say of the names of entities."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "corrections",
        sa.Column("correction_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("collection_key", sa.String(length=127), nullable=False),
        sa.Column("same", sa.Boolean(), nullable=False, comment="one entity, or never one"),
        sa.Column("one", sa.Text(), nullable=False),
        sa.Column("other", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_key"],
            ["collections.key"],
            name=op.f("fk_corrections_collection_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("correction_id", name=op.f("pk_corrections")),
        comment="what people said of the names of entities; graphs are built with it",
    )
    op.create_index(
        op.f("ix_corrections_collection_key"), "corrections", ["collection_key"], unique=False
    )
