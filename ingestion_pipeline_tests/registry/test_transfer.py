from __future__ import annotations

from collections.abc import Iterable

import pytest
import sqlalchemy as sa

from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.registry.database import Database
from ingestion_pipeline.registry.registry import Registry, open_registry
from ingestion_pipeline.registry.revisions import newest_revision
from ingestion_pipeline.registry.schema import copies, tasks
from ingestion_pipeline.registry.transfer import Row, fill, is_empty, snapshot
from ingestion_pipeline_tests.registry.steps import KEY, done, record, submit, taken


def rows_of(database: Database) -> tuple[dict[str, list[list[Row]]], int]:
    found: dict[str, list[list[Row]]] = {}
    with snapshot(database) as moment:
        for name, part in moment.rows():
            found.setdefault(name, []).append(part)
        return found, moment.last_claim


def filled(
    url: str, rows: dict[str, list[list[Row]]], last_claim: int, **changes: float
) -> Registry:
    database = Database(url)
    values = {"age_seconds": 0.0} | changes
    fill(database, newest_revision(), rows, last_claim=last_claim, **values)
    database.dispose()
    return open_registry(url)


def finish(registry: Registry) -> Claim:
    claim = taken(registry)
    record(registry, claim, *map(done, claim.documents))
    return claim


@pytest.fixture
def busy(registry: Registry) -> Registry:
    """A registry in which something was done, is in work, and waits."""
    registry.collections.create(CollectionName("acme", "docs"), CollectionConfig(chunk_tokens=99))
    submit(registry, "done.txt")
    finish(registry)
    submit(registry, "in-work.txt")
    taken(registry)
    submit(registry, "waiting.txt")
    return registry


def test_rows_are_the_same_in_another_database_of_either_kind(busy: Registry, new_url: str) -> None:
    rows, last_claim = rows_of(busy.database)

    there = filled(new_url, rows, last_claim)

    again, _ = rows_of(there.database)
    changed = {"publications"}
    for name in rows.keys() - changed:
        assert _flat(again[name]) == _flat(rows[name]), name
    with there.database.read() as connection:  # no question is NULL, not JSON's null
        assert connection.scalar(sa.select(sa.func.count(tasks.c.question))) == 0
    there.database.dispose()


def test_numbers_go_on_where_they_were(busy: Registry, new_url: str) -> None:
    rows, last_claim = rows_of(busy.database)
    there = filled(new_url, rows, last_claim + 100)

    submit(there, "new.txt")
    first = finish(there)

    assert first.claim_id == last_claim + 101
    assert len(there.operations.latest(CollectionName("default", KEY))) >= 2
    there.database.dispose()


def test_what_has_to_end_gets_the_time_that_passed(busy: Registry, new_url: str) -> None:
    rows, last_claim = rows_of(busy.database)
    deadlines = [row["deadline"] for row in _flat(rows["tasks"]) if row["deadline"]]

    there = filled(new_url, rows, last_claim, age_seconds=500.0)

    moved = [row["deadline"] for row in _flat(rows_of(there.database)[0]["tasks"])]
    assert [each for each in moved if each] == [each + 500 for each in deadlines]
    assert deadlines
    there.database.dispose()


def test_a_snapshot_sees_one_moment(registry: Registry) -> None:
    submit(registry, "a.txt")
    with snapshot(registry.database) as moment:
        submit(registry, "b.txt")
        registry.collections.ensure(CollectionName("default", "later"))
        rows = dict(moment.rows())
        (referred,) = moment.referred()

    assert len(rows["documents"]) == 1
    assert referred.collection.key == KEY
    assert len(referred.objects) == 1


def test_what_is_referred_to_is_named(busy: Registry) -> None:
    with snapshot(busy.database) as moment:
        by_key = {each.collection.key: each for each in moment.referred()}

    documents = {each.document_id: each for each in busy.documents.find(KEY)}
    assert by_key[KEY].objects == {each.object_key for each in documents.values()}
    assert by_key[KEY].fingerprints.keys() == documents.keys()
    for document_id, fingerprints in by_key[KEY].fingerprints.items():
        assert fingerprints == set(documents[document_id].stages.values())


def test_what_a_table_beside_the_searched_one_was_made_of_is_named(busy: Registry) -> None:
    document_id = next(each.document_id for each in busy.documents.find(KEY) if each.stages)
    with busy.database.write() as connection:
        connection.execute(
            copies.insert(),
            {
                "document_id": document_id,
                "index_table": "another",
                "version": "1",
                "recipe": "r",
                "stages": {"embedded": ["r", "made for the other model"]},
                "chunks": 1,
                "tokens": 1,
            },
        )
    with snapshot(busy.database) as moment:
        by_key = {each.collection.key: each for each in moment.referred()}

    assert "made for the other model" in by_key[KEY].fingerprints[document_id]


def test_rows_of_an_older_schema_are_migrated(new_url: str) -> None:
    document = {
        "document_id": "a", "collection_key": "docs", "name": "a.txt", "uri": "file:///a.txt",
        "state": "pending", "sha256": "1", "object_key": "objects/1", "fetch": False, "bytes": 7,
        "attempts": 0, "not_before": 0.0, "priority": 0, "requested_at": 0.0, "force": False,
        "created_at": 0.0, "updated_at": 5.0,
    }  # fmt: skip
    collection = {
        "key": "docs", "tenant": "default", "name": "docs", "config": {"chunk_tokens": 99},
        "created_at": 0.0,
    }  # fmt: skip
    database = Database(new_url)

    fill(
        database,
        "0001",
        {"documents": [[document]], "collections": [[collection]]},
        last_claim=5,
        age_seconds=0.0,
    )
    database.dispose()

    registry = open_registry(new_url)
    assert registry.collections.get("docs").config.chunk_tokens == 99
    (found,) = registry.documents.find("docs")
    assert (found.name, found.state) == ("a.txt", DocumentState.PENDING)
    assert _flat(rows_of(registry.database)[0]["document_versions"])[0]["object_key"] == "objects/1"
    registry.database.dispose()


def test_tables_that_hold_nothing_are_empty_and_filled_anew(busy: Registry, new_url: str) -> None:
    rows, last_claim = rows_of(busy.database)
    database = Database(new_url)
    assert is_empty(database)
    database.migrate()
    assert is_empty(database)
    database.dispose()

    there = filled(new_url, rows, last_claim)

    assert not is_empty(there.database)
    assert {each.state for each in there.tasks.find()} >= {TaskState.SUCCEEDED, TaskState.WAITING}
    there.database.dispose()


def test_rows_that_do_not_fit_leave_nothing(new_url: str) -> None:
    database = Database(new_url)
    rows = {"stage_versions": [[{"collection_key": "nowhere", "stage": "x"}]]}

    with pytest.raises(sa.exc.IntegrityError):
        fill(database, newest_revision(), rows, last_claim=0, age_seconds=0.0)

    assert is_empty(database)
    database.dispose()


def _flat(parts: Iterable[list[Row]]) -> list[Row]:
    return sorted((row for part in parts for row in part), key=str)
