from __future__ import annotations

from pathlib import Path

import pytest

from ingestion_pipeline.settings import project_dir
from ingestion_pipeline_tests.constraints import constraints, main


def test_versions_are_kept_and_where_they_came_from_is_not(tmp_path: Path) -> None:
    frozen, target = tmp_path / "frozen.txt", tmp_path / "constraints.txt"
    frozen.write_text("torch==2.13.0+cpu\nAlembic==1.20.1\nattrs==26.1.0\n")
    target.write_text("# what this is\nold==1\n")

    main(frozen, target)

    assert target.read_text() == "# what this is\nAlembic==1.20.1\nattrs==26.1.0\ntorch==2.13.0\n"


@pytest.mark.parametrize("line", ["some @ file:///wheels/some-1.whl", "-e /somewhere"])
def test_what_is_no_version_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not the version"):
        constraints(line, "")


def test_the_file_there_is_holds_versions_only() -> None:
    there = (project_dir() / "constraints.txt").read_text().splitlines()
    pins = [line for line in there if not line.startswith("#")]

    assert constraints("\n".join(pins), "").splitlines() == sorted(pins, key=str.lower)
