"""What sources hold, as it was last seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "sources",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("collection_key", sa.String(length=127), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("address", sa.Text(), nullable=False, comment="as people read it"),
        sa.Column("looked_at", sa.Double(), comment="when it was last looked at"),
        sa.Column("complete_at", sa.Double(), comment="when it was last seen as a whole"),
        sa.Column("problem", sa.Text(), comment="why it could not be seen as a whole"),
        sa.ForeignKeyConstraint(
            ["collection_key"],
            ["collections.key"],
            name=op.f("fk_sources_collection_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sources")),
        comment="folders, buckets and web sites that collections follow",
    )
    op.create_table(
        "source_files",
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("document_id", sa.String(length=128), nullable=False),
        sa.Column(
            "signature", sa.Text(), nullable=False, comment="another one means other content"
        ),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("missing_since", sa.Double(), comment="when it was first not there any more"),
        sa.Column(
            "confirmed", sa.Boolean(), nullable=False, comment="a person said that it is gone"
        ),
        sa.ForeignKeyConstraint(
            ["source"], ["sources.name"], name=op.f("fk_source_files_source"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("source", "uri", name=op.f("pk_source_files")),
        comment="what each source held when it was last seen, and has been handed over",
    )
    op.create_index(
        op.f("ix_source_files_document_id"), "source_files", ["document_id"], unique=False
    )
