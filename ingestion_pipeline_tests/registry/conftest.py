"""Every test of this folder runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline.registry.registry import Registry, open_registry
from ingestion_pipeline.registry.schema import metadata

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry without content, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("registry") / "registry.db"
    open_registry(f"sqlite:///{path}").database.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Iterator[Database]:
    """A registry on the server; each test finds its tables empty."""
    database = open_registry(postgres_url).database
    yield database
    database.dispose()


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The migrated database of a registry without content."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "registry.db")
        database = Database(f"sqlite:///{tmp_path / 'registry.db'}")
        yield database
        database.dispose()
    else:
        database = request.getfixturevalue("migrated_postgres")
        names = ", ".join(table.name for table in metadata.sorted_tables)
        with database.write() as connection:
            connection.execute(sa.text(f"TRUNCATE {names} CASCADE"))
        yield database


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
    server = sa.make_url(request.getfixturevalue("postgres_url"))
    name = f"new_{abs(hash(request.node.nodeid))}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)
