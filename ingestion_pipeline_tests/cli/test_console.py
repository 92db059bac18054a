"""The console script as a process: what only shows there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion_pipeline_tests.cli.terminal import said

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder

INGEST = Path(sys.executable).parent / "ingest"


def ingest(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(INGEST), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def test_stdout_holds_only_json_also_when_models_are_loaded(state: Path, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("A good document about harbours.\n")

    ran = ingest(
        "submit", "good.txt", "nonesuch.txt", "-c", "console", "--wait", "--json", cwd=tmp_path
    )

    assert ran.returncode == 1
    assert [task["state"] for task in json.loads(ran.stdout)["tasks"]] == ["succeeded", "failed"]
    lines = ran.stderr.splitlines()
    assert lines[0] == "no daemon is alive: the work is done in this process"
    assert lines[-1] == "1 of 2 tasks did not succeed"
    assert all(" of 2 tasks done: " in line for line in lines[1:-1])
    assert [path.name for path in tmp_path.iterdir()] == ["good.txt"]


def test_errors_are_one_line_and_no_traceback(state: Path, tmp_path: Path) -> None:
    ran = ingest("task", "nonesuch", cwd=tmp_path)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "error: not_found: there is no task 'nonesuch': see `ingest tasks`\n"


def test_people_get_tables(state: Path) -> None:
    documents = said("documents", "--collection", "handbook")
    found = said("search", "hotel limit for a business trip", "--collection", "handbook")
    status = said("status")

    assert documents.out.splitlines()[0].split()[:3] == ["document", "state", "bytes"]
    assert "travel-policy.md" in documents.out
    assert "travel-policy.md" in found.out
    assert "redis      ok" in status.out
    assert {each.code for each in (documents, found, status)} == {0}


def test_every_command_has_help_and_json(state: Path) -> None:
    commands = (
        "up", "demo", "submit", "task", "tasks", "watch", "documents", "reindex", "search",
        "evaluate", "status", "operations", "dead-letters",
    )  # fmt: skip
    listed = said("--help").out
    for command in commands:
        assert command in listed
        explained = said(command, "--help")
        assert explained.code == 0
        assert "--json" in explained.out
