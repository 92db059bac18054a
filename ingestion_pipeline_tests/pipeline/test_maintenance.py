"""Maintenance on real runs of its jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.execution.upkeep import PARTS
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.tasks import deletion, inspection, maintenance, purge
from ingestion_pipeline.tasks.deletion import delete_collection
from ingestion_pipeline.tasks.submission import submit_deletion
from ingestion_pipeline_tests.pipeline.lab import Lab


def run_job(lab: Lab, name: str, config: dict[str, Any] | None = None) -> dg.ExecuteInProcessResult:
    job = lab.defs.resolve_job_def(name)
    return job.execute_in_process(run_config=config, instance=lab.instance, raise_on_error=False)


def figures(result: dg.ExecuteInProcessResult, op: str) -> dict[str, Any]:
    """The metadata that an op's output shows."""
    (event,) = (
        event
        for event in result.events_for_node(op)
        if event.event_type is dg.DagsterEventType.STEP_OUTPUT
    )
    return {
        name: value.records if isinstance(value, dg.TableMetadataValue) else value.value
        for name, value in event.step_output_data.metadata.items()
    }


def delete(lab: Lab, name: str, *, purge: bool = False) -> str:
    papers = lab.services.registry.collections.get("papers")
    return submit_deletion(lab.services, papers, [lab.documents()[name].document_id], purge=purge)


def test_the_night_maintains_every_collection_and_tells_what_it_did(
    lab: Lab, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "GRACE_SECONDS", -60.0)
    lab.run()
    lab.submit(lab.write("note.txt", "A note."), collection="notes")
    lab.run(collection="notes")
    delete(lab, "snow.txt")

    result = run_job(lab, "maintenance_job")

    assert result.success
    told = figures(result, "purge_deleted")
    assert (told["collections"], told["documents_purged"], told["differences"]) == (2, 1, 0)
    rows = {row.data["collection"]: row.data for row in told["details"]}
    assert rows["papers"]["documents_purged"] == 1
    assert rows["notes"]["documents_purged"] == 0
    assert figures(result, "sweep_storage")["objects_removed"] == 0
    compacted = figures(result, "compact_indexes")
    rows_there = sum(lab.indexed().values()) + sum(lab.indexed("notes").values())
    assert compacted["index_rows"] == rows_there
    assert compacted["bytes"] > 0
    assert lab.indexed().keys() == {"rain.md"}
    assert figures(result, "report_failures")["tasks_failed"] == 0


def test_a_dry_run_says_what_each_part_would_do(
    lab: Lab, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "GRACE_SECONDS", -60.0)
    lab.run()
    delete(lab, "snow.txt")

    result = run_job(lab, "maintenance_job", {"dry_run": True})

    assert result.success
    told = figures(result, "purge_deleted")
    assert (told["documents_purged"], told["dry_run"]) == (1, True)
    assert len(lab.services.registry.upkeep.deleted("papers", 0)) == 1
    assert figures(run_job(lab, "maintenance_job"), "purge_deleted")["documents_purged"] == 1


def test_one_collection_in_trouble_fails_the_run_after_the_others_are_done(
    lab: Lab, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run()
    lab.services.registry.collections.ensure(CollectionName("default", "zoo"))
    real = maintenance.sweep_collection
    done: list[str] = []

    def busy(services: Any, key: str, dry_run: bool) -> maintenance.Swept:
        if key == "papers":
            raise TransientError(ErrorKind.UNAVAILABLE, "it is busy")
        done.append(key)
        return real(services, key, dry_run)

    monkeypatch.setattr(maintenance, "sweep_collection", busy)

    result = run_job(lab, "maintenance_job")

    assert not result.success
    assert done == ["zoo"]
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    data = failure.step_failure_data
    assert data.user_failure_data is not None
    assert data.user_failure_data.description == "papers: it is busy"
    ended = {event.node_name for event in result.all_events if event.is_step_success}
    assert ended == {part.name for part in PARTS} - {"sweep_storage"}


def test_the_partition_of_a_deleted_collection_goes(lab: Lab, two: tuple[Path, Path]) -> None:
    lab.run()
    lab.submit(lab.write("note.txt", "A note."), collection="notes")
    delete_collection(lab.services, CollectionName("default", "notes"))

    result = run_job(lab, "maintenance_job")

    assert figures(result, "tidy_dagster")["partitions_removed"] == 1
    assert lab.instance.get_dynamic_partitions(PARTITIONS_NAME) == ["papers"]


def test_what_a_killed_deletion_of_a_collection_has_left_goes(
    lab: Lab, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "GRACE_SECONDS", -60.0)
    monkeypatch.setattr(maintenance, "BYTES_GRACE_SECONDS", -60.0)
    lab.run()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(deletion, "drop_collection", die)
        with pytest.raises(KeyboardInterrupt):
            delete_collection(lab.services, CollectionName("default", "papers"))

    result = run_job(lab, "maintenance_job")

    assert result.success
    assert figures(result, "sweep_storage")["objects_removed"] == 2
    assert figures(result, "compact_indexes")["tables_dropped"] == 1
    assert list(lab.services.store.keys()) == []


def test_what_nobody_purged_is_purged_by_a_run(
    lab: Lab, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "CLIENT_SECONDS", -1.0)
    lab.run()

    def busy(*_: object, **__: object) -> None:
        raise TransientError(ErrorKind.UNAVAILABLE, "other writers came first")

    with monkeypatch.context() as patch:
        patch.setattr(purge, "purge_collection", busy)
        task_id = delete(lab, "snow.txt", purge=True)
        assert run_job(lab, "purge_job").success, "the next one tries again"
    assert not lab.services.registry.tasks.get(task_id).state.final

    assert figures(run_job(lab, "purge_job"), "purge_documents") == {"documents_purged": 1}
    assert lab.services.registry.tasks.get(task_id).state is TaskState.SUCCEEDED


def test_a_deleted_document_that_readers_find_fails_the_run(
    lab: Lab, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "SETTLE_SECONDS", 0)
    lab.run()
    assert lab.run().checks["deleted_documents_are_invisible"].passed
    papers = lab.services.registry.collections.get("papers")
    table = lab.services.index(papers)._open()
    assert table is not None
    gone = lab.documents()["snow.txt"].document_id
    rows = table.search().where(f"document_id = '{gone}'").to_arrow()
    delete(lab, "snow.txt")
    table.checkout_latest()
    table.add(rows)

    ran = lab.run()

    assert not ran.success
    check = ran.checks["deleted_documents_are_invisible"]
    assert (check.passed, check.blocking) == (False, True)
    assert check.description == f"still visible: {gone}"
