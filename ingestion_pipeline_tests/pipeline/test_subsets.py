"""Materialising some of the assets runs just those stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline_tests.parsing.samples import zipped
from ingestion_pipeline_tests.pipeline.lab import ASSETS, CHECKS, Lab


def test_stage_after_stage_does_what_one_run_does(lab: Lab, two: tuple[Path, Path]) -> None:
    for asset in ASSETS:
        ran = lab.run(asset)
        assert ran.success
        assert set(ran.versions) == {asset}
        expected = 0 if asset == "source_documents" else 2
        assert ran.computed() == {asset: expected}

    assert lab.indexed() == {"rain.md": 1, "snow.txt": 1}


def test_a_stage_alone_is_not_what_tasks_wait_for(lab: Lab, two: tuple[Path, Path]) -> None:
    lab.run("source_documents", "parsed_documents")

    assert not any(task.state.final for task in lab.services.registry.tasks.find())
    assert {document.state for document in lab.documents().values()} == {DocumentState.PENDING}
    assert lab.indexed() == {}
    assert lab.run().computed() == {
        **dict.fromkeys(ASSETS, 2),
        "source_documents": 0,
        "parsed_documents": 0,
    }
    assert {task.state for task in lab.services.registry.tasks.find()} == {TaskState.SUCCEEDED}


def test_a_stage_that_is_up_to_date_computes_nothing(lab: Lab, two: tuple[Path, Path]) -> None:
    versions = lab.run().versions

    ran = lab.run("parsed_documents")

    assert ran.computed() == {"parsed_documents": 0}
    assert ran.versions == {"parsed_documents": versions["parsed_documents"]}


def test_a_stage_whose_upstream_is_not_there_computes_nothing(
    lab: Lab, two: tuple[Path, Path]
) -> None:
    ran = lab.run("chunks")

    assert ran.success
    assert ran.computed() == {"chunks": 0}


def test_a_stage_reads_what_its_upstream_made_before(lab: Lab, two: tuple[Path, Path]) -> None:
    lab.run()
    lab.configure(chunk_tokens=32)

    assert lab.run("chunks").computed() == {"chunks": 2}
    assert lab.run("vector_index").computed() == {"vector_index": 0}
    assert lab.run("enriched_chunks", "chunk_embeddings", "vector_index").computed() == {
        "enriched_chunks": 2,
        "chunk_embeddings": 2,
        "vector_index": 2,
    }


def test_what_is_attached_stays_whatever_is_materialised(lab: Lab) -> None:
    both: dict[str, bytes | str] = {"note.txt": "The harbour froze.", "list.txt": "Nails, tar."}
    lab.submit(lab.write("all.zip", zipped(both)))
    while lab.run(waiting_only=True).computed()["source_documents"]:
        pass
    assert lab.indexed() == {"note.txt": 1, "list.txt": 1}

    for asset in ASSETS:
        assert lab.run(asset, only="stale").success
        assert lab.run(asset, only="all").success
    lab.run("vector_index", force=True)

    states = {name: each.state for name, each in lab.documents().items()}
    assert states == dict.fromkeys(("all.zip", *both), DocumentState.INDEXED)
    assert set(lab.indexed()) == set(both)


def test_what_is_attached_is_found_after_stage_by_stage_too(lab: Lab) -> None:
    lab.submit(lab.write("all.zip", zipped({"note.txt": "The harbour froze."})))

    for asset in 2 * ASSETS:
        assert lab.run(asset).success

    assert lab.indexed()["note.txt"] == 1


def test_checks_run_only_with_the_asset_that_they_are_about(
    lab: Lab, two: tuple[Path, Path]
) -> None:
    assert lab.run("parsed_documents").checks == {}
    assert set(lab.run("vector_index").checks) == set(CHECKS)


@pytest.mark.parametrize(
    "asset", ["parsed_documents", "chunks", "enriched_chunks", "chunk_embeddings"]
)
def test_force_computes_a_single_stage_again(lab: Lab, two: tuple[Path, Path], asset: str) -> None:
    versions = lab.run().versions
    snow = lab.documents()["snow.txt"].document_id

    forced = lab.run(asset, force=True, document_ids=[snow])

    assert forced.computed() == {asset: 1}
    assert forced.versions[asset] == versions[asset]
    assert lab.indexed() == {"rain.md": 1, "snow.txt": 1}
