"""Backfills over collections: a run for each, in any order, while others ingest, begun again."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.registry.documents import Documents
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.staleness import stale_collections
from ingestion_pipeline_tests.pipeline.lab import ASSETS, Lab

SHELVES = ("shelf-a", "shelf-b", "shelf-c", "shelf-d")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"doc_bulk_size": 2})


@pytest.fixture
def shelves(lab: Lab) -> tuple[str, ...]:
    """Collections of four documents each, which a change of their configuration made stale."""
    for shelf in SHELVES:
        paths = [lab.write(f"{shelf}/{n}.txt", f"Number {n} of {shelf}.") for n in range(4)]
        lab.submit(*paths, collection=shelf)
        assert lab.run(collection=shelf).success
        lab.configure(shelf, title_weight=0)
    return SHELVES


def backfill(lab: Lab, shelves: tuple[str, ...], number: str) -> list[dg.ExecuteInProcessResult]:
    """Do what Dagster's daemon does for a backfill: one run for each partition."""
    return [
        lab.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=lab.instance,
            partition_key=shelf,
            asset_selection=[dg.AssetKey(name) for name in ASSETS],
            tags={"dagster/backfill": number},
            raise_on_error=False,
        )
        for shelf in shelves
    ]


def test_a_backfill_of_a_range_brings_its_collections_up_to_date_and_no_others(
    lab: Lab, shelves: tuple[str, ...]
) -> None:
    done = backfill(lab, shelves[1:3], "range")

    assert all(result.success for result in done)
    assert stale_collections(lab.services) == {shelves[0]: 4, shelves[3]: 4}
    assert lab.instance.get_materialized_partitions(dg.AssetKey("vector_index")) == set(shelves)


def test_a_run_of_a_whole_range_is_refused_and_says_what_to_do(
    lab: Lab, shelves: tuple[str, ...]
) -> None:
    result = lab.defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=lab.instance,
        asset_selection=[dg.AssetKey(name) for name in ASSETS],
        tags={
            "dagster/asset_partition_range_start": shelves[0],
            "dagster/asset_partition_range_end": shelves[2],
        },
        raise_on_error=False,
    )

    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "a run takes one collection" in str(failure.event_specific_data)
    assert stale_collections(lab.services) == dict.fromkeys(shelves, 4)


def test_a_backfill_that_was_stopped_goes_on_where_it_was(
    lab: Lab, shelves: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second run is stopped after one of two batches; further ones never begin."""
    backfill(lab, shelves[:1], "stopped")
    taken = 0

    def stopped(*_: object, **__: object) -> None:
        nonlocal taken
        taken += 1
        if taken == 2:
            raise KeyboardInterrupt

    others_wait = lab.services.registry.tasks.expire

    def expire() -> object:
        stopped()
        return others_wait()

    with monkeypatch.context() as patch:
        patch.setattr(lab.services.registry.tasks, "expire", expire)
        (result,) = backfill(lab, shelves[1:2], "stopped")
    assert not result.success
    before = stale_collections(lab.services)
    assert before == {shelves[1]: 2, shelves[2]: 4, shelves[3]: 4}

    again = backfill(lab, shelves[1:], "again")

    assert all(result.success for result in again)
    assert stale_collections(lab.services) == {}
    computed = [
        result.asset_materializations_for_node("ingest")[-1].metadata["documents"].value
        for result in again
    ]
    assert computed == [2, 4, 4], "what was done before it was stopped is not done again"


def test_what_is_submitted_while_a_collection_is_backfilled_is_done_by_the_same_run(
    lab: Lab, shelves: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Documents.request
    submitted: list[str] = []

    def meanwhile(self: Documents, *args: object, **options: object) -> int:
        marked = request(self, *args, **options)  # type: ignore[arg-type]
        new: Path = lab.write(f"{shelves[0]}/new.txt", "Came in between.")
        submitted.extend(lab.submit(new, collection=shelves[0]).task_ids)
        return marked

    with monkeypatch.context() as patch:
        patch.setattr(Documents, "request", meanwhile)
        (result,) = backfill(lab, shelves[:1], "busy")

    assert result.success
    (task_id,) = submitted
    assert lab.services.registry.tasks.get(task_id).state is TaskState.SUCCEEDED
    assert len(lab.indexed(shelves[0])) == 5
