"""By what a submitted file is known again without reading it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "document_versions",
        sa.Column(
            "stamp", sa.String(length=96), comment="of the file that had these bytes, if it was one"
        ),
    )
