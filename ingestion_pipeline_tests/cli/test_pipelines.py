"""Taking known documents through a pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion_pipeline_tests.cli.terminal import said

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder


def test_documents_are_done_again_from_a_component_on(tmp_path: Path) -> None:
    (tmp_path / "rain.md").write_text("# Rain\n\nIt rained in March, see form AB-12.\n")
    run = ("pipelines", "run", "handbook", "--collection", "again", "--wait", "--json")
    taken = said(
        "submit", str(tmp_path), "--collection", "again", "--pipeline", "handbook", "--wait"
    )
    assert taken.code == 0, taken.err

    ran = said(*run, "--from", "embedder")

    assert ran.code == 0
    assert (ran.json["state"], ran.json["type"]) == ("succeeded", "dataflow")
    assert said(*run, "--from", "embeder").error == (
        "error: invalid_option: the pipeline handbook has no component 'embeder'; it has: file, "
        "parser, hierarchical_merger, keywords, forms, embedder, indexer"
    )
