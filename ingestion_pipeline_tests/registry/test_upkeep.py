from __future__ import annotations

import sqlalchemy as sa

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.schema import claims, document_versions, documents, publications
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    delete,
    digest,
    doubts,
    find,
    finish_deletion,
    id_of,
    submit,
    taken,
    work_off,
)

HOUR = 3600.0


def age(registry: Registry, seconds: float = 2 * HOUR) -> None:
    """Let everything have happened so much earlier."""
    with registry.database.write() as connection:
        for column in (
            documents.c.updated_at,
            document_versions.c.created_at,
            claims.c.created_at,
        ):
            connection.execute(sa.update(column.table).values({column.name: column - seconds}))


def versions(registry: Registry, name: str) -> set[str]:
    """The numbers of the versions whose bytes are known."""
    numbers = {digest(name, number): number for number in "12345"}
    query = sa.select(document_versions.c.sha256).where(
        document_versions.c.document_id == id_of(name)
    )
    with registry.database.read() as connection:
        return {numbers[sha256] for sha256 in connection.scalars(query)}


def test_a_version_that_is_neither_current_nor_published_is_forgotten(registry: Registry) -> None:
    for version in "12":
        submit(registry, "a", version=version)
        work_off(registry)
    submit(registry, "a", version="3")
    submit(registry, "a", version="4")
    age(registry)

    assert registry.upkeep.forget_superseded(KEY, HOUR) == 2
    assert versions(registry, "a") == {"2", "4"}
    assert registry.upkeep.object_keys(KEY) == {f"objects/{digest('a', each)}" for each in "24"}
    assert registry.upkeep.forget_superseded(KEY, HOUR) == 0


def test_a_version_stays_while_it_is_young_or_its_document_is_worked_on(registry: Registry) -> None:
    for version in "12":
        submit(registry, "a", version=version)
    assert registry.upkeep.forget_superseded(KEY, HOUR) == 0
    age(registry)
    taken(registry)

    assert registry.upkeep.forget_superseded(KEY, HOUR) == 0
    assert versions(registry, "a") == {"1", "2"}


def test_versions_of_a_deleted_document_stay_for_its_purge(registry: Registry) -> None:
    for version in "12":
        submit(registry, "a", version=version)
    delete(registry, "a")
    age(registry)

    assert registry.upkeep.forget_superseded(KEY, HOUR) == 0
    assert registry.upkeep.object_keys(KEY) == {f"objects/{digest('a', each)}" for each in "12"}


def test_versions_of_other_collections_are_left_alone(registry: Registry) -> None:
    registry.collections.ensure(CollectionName("default", "other"))
    for version in "12":
        submit(registry, "a", version=version, collection="other")
    age(registry)

    assert registry.upkeep.forget_superseded(KEY, HOUR) == 0
    assert registry.upkeep.object_keys(KEY) == set()
    assert len(registry.upkeep.object_keys("other")) == 2


def test_documents_are_deleted_for_a_while_before_they_are_listed(registry: Registry) -> None:
    submit(registry, "a", "b")
    delete(registry, "a")

    assert registry.upkeep.deleted(KEY, 0) == [id_of("a")]
    assert registry.upkeep.deleted(KEY, HOUR) == []
    age(registry)
    assert registry.upkeep.deleted(KEY, HOUR) == [id_of("a")]


def test_the_results_of_every_document_are_known_but_of_those_worked_on(registry: Registry) -> None:
    submit(registry, "done")
    work_off(registry)
    submit(registry, "taken")
    taken(registry)
    submit(registry, "waiting")

    found = registry.upkeep.fingerprints(KEY)

    assert found == {
        id_of("done"): set(find(registry, "done").stages.values()),
        id_of("taken"): None,
        id_of("waiting"): set(),
    }


def test_the_age_of_the_oldest_claim_is_told(registry: Registry) -> None:
    assert registry.upkeep.oldest_claim_seconds(KEY) == 0
    submit(registry, "a", "b")
    taken(registry, max_documents=1)
    age(registry)
    taken(registry, max_documents=1)

    assert 2 * HOUR <= registry.upkeep.oldest_claim_seconds(KEY) < 2 * HOUR + 60
    assert registry.upkeep.oldest_claim_seconds("other") == 0


def test_a_doubt_is_held_settled_and_gone(registry: Registry) -> None:
    submit(registry, "a", "b")
    work_off(registry)

    registry.publications.doubt(KEY, [id_of("a")])
    registry.publications.doubt(KEY, [id_of("a")])

    assert doubts(registry) == {"a"}
    assert registry.upkeep.doubtful(KEY) == {id_of("a")}
    held = registry.publications.hold_doubtful(KEY, "settle", 60)
    assert held is not None
    assert held.document_ids == (id_of("a"),)
    registry.publications.settle(held, agreeing=held.document_ids)
    assert doubts(registry) == set()


def test_a_doubt_about_what_a_run_is_about_to_do_waits_for_it(registry: Registry) -> None:
    """Removing its rows would take from readers what they find until then."""
    submit(registry, "a")
    registry.publications.doubt(KEY, [id_of("a")])

    assert registry.publications.hold_doubtful(KEY, "settle", 60) is None
    work_off(registry)
    assert registry.publications.hold_doubtful(KEY, "settle", 60) is not None


def test_what_is_deleted_is_not_in_doubt_when_its_rows_are_gone(registry: Registry) -> None:
    submit(registry, "a")
    work_off(registry)
    task_id = delete(registry, "a")
    assert registry.upkeep.doubtful(KEY) == {id_of("a")}

    finish_deletion(registry, task_id)

    assert registry.upkeep.doubtful(KEY) == set()
    with registry.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(publications)) == 0
