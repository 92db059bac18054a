from __future__ import annotations

import pytest

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.tasks.declared import keep_as_declared
from ingestion_pipeline_tests.fakes import FakeServices

DOCS = CollectionName("acme", "docs")


def test_a_declared_collection_is_created_as_declared(services: FakeServices) -> None:
    changed = keep_as_declared(services, DOCS, {"chunk_tokens": 32, "raptor.enabled": True})

    config = services.registry.collections.get(DOCS.key).config
    assert (config.chunk_tokens, config.raptor.enabled) == (32, True)
    assert changed == {"chunk_tokens": 32, "raptor.enabled": True}


def test_what_is_as_declared_is_left_alone(services: FakeServices) -> None:
    options = {"chunk_tokens": 32, "graph.entity_types": ["person"], "chunker": None}
    keep_as_declared(services, DOCS, options)

    assert keep_as_declared(services, DOCS, options) == {}


def test_declared_options_come_back_and_others_stay(services: FakeServices) -> None:
    keep_as_declared(services, DOCS, {"chunk_tokens": 32})
    services.registry.collections.configure(DOCS.key, {"chunk_tokens": 64, "title_weight": 0.5})

    assert keep_as_declared(services, DOCS, {"chunk_tokens": 32}) == {"chunk_tokens": 32}
    assert services.registry.collections.get(DOCS.key).config.title_weight == 0.5


def test_an_option_that_is_declared_as_null_gets_its_default(services: FakeServices) -> None:
    keep_as_declared(services, DOCS, {"chunk_tokens": 32})

    assert keep_as_declared(services, DOCS, {"chunk_tokens": None}) == {"chunk_tokens": None}
    assert services.registry.collections.get(DOCS.key).config.chunk_tokens is None


def test_an_option_that_is_none_is_refused(services: FakeServices) -> None:
    with pytest.raises(PermanentError, match="did you mean 'chunk_tokens'"):
        keep_as_declared(services, DOCS, {"chunk_tokenz": 32})
