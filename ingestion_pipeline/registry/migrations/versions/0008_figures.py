"""An index by which tasks are counted by type and state, however many there are."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    op.create_index(op.f("ix_tasks_type_state"), "tasks", ["type", "state"], unique=False)
