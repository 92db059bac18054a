from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ingestion_pipeline.registry import vacuum as module
from ingestion_pipeline.registry.vacuum import Vacuumed, vacuum

ROW = b"x" * 4000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A file of 12 MB of which three quarters are free, in use by somebody else."""
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, data BLOB)")
        connection.executemany("INSERT INTO rows (data) VALUES (?)", [(ROW,)] * 3000)
        connection.execute("DELETE FROM rows WHERE id % 4")
        connection.commit()
    return path


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM rows").fetchone()[0])


def test_what_is_free_is_given_back_while_others_have_the_file_open(database: Path) -> None:
    with closing(sqlite3.connect(database)) as other:
        other.execute("SELECT count(*) FROM rows").fetchone()

        done = vacuum(database, 5)

        assert done.problem is None
        assert done.free_bytes > 8_000_000
        assert done.bytes < done.bytes_before / 2
        assert other.execute("SELECT count(*) FROM rows").fetchone() == (750,)


def test_a_dry_run_says_what_is_free(database: Path) -> None:
    size = database.stat().st_size
    would = vacuum(database, 5, dry_run=True)
    assert would.free_bytes > 8_000_000
    assert database.stat().st_size == size


def test_little_is_left_alone(database: Path) -> None:
    vacuum(database, 5)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM rows WHERE id < 100")
    assert vacuum(database, 5).free_bytes > 0


def test_a_file_that_is_busy_stays_as_it_is(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.1)
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")

        done = vacuum(database, 0.5)

        assert done.problem == "database is locked"
        writer.execute("ROLLBACK")
    assert count(database) == 750


@pytest.mark.parametrize("seconds", [0.001, 0.0])
def test_a_file_that_would_keep_writers_waiting_stays_as_it_is(
    database: Path, seconds: float
) -> None:
    done = vacuum(database, seconds)
    assert done.problem is not None
    assert done.bytes >= 12_000_000
    assert count(database) == 750


def test_writing_that_takes_too_long_is_given_up(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", -1.0)
    monkeypatch.setattr(module, "STEPS_BETWEEN_LOOKS", 10)
    done = vacuum(database, 0.5)
    assert done.problem == "interrupted"
    assert count(database) == 750


def test_of_a_file_that_is_not_there_nothing_is_made(tmp_path: Path) -> None:
    assert vacuum(tmp_path / "none.db", 5) == Vacuumed(0, 0, 0)
    assert list(tmp_path.iterdir()) == []
