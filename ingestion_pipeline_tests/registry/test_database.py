from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import alembic.autogenerate
import alembic.command
import alembic.config
import alembic.migration
import pytest
import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.registry.database import Database, now
from ingestion_pipeline.registry.registry import open_registry
from ingestion_pipeline.registry.revisions import MIGRATIONS
from ingestion_pipeline.registry.schema import collections, document_versions, metadata


def test_migrations_make_the_tables_that_the_schema_describes(database: Database) -> None:
    with database.read() as connection:
        context = alembic.migration.MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert alembic.autogenerate.compare_metadata(context, metadata) == []


def test_opening_a_registry_again_changes_nothing(new_url: str) -> None:
    first = open_registry(new_url)
    first.database.dispose()

    second = open_registry(new_url)

    assert second.collections.all() == []
    second.database.dispose()


def test_what_an_older_registry_knows_is_kept(new_url: str) -> None:
    database = Database(new_url)
    with database.write() as connection:
        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0001")
        connection.execute(collections.insert().values(**_row("docs")))
        for name, sha256 in (("a.txt", "'1'"), ("unfetched.txt", "NULL")):
            connection.exec_driver_sql(
                "INSERT INTO documents (document_id, collection_key, name, uri, state, sha256, "
                'object_key, "fetch", bytes, attempts, not_before, priority, requested_at, force, '
                f"created_at, updated_at) VALUES ('{name}', 'docs', '{name}', 'file:///{name}', "
                f"'pending', {sha256}, 'objects/{name}', FALSE, 7, 0, 0, 0, 0, FALSE, 0, 5)"
            )
    database.dispose()

    registry = open_registry(new_url)

    assert [each.name for each in registry.documents.find("docs")] == ["a.txt", "unfetched.txt"]
    with registry.database.read() as connection:
        versions = connection.execute(sa.select(document_versions)).all()
    assert [tuple(row) for row in versions] == [("a.txt", "1", "objects/a.txt", 7, 5.0, None)]
    registry.database.dispose()


def test_the_clock_is_the_databases_and_tells_the_time(database: Database) -> None:
    with database.read() as connection:
        assert connection.scalar(sa.select(now())) == pytest.approx(time.time(), abs=5)


def test_what_fails_inside_a_transaction_leaves_no_trace(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as connection:
            connection.execute(collections.insert().values(**_row("docs")))
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_and_fail()
    with database.read() as connection:
        assert connection.execute(sa.select(collections)).all() == []


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with database.write() as writer:
        writer.execute(collections.insert().values(**_row("docs")))
        with database.read() as reader:
            assert reader.execute(sa.select(collections)).all() == []


def test_a_sqlite_writer_waits_for_another_one(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'registry.db'}").read() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@pytest.mark.parametrize(
    "url", ["sqlite:////proc/registry.db", "postgresql://someone:secret@localhost:1/registry"]
)
def test_a_database_that_does_not_answer_is_a_transient_error_without_the_password(
    url: str,
) -> None:
    with pytest.raises(TransientError) as raised:
        open_registry(url)

    assert raised.value.kind is ErrorKind.UNAVAILABLE
    assert "secret" not in raised.value.message


def _row(key: str) -> dict[str, object]:
    return {"key": key, "tenant": "default", "name": key, "config": {}, "created_at": 0.0}


def test_processes_are_let_into_a_block_one_after_the_other(database: Database) -> None:
    seen: list[str] = []

    def enter() -> None:
        with database.alone("table"):
            seen.append("in")
            time.sleep(0.05)
            seen.append("out")

    with ThreadPoolExecutor() as threads:
        for entered in [threads.submit(enter) for _ in range(3)]:
            entered.result(10)

    assert seen == ["in", "out"] * 3


def test_blocks_of_other_names_do_not_wait(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.alone("one"), database.alone("another"):
        pass
    database.dispose()


def test_who_was_stopped_in_a_block_loses_its_turn_and_learns_of_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion_pipeline.registry.database.STALLED_SECONDS", 0.1)
    stopped, other = Database(postgres_url), Database(postgres_url)

    turns: list[str] = []

    def stop_in_the_block() -> None:
        with stopped.alone("table"):
            with other.alone("table"):
                turns.append("the other's")
            turns.append("still its own, it thinks")

    with pytest.raises(TransientError):
        stop_in_the_block()

    assert turns == ["the other's", "still its own, it thinks"]
    stopped.dispose()
    other.dispose()
