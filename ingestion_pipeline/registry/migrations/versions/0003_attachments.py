"""Documents within documents, and documents with a parser kind of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nothing was attached to anything so far."""
    parent = "the document it is attached to"
    op.add_column(
        "documents", sa.Column("parent_id", sa.String(length=128), nullable=True, comment=parent)
    )
    op.create_index(op.f("ix_documents_parent_id"), "documents", ["parent_id"], unique=False)
    attached = "whether the document has, or had, others attached to it"
    op.add_column(
        "publications",
        sa.Column(
            "attached", sa.Boolean(), nullable=False, server_default=sa.false(), comment=attached
        ),
    )
    parser = "its kind, where it is not the collection's"
    op.add_column(
        "documents", sa.Column("parser", sa.String(length=16), nullable=True, comment=parser)
    )
