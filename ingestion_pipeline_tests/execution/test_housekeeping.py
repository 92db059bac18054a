import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

from ingestion_pipeline.execution import housekeeping
from ingestion_pipeline.execution.housekeeping import prune, remove_partitions
from ingestion_pipeline_tests.execution.runs import record_run

Status = dg.DagsterRunStatus
PARTITIONS = dg.DynamicPartitionsDefinition(name="collections")
INDEX = dg.AssetKey("vector_index")
CHECK = dg.AssetCheckKey(INDEX, "all_is_well")
ALL_OLD = -1.0
"""As if every run had finished more than a day before."""


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


with warnings.catch_warnings():  # checks of partitions are a preview
    warnings.simplefilter("ignore", dg.PreviewWarning)

    @dg.asset_check(asset=index_asset, partitions_def=PARTITIONS)
    def all_is_well() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)


@dg.op
def sweep() -> None:
    """What a job without assets does."""


@dg.job
def sweeping_job() -> None:
    sweep()


INGEST = dg.define_asset_job("ingest_job", selection=dg.AssetSelection.all())
DEFINITIONS = dg.Definitions([index_asset], asset_checks=[all_is_well], jobs=[INGEST])
UNCHECKED = dg.Definitions([index_asset], jobs=[INGEST])


def materialise(
    instance: dg.DagsterInstance,
    partition: str,
    definitions: dg.Definitions = DEFINITIONS,
    *,
    fails: bool = False,
) -> str:
    instance.add_dynamic_partitions("collections", [partition])
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


def check_results(instance: dg.DagsterInstance) -> set[str]:
    """The runs of which a result of a check is on record."""
    with instance.event_log_storage.index_connection() as connection:
        rows = connection.execute(AssetCheckExecutionsTable.select()).mappings()
        return {row["run_id"] for row in rows}


def named(folder: Path, run_id: str) -> list[Path]:
    return [path for path in folder.rglob("*") if run_id in path.name]


def test_the_newest_materialisation_of_every_partition_stays(instance: dg.DagsterInstance) -> None:
    old = {materialise(instance, partition) for partition in ("papers", "notes", "papers")}
    newest = {materialise(instance, partition) for partition in ("papers", "notes")}

    would = prune(instance, ALL_OLD, dry_run=True)
    assert (would.runs, would.checks) == (len(old), len(old))
    assert runs(instance) == old | newest

    assert prune(instance, ALL_OLD) == would

    assert runs(instance) == newest
    assert check_results(instance) == newest
    event = instance.get_latest_materialization_event(INDEX)
    assert event is not None
    assert event.run_id in newest
    assert instance.get_materialized_partitions(INDEX) == {"papers", "notes"}
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([CHECK])
    assert latest[CHECK].run_id in newest
    assert prune(instance, ALL_OLD).runs == 0


def test_a_failure_stays_until_something_follows_it(instance: dg.DagsterInstance) -> None:
    made = materialise(instance, "papers")
    failed = materialise(instance, "papers", fails=True)

    assert prune(instance, ALL_OLD).runs == 0
    assert runs(instance) == {made, failed}

    mended = materialise(instance, "papers")
    assert prune(instance, ALL_OLD).runs == 2
    assert runs(instance) == {mended}


def test_the_run_that_checked_last_stays(instance: dg.DagsterInstance) -> None:
    checked = materialise(instance, "papers")
    made = [materialise(instance, "papers", UNCHECKED) for _ in range(2)]

    assert prune(instance, ALL_OLD).runs == 1
    assert runs(instance) == {checked, made[1]}


def test_runs_of_jobs_without_assets_go_but_for_the_last(instance: dg.DagsterInstance) -> None:
    done = [sweeping_job.execute_in_process(instance=instance).run_id for _ in range(3)]

    assert prune(instance, ALL_OLD).runs == 2
    assert runs(instance) == {done[2]}


def test_of_a_deleted_run_no_file_is_left(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    old = materialise(instance, "papers")
    newest = materialise(instance, "papers")
    taken = sum(path.stat().st_size for path in named(tmp_path, old) if path.is_file())
    assert taken

    pruned = prune(instance, ALL_OLD)

    assert named(tmp_path, old) == []
    assert pruned.bytes >= taken
    assert named(tmp_path, newest)


def test_what_was_killed_in_the_middle_is_done_the_next_time(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = materialise(instance, "papers"), materialise(instance, "papers")

    def die(_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(instance.run_storage, "delete_run", die)
        with pytest.raises(KeyboardInterrupt):
            prune(instance, ALL_OLD)
    assert old in runs(instance)

    assert prune(instance, ALL_OLD).runs == 1
    assert named(tmp_path, old) == []


def test_files_of_runs_that_a_person_deleted_go(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    gone, kept = materialise(instance, "papers"), materialise(instance, "notes")
    instance.delete_run(gone)
    assert named(tmp_path, gone), "Dagster leaves them"
    assert prune(instance, 30).files == 0, "they are young"
    for path in tmp_path.rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)

    assert prune(instance, 30).files > 0

    assert named(tmp_path, gone) == []
    assert named(tmp_path, kept)
    assert runs(instance) == {kept}


def test_what_ticks_printed_long_ago_goes(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    for number in ("1", "2"):
        key = ["__repository__", "some_sensor", number]
        with instance.compute_log_manager.open_log_stream(key, ComputeIOType.STDERR) as stream:
            assert stream is not None
            stream.write("planned a run")
    old, young = (next(tmp_path.rglob(f"some_sensor/{number}.err")) for number in ("1", "2"))
    os.utime(old, (time.time() - 31 * 86_400,) * 2)

    assert prune(instance, 30, dry_run=True).files == 1
    assert old.exists()
    assert prune(instance, 30).files == 1

    assert not old.exists()
    assert young.exists()


def test_ticks_of_sensors_that_are_gone_go_in_the_end(instance: dg.DagsterInstance) -> None:
    for days in (1, housekeeping.TICKS_KEPT_DAYS + 1):
        instance.create_tick(
            TickData(
                instigator_origin_id="of",
                instigator_name="some_sensor",
                instigator_type=InstigatorType.SENSOR,
                status=TickStatus.SKIPPED,
                timestamp=time.time() - days * 86_400,
                selector_id="of",
            )
        )

    assert prune(instance, 30).ticks == 1
    assert len(instance.get_ticks("of", "of")) == 1


def test_a_run_of_the_last_weeks_stays(instance: dg.DagsterInstance) -> None:
    both = {materialise(instance, "papers"), materialise(instance, "papers")}

    assert prune(instance, 30).runs == 0
    assert runs(instance) == both


def test_runs_under_way_stay(instance: dg.DagsterInstance) -> None:
    under_way = {
        record_run(instance, status).run_id
        for status in (Status.QUEUED, Status.STARTED, Status.CANCELING)
    }
    record_run(instance, Status.SUCCESS, "papers")
    last = record_run(instance, Status.SUCCESS, "papers").run_id

    assert prune(instance, ALL_OLD).runs == 1
    assert runs(instance) == under_way | {last}


@pytest.mark.parametrize("status", [Status.QUEUED, Status.STARTED])
def test_a_partition_goes_unless_a_run_works_on_it(
    instance: dg.DagsterInstance, status: Status
) -> None:
    instance.add_dynamic_partitions("collections", ["gone", "busy", "kept"])
    record_run(instance, status, "busy")
    record_run(instance, Status.SUCCESS, "gone")

    assert remove_partitions(instance, "collections", ["gone", "busy"], dry_run=True) == ["gone"]
    assert "gone" in instance.get_dynamic_partitions("collections")
    assert remove_partitions(instance, "collections", ["gone", "busy"]) == ["gone"]
    assert set(instance.get_dynamic_partitions("collections")) == {"busy", "kept"}
