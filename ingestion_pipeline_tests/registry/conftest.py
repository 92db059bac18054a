"""Every test of this folder runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline.registry.registry import Registry, open_registry
from ingestion_pipeline.registry.schema import metadata
from ingestion_pipeline_tests.servers import new_database

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(scope="session", params=DATABASES)
def migrated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with all tables, made once: migrating takes longer than most tests."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'registry.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    database = open_registry(url).database
    yield database
    database.dispose()


@pytest.fixture
def database(migrated: Database) -> Database:
    """The same with nothing in it."""
    with migrated.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return migrated


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry that knows one collection, ``docs``."""
    registry = Registry(database)
    registry.collections.ensure(CollectionName("default", "docs"))
    return registry


@pytest.fixture(params=DATABASES)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that has no tables yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'registry.db'}"
    return new_database(request.getfixturevalue("postgres_url"))
