from __future__ import annotations

import time

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.runs import RunRecord
from ingestion_pipeline_tests.registry.steps import KEY, lapse, submit, taken


def begin(registry: Registry, run_id: str, lease_seconds: float = 60) -> None:
    registry.runs.begin(run_id, KEY, "host:1:1", lease_seconds)


def test_a_run_is_known_from_its_beginning_to_its_end(registry: Registry) -> None:
    begin(registry, "one")
    registry.runs.begin("two", KEY, "host:2:2", 60)

    assert sorted(registry.runs.find(), key=lambda run: run.run_id) == [
        RunRecord("one", "host:1:1", silent=False, reason=None),
        RunRecord("two", "host:2:2", silent=False, reason=None),
    ]
    registry.runs.forget("one")
    registry.runs.forget("unheard-of")
    assert [run.run_id for run in registry.runs.find()] == ["two"]


def test_a_run_that_does_not_renew_its_lease_is_silent_until_it_does(registry: Registry) -> None:
    begin(registry, "run", lease_seconds=0.05)
    time.sleep(0.1)
    assert [run.silent for run in registry.runs.find()] == [True]

    registry.runs.renew("run", 60)

    assert [run.silent for run in registry.runs.find()] == [False]


def test_renewing_does_not_bring_a_run_back_that_was_given_up(registry: Registry) -> None:
    begin(registry, "run")
    registry.runs.forget("run")

    registry.runs.renew("run", 60)

    assert registry.runs.find() == []


def test_why_a_run_is_stopped_is_known_until_it_begins_anew(registry: Registry) -> None:
    begin(registry, "run")
    assert registry.runs.reason("run") is None

    registry.runs.note_reason("run", "its lease lapsed")

    assert registry.runs.reason("run") == "its lease lapsed"
    assert [run.reason for run in registry.runs.find()] == ["its lease lapsed"]
    begin(registry, "run")
    assert registry.runs.reason("run") is None
    assert registry.runs.reason("unheard-of") is None


def test_whoever_holds_a_claim_is_found_once_whether_it_began_or_not(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt", "c.txt")
    begin(registry, "begun")
    taken(registry, run_id="begun", max_documents=1)
    for _ in range(2):
        claim = taken(registry, run_id="never begun", max_documents=1)
    found = {run.run_id: run.silent for run in registry.runs.find()}
    assert found == {"begun": False, "never begun": False}

    lapse(registry, claim)
    found = {run.run_id: run.silent for run in registry.runs.find()}
    assert found == {"begun": False, "never begun": False}, "it renewed its other lease"


def test_runs_go_with_their_collection(registry: Registry) -> None:
    begin(registry, "run")

    registry.collections.delete(CollectionName("default", KEY))

    assert registry.runs.find() == []
