"""Summaries as an asset: what a run builds, shows and checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion_pipeline.model.tasks import Backend, TaskState, TaskType
from ingestion_pipeline.tasks.submission import submit_build
from ingestion_pipeline_tests.pipeline.lab import Lab

CHECKS = {"every_chunk_is_under_a_summary", "summaries_cite_existing_chunks", "tree_is_current"}

GRAPH_CHECKS = {
    "graph_covers_every_document",
    "relations_have_evidence",
    "few_orphans",
    "modularity_is_reasonable",
    "graph_is_current",
}


@pytest.fixture
def ingested(lab: Lab, two: tuple[Path, Path]) -> Lab:
    lab.configure(chunk_tokens=16)
    lab.run()
    return lab


def test_a_run_builds_the_tree_and_ends_the_task(ingested: Lab) -> None:
    papers = ingested.services.registry.collections.get("papers")
    task_id = submit_build(ingested.services, papers, TaskType.RAPTOR)

    ran = ingested.run("raptor_summaries")

    assert ran.success
    assert set(ran.checks) == CHECKS
    assert all(check.passed for check in ran.checks.values())
    shown = ran.metadata("raptor_summaries")
    assert shown["summaries"] == shown["summaries_written"] >= 1
    task = ingested.services.registry.tasks.get(task_id)
    assert (task.state, task.backend) == (TaskState.SUCCEEDED, Backend.DAGSTER)


def test_a_run_that_changed_nothing_yields_no_new_data_version(ingested: Lab) -> None:
    first = ingested.run("raptor_summaries")
    second = ingested.run("raptor_summaries")

    assert second.versions == first.versions
    assert second.metadata("raptor_summaries")["summaries_written"] == 0


def test_a_tree_and_its_map_follow_the_documents(ingested: Lab) -> None:
    ingested.run("raptor_summaries", "mind_map")
    ingested.submit(ingested.write("hail.md", "# Hail\n\nHail fell.\n\n## June\n\nNone.\n"))
    ingested.run()

    ran = ingested.run("mind_map", "raptor_summaries")

    assert ran.success
    assert ran.checks["tree_is_current"].passed
    assert "hail" in ran.metadata("mind_map")["shown"]


def test_a_run_beside_another_one_materialises_nothing_and_succeeds(ingested: Lab) -> None:
    papers = ingested.services.registry.collections.get("papers")
    ingested.services.registry.runs.begin("other", "papers", "host:1:1", 60)
    ingested.services.registry.builds.take(
        papers.name,
        TaskType.RAPTOR,
        run_id="other",
        backend=Backend.DAGSTER,
        task_timeout_seconds=60,
    )

    ran = ingested.run("raptor_summaries")

    assert ran.success
    assert ran.versions == {}


def test_a_graph_is_three_assets_that_one_run_makes(ingested: Lab) -> None:
    assets = ("document_graphs", "knowledge_graph", "community_reports")

    first = ingested.run(*assets)
    second = ingested.run(*assets)

    assert first.success
    assert set(first.versions) == set(assets)
    assert set(first.checks) == GRAPH_CHECKS
    assert first.metadata("document_graphs")["documents_read"] == 2
    assert second.metadata("document_graphs")["documents_read"] == 0
    assert second.versions == first.versions
