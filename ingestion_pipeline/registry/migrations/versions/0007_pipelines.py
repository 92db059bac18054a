"""Documents that belong to a pipeline, and the parts of its stages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; the name of a stage may be that of a part of one."""
    pipeline = "where it goes another way than its collection"
    op.add_column("documents", sa.Column("pipeline", sa.String(length=63), comment=pipeline))
    with op.batch_alter_table("document_stages") as stages:
        stages.alter_column(
            "stage",
            existing_type=sa.String(length=16),
            existing_nullable=False,
            type_=sa.String(length=64),
            comment="or a part of one",
        )
