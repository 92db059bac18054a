"""Versions of the registry's schema: which there are, which a database has, and its upgrade.

Most processes find the newest one, and need no more than its name: Alembic, which takes as long to
import as all else that a short command needs, is for upgrades. Does not belong here: what a version
changes (``migrations``).
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, PermanentError

MIGRATIONS = Path(__file__).parent / "migrations"
_VERSION = sa.table("alembic_version", sa.column("version_num", sa.String))


def revisions() -> list[str]:
    """Return the versions that this code knows, the oldest first; their files are named by them."""
    files = (MIGRATIONS / "versions").glob("[0-9]*_*.py")
    return sorted(file.name.partition("_")[0] for file in files)


def newest_revision() -> str:
    """Return the version of the schema that this code writes."""
    return revisions()[-1]


def revision_of(connection: sa.Connection) -> str | None:
    """Return the version of a registry's schema; None of a database without one."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    revision: str | None = connection.execute(sa.select(_VERSION)).scalar_one_or_none()
    return revision


def require_known(revision: str | None) -> None:
    """Make sure that this code knows a version of the schema.

    Raises:
        PermanentError: of kind ``unavailable`` if it is of a newer version of this program.
    """
    if revision is not None and revision not in revisions():
        raise PermanentError(
            ErrorKind.UNAVAILABLE,
            f"the registry has schema {revision[:32]}, and this program knows those up to "
            f"{newest_revision()}: a newer version wrote it; install that one here too, or restore "
            "a backup that was taken before the upgrade",
        )


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
    """Migrate the schema within a transaction."""
    import alembic.command
    import alembic.config

    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, revision)
