"""Which collections the night has to look after."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.services import Services
from ingestion_pipeline.tasks.staleness import stale_collections
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline_tests.fakes import FakeServices


def test_a_collection_whose_model_is_missing_stops_no_other(
    settings: Settings, tmp_path: Path
) -> None:
    services = Services(settings)  # the real ones: it is their models that can be missing
    (tmp_path / "a.txt").write_text("Something to index.")
    for name in ("bad", "good"):
        collection, _ = services.registry.collections.ensure(CollectionName("default", name))
        submit(services, collection, [tmp_path / "a.txt"], Priority.NORMAL, {})
    assert stale_collections(services) == {"bad": 1, "good": 1}

    services.registry.collections.configure("bad", {"embedding_model": "nowhere/nothing"})

    assert stale_collections(services) == {"good": 1}
    services.close()


def test_many_collections_are_looked_at_as_one(services: FakeServices) -> None:
    statements: list[str] = []

    def count(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    sa.event.listen(services.registry.database._engine, "before_cursor_execute", count)
    asked = []
    for number in range(30):
        services.registry.collections.ensure(CollectionName("default", f"docs-{number}"))
        statements.clear()
        assert stale_collections(services) == {}
        asked.append(len(statements))

    assert asked[0] == asked[-1]
