"""The asset graph as people see it: an explicit expectation, so that a change of it is reviewed."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.repository_definition import RepositoryDefinition

from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.operations.jobs import ingest_job, reindex_job
from ingestion_pipeline.defs.partitions import collections_partitions
from ingestion_pipeline.execution.executor import beating_executor
from ingestion_pipeline.execution.queues import QUEUE_TAG, Queue

ASSETS = {
    "source_documents": ([], {"python"}),
    "parsed_documents": (["source_documents"], {"python", "json"}),
    "chunks": (["parsed_documents"], {"python", "json"}),
    "enriched_chunks": (["chunks"], {"python", "json"}),
    "chunk_embeddings": (["enriched_chunks"], {"python", "arrow"}),
    "vector_index": (["chunk_embeddings"], {"lancedb"}),
}
KNOWLEDGE = {
    "raptor_summaries": (["vector_index"], {"lancedb", "python"}),
    "document_graphs": (["vector_index"], {"json", "python"}),
    "knowledge_graph": (["document_graphs"], {"lancedb", "networkx"}),
    "community_reports": (["knowledge_graph"], {"lancedb"}),
    "mind_map": (["raptor_summaries"], {"json"}),
}
"""Each asset's upstream and kinds."""
CHECKS = {
    "every_document_is_indexed": False,
    "chunks_fit_the_model": True,
    "index_matches_registry": True,
    "deleted_documents_are_invisible": True,
    "every_document_has_text": False,
    "embedding_model_covers_languages": False,
    "few_chunks_are_repeated": False,
}
"""Each check of the index, and whether it blocks."""
TREE_CHECKS = {
    "every_chunk_is_under_a_summary",
    "summaries_cite_existing_chunks",
    "tree_is_current",
}
GRAPH_CHECKS = {
    "graph_covers_every_document",
    "relations_have_evidence",
    "few_orphans",
    "modularity_is_reasonable",
    "graph_is_current",
}
JOBS = {"ingest_job", "reindex_job"}
BUILD_JOBS = {
    "raptor_job": {"raptor_summaries", "tree_checks"},
    "graph_job": {"graph", "graph_checks"},
    "mindmap_job": {"mind_map"},
}
"""Each job that builds something of a collection, and its nodes."""
OPERATIONS = {
    "maintenance_job": {
        "purge_deleted",
        "sweep_storage",
        "compact_indexes",
        "forget_tasks",
        "tidy_dagster",
        "sweep_models",
        "vacuum_databases",
        "report_failures",
        "renew_builds",
    },
    "purge_job": {"purge_documents"},
}
"""Each job that makes no assets, and its ops."""


@pytest.fixture(scope="module")
def repository() -> RepositoryDefinition:
    return build_defs().get_repository_def()


@pytest.fixture(scope="module")
def graph(repository: RepositoryDefinition) -> AssetGraph:
    return repository.asset_graph


def test_the_assets_are_the_six_stages_in_order_and_what_is_built_of_them(
    graph: AssetGraph,
) -> None:
    assert {
        key.to_user_string(): (
            [parent.to_user_string() for parent in graph.get(key).parent_keys],
            set(graph.get(key).kinds),
        )
        for key in graph.toposorted_asset_keys
    } == ASSETS | KNOWLEDGE


def test_every_asset_says_whose_and_what_it_is(graph: AssetGraph) -> None:
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        group = "ingest" if key.to_user_string() in ASSETS else "knowledge"
        assert (node.group_name, node.owners) == (group, ["team:ingestion"])
        assert node.code_version
        assert "Reads: " in (node.description or "")
        assert "Writes: " in (node.description or "")


def test_the_stages_are_one_step_that_can_run_in_part(repository: RepositoryDefinition) -> None:
    definitions = {
        key.to_user_string(): repository.assets_defs_by_key[key]
        for key in repository.asset_graph.toposorted_asset_keys
    }
    (definition,) = {definitions[name].op.name: definitions[name] for name in ASSETS}.values()

    assert definition.op.name == "ingest"
    assert definition.can_subset


def test_the_checks_guard_index_and_tree_and_only_invariants_block(graph: AssetGraph) -> None:
    checks = {check.name: graph.get(check) for check in graph.asset_check_keys}

    assert {name: check.blocking for name, check in checks.items()} == CHECKS | dict.fromkeys(
        TREE_CHECKS | GRAPH_CHECKS, False
    )
    for name, check in checks.items():
        guarded = "raptor_summaries" if name in TREE_CHECKS else "knowledge_graph"
        assert check.key.asset_key == dg.AssetKey("vector_index" if name in CHECKS else guarded)
        assert check.description


def test_every_asset_and_check_has_the_collections_as_partitions(graph: AssetGraph) -> None:
    nodes = [*graph.toposorted_asset_keys, *graph.asset_check_keys]

    assert {graph.get(key).partitions_def for key in nodes} == {collections_partitions}
    assert collections_partitions.name == "collections"


def test_the_jobs_of_the_stages_take_every_asset_and_check_in_one_process(
    repository: RepositoryDefinition,
) -> None:
    jobs = {
        job.name: job for job in repository.get_all_jobs() if not job.name.startswith("__ASSET_JOB")
    }

    assert jobs.keys() == {*JOBS, *BUILD_JOBS, *OPERATIONS, "dry_run_job"}
    for job in (jobs[name] for name in JOBS):
        assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == set(
            ASSETS
        )
        assert {node.name for node in job.nodes} == {"ingest"} | {
            f"vector_index_{check}" for check in CHECKS
        }
        assert job.partitions_def == collections_partitions
        assert job.executor_def is beating_executor
        # A retry of the failed step alone would leave out the checks.
        assert job.tags == {"dagster/retry_strategy": "ALL_STEPS", QUEUE_TAG: Queue.EMBED}
        assert job.description


@pytest.mark.parametrize(("name", "nodes"), BUILD_JOBS.items())
def test_a_build_is_a_job_of_its_own_with_its_checks(
    repository: RepositoryDefinition, name: str, nodes: set[str]
) -> None:
    job = repository.get_job(name)

    assert {node.name for node in job.nodes} == nodes
    assert job.partitions_def == collections_partitions
    assert job.tags == {"dagster/retry_strategy": "ALL_STEPS", QUEUE_TAG: Queue.EMBED}
    assert job.description


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_job_of_operations_is_for_all_collections_at_once(
    repository: RepositoryDefinition, name: str
) -> None:
    job = repository.get_job(name)

    assert {node.name for node in job.nodes} == OPERATIONS[name]
    # With a partition it would count as a run of the collection, and keep its work waiting.
    assert job.partitions_def is None
    assert job.executor_def is beating_executor
    assert job.description
    assert all(node.definition.description for node in job.nodes)


def test_a_dry_run_is_of_a_collection_and_makes_no_assets(repository: RepositoryDefinition) -> None:
    job = repository.get_job("dry_run_job")

    assert not set(job.asset_layer.executable_asset_keys)
    assert job.partitions_def == collections_partitions
    assert job.executor_def is beating_executor
    assert job.tags == {QUEUE_TAG: Queue.EMBED}
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


def test_the_sensors_look_for_all_that_is_to_be_done_and_run_by_default(
    repository: RepositoryDefinition,
) -> None:
    sensors = {sensor.name: sensor for sensor in repository.sensor_defs}

    assert sensors.keys() == {
        "task_stream_sensor",
        "build_sensor",
        "dry_run_sensor",
        "reindex_sensor",
        "automation_sensor",
        "reconcile_sensor",
        "purge_sensor",
        "alert_sensor",
    }
    assert {target.job_name for target in sensors["build_sensor"].targets} == BUILD_JOBS.keys()
    assert sensors["task_stream_sensor"].job_name == "ingest_job"
    assert sensors["task_stream_sensor"].minimum_interval_seconds == 1
    assert sensors["reconcile_sensor"].minimum_interval_seconds == 3
    assert sensors["dry_run_sensor"].job_name == "dry_run_job"
    assert sensors["reindex_sensor"].job_name == "reindex_job"
    assert sensors["purge_sensor"].job_name == "purge_job"
    assert sensors["purge_sensor"].minimum_interval_seconds == 30
    for sensor in sensors.values():
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
        assert sensor.description


@pytest.mark.parametrize(
    ("name", "job", "cron"),
    [
        ("nightly_reindex_schedule", "reindex_job", "0 2 * * *"),
        ("nightly_maintenance_schedule", "maintenance_job", "0 4 * * *"),
    ],
)
def test_at_night_there_is_a_reindex_and_then_maintenance_by_default(
    repository: RepositoryDefinition, name: str, job: str, cron: str
) -> None:
    assert len(repository.schedule_defs) == 2
    schedule = repository.get_schedule_def(name)

    assert schedule.job_name == job
    assert schedule.cron_schedule == cron
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.description


def test_each_call_builds_definitions_of_its_own() -> None:
    assert build_defs() is not build_defs()
