from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ingestion_pipeline.execution import housekeeping
from ingestion_pipeline.execution.housekeeping import prune_runs, remove_partitions
from ingestion_pipeline_tests.execution.runs import record_run

Status = dg.DagsterRunStatus
PARTITIONS = dg.DynamicPartitionsDefinition(name="collections")
INDEX = dg.AssetKey("vector_index")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with files, as the real one has."""
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


@dg.asset(name="vector_index", partitions_def=PARTITIONS)
def index_asset(context: dg.AssetExecutionContext) -> None:
    context.log.info("published")
    if context.run.tags.get("fails"):
        raise ValueError


def materialise(instance: dg.DagsterInstance, partition: str, *, fails: bool = False) -> str:
    instance.add_dynamic_partitions("collections", [partition])
    job = dg.define_asset_job("ingest_job", [index_asset])
    definitions = dg.Definitions(assets=[index_asset], jobs=[job])
    return (
        definitions.resolve_job_def("ingest_job")
        .execute_in_process(
            instance=instance,
            partition_key=partition,
            raise_on_error=False,
            tags={"fails": "yes"} if fails else {},
        )
        .run_id
    )


def runs(instance: dg.DagsterInstance) -> set[str]:
    return set(instance.get_run_ids())


@pytest.fixture
def _all_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "KEPT_DAYS", -1)


@pytest.mark.usefixtures("_all_old")
def test_the_newest_materialisation_of_every_partition_stays(instance: dg.DagsterInstance) -> None:
    old = {materialise(instance, partition) for partition in ("papers", "notes", "papers")}
    newest = {materialise(instance, partition) for partition in ("papers", "notes")}
    failed = materialise(instance, "papers", fails=True)

    assert prune_runs(instance, "ingest_job", [INDEX]) == len(old) + 1

    assert runs(instance) == newest
    assert failed not in newest
    event = instance.get_latest_materialization_event(INDEX)
    assert event is not None
    assert event.run_id in newest
    assert instance.get_materialized_partitions(INDEX) == {"papers", "notes"}
    assert prune_runs(instance, "ingest_job", [INDEX]) == 0


@pytest.mark.usefixtures("_all_old")
def test_of_a_deleted_run_no_file_is_left(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    old = materialise(instance, "papers")
    newest = materialise(instance, "papers")
    assert [path for path in tmp_path.rglob("*") if old in path.name]

    prune_runs(instance, "ingest_job", [INDEX])

    assert [path for path in tmp_path.rglob("*") if old in path.name] == []
    assert [path for path in tmp_path.rglob("*") if newest in path.name]


def test_a_run_of_the_last_weeks_stays(instance: dg.DagsterInstance) -> None:
    both = {materialise(instance, "papers"), materialise(instance, "papers")}

    assert prune_runs(instance, "ingest_job", [INDEX]) == 0
    assert runs(instance) == both


@pytest.mark.usefixtures("_all_old")
def test_runs_of_other_jobs_and_those_under_way_stay(instance: dg.DagsterInstance) -> None:
    under_way = {
        record_run(instance, status).run_id
        for status in (Status.QUEUED, Status.STARTED, Status.CANCELING)
    }
    ended = record_run(instance, Status.SUCCESS).run_id

    assert prune_runs(instance, "reindex_job", [INDEX]) == 0
    assert runs(instance) == under_way | {ended}
    assert prune_runs(instance, "ingest_job", [INDEX]) == 1
    assert runs(instance) == under_way


@pytest.mark.parametrize("status", [Status.QUEUED, Status.STARTED])
def test_a_partition_goes_unless_a_run_works_on_it(
    instance: dg.DagsterInstance, status: Status
) -> None:
    instance.add_dynamic_partitions("collections", ["gone", "busy", "kept"])
    record_run(instance, status, "busy")
    record_run(instance, Status.SUCCESS, "gone")

    assert remove_partitions(instance, "collections", ["gone", "busy"]) == ["gone"]
    assert set(instance.get_dynamic_partitions("collections")) == {"busy", "kept"}
