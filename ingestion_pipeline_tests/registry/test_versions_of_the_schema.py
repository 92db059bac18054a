"""State of a newer version of this program is refused; ``test_database`` migrates older state."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.execution.instance import open_instance
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline.registry.registry import open_registry
from ingestion_pipeline.registry.revisions import (
    MIGRATIONS,
    newest_revision,
    require_known,
    revision_of,
    revisions,
)
from ingestion_pipeline_tests.cli.terminal import said
from ingestion_pipeline_tests.system.processes import free_port


def test_a_newer_registry_is_refused_with_what_to_do(new_url: str) -> None:
    registry = open_registry(new_url)
    with registry.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    registry.database.dispose()

    with pytest.raises(PermanentError, match=f"schema 9999.* up to {newest_revision()}") as caught:
        open_registry(new_url)

    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_files_are_named_by_the_versions_that_they_lead_to() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    assert revisions() == [script.revision for script in scripts][::-1]


def test_a_database_without_a_registry_has_no_version(new_url: str) -> None:
    database = Database(new_url)
    with database.read() as connection:
        assert revision_of(connection) is None
    database.migrate()
    with database.read() as connection:
        assert revision_of(connection) == newest_revision()
    database.dispose()


def test_versions_that_are_known_are_not_refused() -> None:
    for revision in (None, "0001", newest_revision()):
        require_known(revision)


@pytest.mark.parametrize("command", ["up", "worker", "tasks", "backup"])
def test_every_command_refuses_it_in_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ingest up` too, before it starts anything."""
    registry = open_registry(f"sqlite:///{tmp_path / 'registry.db'}")
    with registry.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    registry.database.dispose()
    monkeypatch.setenv("INGEST_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    open_instance.cache_clear()
    arguments = {"up": ["--port", str(free_port())], "backup": [str(tmp_path / "backup")]}

    done = said(command, *arguments.get(command, []))

    open_instance.cache_clear()
    assert done.code == 1
    assert "error: unavailable: the registry has schema 9999" in done.err.splitlines()[-1]
    assert not (tmp_path / "redis.sock").exists()
