"""The asset graph as people see it: an explicit expectation, so that a change of it is reviewed."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.repository_definition import RepositoryDefinition

from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.operations.jobs import ingest_job, reindex_job
from ingestion_pipeline.defs.partitions import collections_partitions

ASSETS = {
    "source_documents": ([], {"python"}),
    "parsed_documents": (["source_documents"], {"python", "json"}),
    "chunks": (["parsed_documents"], {"python", "json"}),
    "chunk_embeddings": (["chunks"], {"pytorch", "arrow"}),
    "vector_index": (["chunk_embeddings"], {"lancedb"}),
}
"""Each asset's upstream and kinds."""
CHECKS = {
    "every_document_is_indexed": False,
    "chunks_fit_the_model": True,
    "index_matches_registry": True,
}
"""Each check, and whether it blocks."""
JOBS = {"ingest_job", "reindex_job"}


@pytest.fixture(scope="module")
def repository() -> RepositoryDefinition:
    return build_defs().get_repository_def()


@pytest.fixture(scope="module")
def graph(repository: RepositoryDefinition) -> AssetGraph:
    return repository.asset_graph


def test_the_assets_are_the_five_stages_in_order(graph: AssetGraph) -> None:
    assert {
        key.to_user_string(): (
            [parent.to_user_string() for parent in graph.get(key).parent_keys],
            set(graph.get(key).kinds),
        )
        for key in graph.toposorted_asset_keys
    } == ASSETS


def test_every_asset_says_whose_and_what_it_is(graph: AssetGraph) -> None:
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        assert (node.group_name, node.owners) == ("ingest", ["team:ingestion"])
        assert node.code_version
        assert "Reads: " in (node.description or "")
        assert "Writes: " in (node.description or "")


def test_the_assets_are_one_step_that_can_run_in_part(repository: RepositoryDefinition) -> None:
    (definition,) = {
        repository.assets_defs_by_key[key].op.name: repository.assets_defs_by_key[key]
        for key in repository.asset_graph.toposorted_asset_keys
    }.values()

    assert definition.op.name == "ingest"
    assert definition.can_subset


def test_the_checks_guard_the_index_and_only_invariants_block(graph: AssetGraph) -> None:
    checks = {check.name: graph.get(check) for check in graph.asset_check_keys}

    assert {name: check.blocking for name, check in checks.items()} == CHECKS
    for check in checks.values():
        assert check.key.asset_key == dg.AssetKey("vector_index")
        assert check.description


def test_every_asset_and_check_has_the_collections_as_partitions(graph: AssetGraph) -> None:
    nodes = [*graph.toposorted_asset_keys, *graph.asset_check_keys]

    assert {graph.get(key).partitions_def for key in nodes} == {collections_partitions}
    assert collections_partitions.name == "collections"


def test_the_jobs_take_every_asset_and_check_in_one_process(
    repository: RepositoryDefinition,
) -> None:
    jobs = {
        job.name: job for job in repository.get_all_jobs() if not job.name.startswith("__ASSET_JOB")
    }

    assert jobs.keys() == JOBS
    for job in jobs.values():
        assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == set(
            ASSETS
        )
        assert {node.name for node in job.nodes} == {"ingest"} | {
            f"vector_index_{check}" for check in CHECKS
        }
        assert job.partitions_def == collections_partitions
        assert job.executor_def is dg.in_process_executor
        # A retry of the failed step alone would leave out the checks.
        assert job.tags == {"dagster/retry_strategy": "ALL_STEPS"}
        assert job.description


def test_a_run_of_the_stream_takes_what_waits_and_any_other_what_is_stale() -> None:
    runs = {job.name: job.config["ops"]["ingest"]["config"] for job in (ingest_job, reindex_job)}

    assert runs == {
        "ingest_job": {"only": "stale", "document_ids": [], "force": False, "waiting_only": True},
        "reindex_job": {"only": "stale", "document_ids": [], "force": False, "waiting_only": False},
    }


def test_the_launchpad_explains_every_field(repository: RepositoryDefinition) -> None:
    op = repository.get_job("reindex_job").get_node_named("ingest").definition
    fields = op.config_schema.config_type.fields

    assert fields.keys() == {"only", "document_ids", "force", "waiting_only"}
    assert all(field.description for field in fields.values())
    assert not any(field.is_required for field in fields.values())


def test_one_sensor_looks_for_messages_and_runs_by_default(
    repository: RepositoryDefinition,
) -> None:
    (sensor,) = repository.sensor_defs

    assert sensor.name == "task_stream_sensor"
    assert sensor.job_name == "ingest_job"
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 1
    assert sensor.description


def test_one_schedule_reindexes_at_night_and_runs_by_default(
    repository: RepositoryDefinition,
) -> None:
    (schedule,) = repository.schedule_defs

    assert schedule.name == "nightly_reindex_schedule"
    assert schedule.job_name == "reindex_job"
    assert schedule.cron_schedule == "0 2 * * *"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.description


def test_each_call_builds_definitions_of_its_own() -> None:
    assert build_defs() is not build_defs()
