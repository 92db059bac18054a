"""The console script as a process: what only shows there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.model.tasks import Backend
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
    assert lines[0] == "no daemon takes tasks up: the work is done in this process"
    assert lines[-1] == "1 of 2 tasks did not succeed"
    assert all(" of 2 tasks done: " in line for line in lines[1:-1])
    assert [path.name for path in tmp_path.iterdir()] == ["good.txt"]


def test_errors_are_one_line_and_no_traceback(state: Path, tmp_path: Path) -> None:
    ran = ingest("task", "nonesuch", cwd=tmp_path)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "error: not_found: there is no task 'nonesuch': see `ingest tasks`\n"


AT_THE_END = """
import atexit, sys, threading, time
from ingestion_pipeline.cli import main
atexit.register(print, "written at the end")
threading.Thread(target=lambda: (time.sleep(0.5), print("said by a thread"))).start()
main()
"""


def test_a_command_ends_with_all_that_was_to_be_done_at_the_end(state: Path) -> None:
    command = [sys.executable, "-c", AT_THE_END, "task", "nonesuch"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert ran.returncode == 1
    assert ran.stdout == "said by a thread\nwritten at the end\n"
    assert ran.stderr.startswith("error: not_found: ")


def test_what_could_not_be_said_is_a_failure(state: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [str(INGEST), "tasks", "--json"], stdout=full, timeout=120, check=False
        )

    assert ran.returncode == 1


def test_after_an_interrupt_the_work_is_kept_and_that_is_said(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number}.txt").write_text(f"Canal {number} is {number} miles long.\n")
    with subprocess.Popen(
        [str(INGEST), "submit", str(tmp_path), "-c", "interrupted", "--wait"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if " running" in line)
        process.send_signal(signal.SIGINT)
        *_, last = process.stderr

    tasks = said("tasks", "--collection", "interrupted", "--limit", "200", "--json").json
    batch = tasks[0]["batch_id"]
    states = {task["state"] for task in tasks}
    assert process.returncode == 130
    assert last == (
        f"the work is kept and waits for `ingest up`, or for `ingest watch {batch}`; "
        f"`ingest cancel {batch}` gives it up\n"
    )
    assert states <= {"waiting", "running", "succeeded"}
    assert states != {"succeeded"}
    watched = said("watch", batch, "--json").json
    assert [task["state"] for task in watched] == ["succeeded"] * 200


def test_after_an_interrupt_a_daemon_goes_on_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    (tmp_path / "good.txt").write_text("A good document about canals.\n")
    monkeypatch.setattr(IngestionClient, "backend", lambda _: Backend.DAGSTER)
    monkeypatch.setattr(IngestionClient, "await_tasks", interrupted)
    submitted = said("submit", str(tmp_path / "good.txt"), "-c", "elsewhere", "--json").json
    batch = submitted["batch_id"]

    watched = said("watch", batch)

    assert (submitted["backend"], watched.code) == ("dagster", 130)
    assert watched.err.splitlines()[-1] == f"the tasks go on; `ingest cancel {batch}` stops them"


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
        "evaluate", "status", "workers", "operations", "dead-letters",
    )  # fmt: skip
    listed = said("--help").out
    for command in commands:
        assert command in listed
        explained = said(command, "--help")
        assert explained.code == 0
        assert "--json" in explained.out
