from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import STAGES
from ingestion_pipeline.model.tasks import Backend, Priority, ReindexOnly
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.registry.claims import Wanted
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks import intake
from ingestion_pipeline.tasks import tick as tick_module
from ingestion_pipeline.tasks.planning import Way
from ingestion_pipeline.tasks.staleness import stale_collections
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline.tasks.tick import Tick, tick
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tick_module, "IDLE_POLL_SECONDS", 0)
    monkeypatch.setattr(tick_module, "BUSY_POLL_SECONDS", 0)


def ticked(services: FakeServices, running: Mapping[Way, int] | None = None) -> Tick:
    return tick(services, lambda live_runs: running or {})


def planned(outcome: Tick) -> list[str]:
    return [each.collection_key for each in outcome.planned]


def test_a_message_becomes_a_plan_in_the_same_tick(
    services: FakeServices, collection: Collection
) -> None:
    message = {"type": "ingest", "collection": "docs", "source": {"uri": "https://example.com/a"}}
    services.streams.publish([json.dumps(message)], Priority.HIGH)
    services.streams.publish(["no message"], Priority.NORMAL)

    outcome = ticked(services)

    assert planned(outcome) == ["docs"]
    assert (outcome.received.accepted, outcome.received.dead_lettered) == (1, 1)
    assert (outcome.waiting, outcome.problem) == (1, None)
    assert outcome.collections == {"docs"}
    assert outcome.summary == ("1 messages accepted, 1 put aside; 1 documents wait; 1 runs planned")


def test_the_first_of_many_messages_are_planned_before_the_others_are_received(
    services: FakeServices, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "ENTRIES_PER_READ", 2)
    monkeypatch.setattr(tick_module, "SOON_SECONDS", 0)
    for name in "abcde":
        source = {"uri": f"https://example.com/{name}"}
        message = {"type": "ingest", "collection": "docs", "source": source}
        services.streams.publish([json.dumps(message)], Priority.NORMAL)

    first, second = ticked(services), ticked(services, {("docs", None): 1})

    assert (first.received.accepted, planned(first)) == (2, ["docs"])
    assert (second.received.accepted, second.waiting) == (3, 5)


def test_an_idle_tick_plans_nothing_and_knows_the_collections(
    services: FakeServices, collection: Collection
) -> None:
    services.registry.collections.ensure(CollectionName("acme", "docs"))

    outcome = ticked(services)

    assert outcome.planned == ()
    assert outcome.collections == {"docs", "acme/docs"}


def test_a_collection_with_a_run_gets_no_other(
    services: FakeServices, collection: Collection, write: Any
) -> None:
    submit(services, collection, [write("a.txt")], Priority.NORMAL, {})

    assert planned(ticked(services, {("docs", None): 1})) == []
    assert planned(ticked(services)) == ["docs"]


def test_runs_that_hold_leases_are_handed_to_whoever_counts_runs(
    services: FakeServices, collection: Collection, write: Any
) -> None:
    submit(services, collection, [write("a.txt"), write("b.txt")], Priority.NORMAL, {})
    _claim_one(services, collection, lease_seconds=60)
    seen: list[Mapping[str, Any]] = []

    def count(live_runs: Mapping[str, Any]) -> Mapping[Way, int]:
        seen.append(live_runs)
        return {}

    tick(services, count)

    assert seen == [{"docs": {"run"}}]


def test_a_tick_waits_longer_while_nothing_waits_for_a_run(
    services: FakeServices, collection: Collection, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(tick_module, "IDLE_POLL_SECONDS", 20)
    monkeypatch.setattr(tick_module, "BUSY_POLL_SECONDS", 1)
    monkeypatch.setattr(
        tick_module,
        "receive",
        lambda _, poll, __: waited.append(poll) or tick_module.Received(),
    )
    ticked(services)
    submit(services, collection, [write("a.txt")], Priority.NORMAL, {})
    ticked(services)

    assert waited == [20, 1]


@pytest.fixture
def without_redis(
    settings: Settings, parsers: ParserPool, tmp_path: Path
) -> Iterator[FakeServices]:
    away = settings.model_copy(update={"redis_url": f"unix://{tmp_path / 'none.sock'}"})
    with closing(FakeServices(away, parsers)) as services:
        yield services


def test_without_redis_a_tick_says_so_and_plans_what_waits_in_the_registry(
    without_redis: FakeServices, write: Any
) -> None:
    services = without_redis
    collection, _ = services.registry.collections.ensure(CollectionName("default", "docs"))
    submit(services, collection, [write("a.txt")], Priority.NORMAL, {})

    outcome = ticked(services)

    assert planned(outcome) == ["docs"]
    assert outcome.problem is not None
    assert outcome.summary.startswith("Redis does not answer at ")


def test_redis_that_refuses_the_credentials_is_said_too(
    services: FakeServices, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermanentError(ErrorKind.INVALID_OPTION, "Redis refuses the credentials")

    monkeypatch.setattr(tick_module, "receive", refuse)

    assert ticked(services).problem == "Redis refuses the credentials"


def test_after_redis_lost_everything_a_tick_goes_on(
    services: FakeServices, collection: Collection, redis_client: Redis
) -> None:
    ticked(services)
    redis_client.flushall()

    assert ticked(services).problem is None


def test_collections_with_stale_documents_are_found_and_counted(
    services: FakeServices, collection: Collection, write: Any
) -> None:
    other, _ = services.registry.collections.ensure(CollectionName("default", "other"))
    for each in (collection, other):
        submit(services, each, [write("a.txt"), write("b.txt")], Priority.NORMAL, {})
        run(services, each, WorkRequest("run", Backend.IN_PROCESS))
    assert stale_collections(services) == {}

    services.registry.collections.configure("docs", {"chunk_overlap": 4})
    assert stale_collections(services) == {"docs": 2}

    changed = services.registry.collections.get("docs")
    run(services, changed, WorkRequest("run", Backend.IN_PROCESS, only=ReindexOnly.STALE))
    assert stale_collections(services) == {}


def _claim_one(services: FakeServices, collection: Collection, lease_seconds: float) -> None:
    services.registry.claims.take(
        collection.key,
        Wanted(services.recipes(collection), STAGES, whole=True),
        run_id="run",
        backend=Backend.DAGSTER,
        lease_seconds=lease_seconds,
        task_timeout_seconds=60,
        max_documents=1,
        max_bytes=1,
    )
