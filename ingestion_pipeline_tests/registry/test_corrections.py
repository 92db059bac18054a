from __future__ import annotations

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.graph import DifferentEntities, SameEntity
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline_tests.registry.steps import KEY


def test_what_a_person_says_is_kept_until_he_says_otherwise(registry: Registry) -> None:
    assert registry.corrections.all(KEY) == []
    registry.corrections.add(KEY, SameEntity("WHO", "World Health Organization"))
    registry.corrections.add(KEY, DifferentEntities("Paris", "Paris Hilton"))
    assert registry.corrections.all(KEY) == [
        DifferentEntities("Paris", "Paris Hilton"),
        SameEntity("WHO", "World Health Organization"),
    ]

    registry.corrections.add(KEY, DifferentEntities("World Health Organization", "WHO"))

    assert registry.corrections.all(KEY)[1] == DifferentEntities("WHO", "World Health Organization")


def test_what_is_said_of_a_collection_goes_with_it(registry: Registry) -> None:
    registry.corrections.add(KEY, SameEntity("a", "b"))

    registry.collections.delete(CollectionName("default", KEY))
    registry.collections.ensure(CollectionName("default", KEY))

    assert registry.corrections.all(KEY) == []
