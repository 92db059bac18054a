"""Maintenance from the command line."""

from __future__ import annotations

import pytest

from ingestion_pipeline.execution import upkeep
from ingestion_pipeline.execution.upkeep import PARTS, Part
from ingestion_pipeline.tasks.maintenance import Report
from ingestion_pipeline_tests.cli.terminal import said

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder


def test_a_dry_run_says_of_each_part_what_it_would_do() -> None:
    ran = said("maintain", "--dry-run", "--json")

    assert ran.code == 0, ran.err
    assert list(ran.json) == [part.name for part in PARTS]
    assert ran.json["purge_deleted"]["figures"]["differences"] == 0
    assert ran.json["compact_indexes"]["figures"]["index_rows"] > 0
    databases = {row["file"] for row in ran.json["vacuum_databases"]["details"]}
    assert databases == {"index.db", "runs.db", "schedules.db", "registry.db"}
    assert all(part["problems"] == [] for part in ran.json.values())


def test_what_could_not_be_done_is_told_after_all_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(*_: object) -> Report:
        """Break."""
        raise ValueError

    def works(*_: object) -> Report:
        """Work."""
        return Report({"bytes_removed": 2_500_000, "files": 1200})

    monkeypatch.setattr(upkeep, "PARTS", (Part(breaks), Part(works)))

    ran = said("maintain")

    assert ran.code == 1
    assert ran.out.split("\n")[1].split() == ["works", "bytes_removed", "2.5", "MB"]
    assert ran.out.split("\n")[2].split() == ["works", "files", "1,200"]
    assert ran.err.splitlines()[-2] == "breaks: unexpected: ValueError"
    assert ran.err.splitlines()[-1].startswith("error: unavailable: breaks could not do all")
