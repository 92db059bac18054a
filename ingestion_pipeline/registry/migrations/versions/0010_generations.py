"""The embedding model that a collection is searched with, and tables of others beside its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column and two tables; what is configured now is what is searched."""
    op.add_column(
        "collections",
        sa.Column("searched_model", sa.Text(), comment="null until something is published"),
    )
    op.create_table(
        "generations",
        sa.Column("collection_key", sa.String(length=127), nullable=False),
        sa.Column("index_table", sa.String(length=255), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="of the model"),
        sa.Column("recipes", sa.JSON(), nullable=False, comment="of its documents, by pipeline"),
        sa.Column("kept_until", sa.Double(), comment="null while it is being filled"),
        sa.Column("problem", sa.Text(), comment="why it is not searched although it is full"),
        sa.ForeignKeyConstraint(
            ["collection_key"],
            ["collections.key"],
            name=op.f("fk_generations_collection_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_key", "index_table", name=op.f("pk_generations")),
        comment="tables of other embedding models beside the one that is searched",
    )
    op.create_table(
        "copies",
        sa.Column("document_id", sa.String(length=128), nullable=False),
        sa.Column("index_table", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("recipe", sa.String(length=64), nullable=False),
        sa.Column("stages", sa.JSON(), nullable=False, comment="recipe and fingerprint of each"),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.document_id"],
            name=op.f("fk_copies_document_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("document_id", "index_table", name=op.f("pk_copies")),
        comment="what of each document is in tables beside the one that is searched",
    )
