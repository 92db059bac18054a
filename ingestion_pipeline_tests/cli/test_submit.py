"""Submitting without a daemon: the work is done here, and that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion_pipeline.model.documents import STAGES
from ingestion_pipeline_tests.cli.terminal import Said, said

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder

SAID_SO = "no daemon takes tasks up: the work is done in this process"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two documents, one of them in a folder below."""
    (tmp_path / "below").mkdir()
    (tmp_path / "rain.md").write_text("# Rain\n\nIt rained in March.\n")
    (tmp_path / "below" / "snow.txt").write_text("Snow fell in May.\n")
    return tmp_path


def submit(*arguments: object, collection: str) -> Said:
    return said("submit", *map(str, arguments), "--collection", collection, "--json")


def test_waiting_does_the_work_in_this_process_and_says_so(folder: Path) -> None:
    ran = submit(folder, "--wait", collection="weather")

    assert ran.code == 0
    assert ran.err.splitlines()[0] == SAID_SO
    assert ran.json["backend"] == "in_process"
    tasks = ran.json["tasks"]
    assert {task["state"] for task in tasks} == {"succeeded"}
    assert {task["batch_id"] for task in tasks} == {ran.json["batch_id"]}
    assert "2 of 2 tasks done: 2 succeeded" in ran.err


def test_without_waiting_tasks_are_kept_until_somebody_does_them(folder: Path) -> None:
    ran = submit(folder, collection="later")

    assert ran.code == 0
    batch_id = ran.json["batch_id"]
    assert (
        f"the work is kept and waits for `ingest up`, or for `ingest watch {batch_id}`" in ran.err
    )
    assert {task["state"] for task in ran.json["tasks"]} == {"waiting"}
    watched = said("watch", batch_id, "--json")
    assert watched.code == 0
    assert watched.err.splitlines()[0] == SAID_SO
    assert len(watched.json) == 2
    assert {task["state"] for task in watched.json} == {"succeeded"}


def test_the_same_folder_again_does_nothing_and_an_edit_just_that_file(folder: Path) -> None:
    first = submit(folder, "--wait", collection="edited").json["tasks"]
    unchanged = submit(folder, "--wait", collection="edited").json
    named = submit(folder / "rain.md", "--wait", collection="edited").json["tasks"]
    (folder / "rain.md").write_text("# Rain\n\nIt rained in June.\n")
    edited = submit(folder, "--wait", collection="edited").json

    assert [task["attempts"] for task in first] == [1, 1]
    assert (unchanged["tasks"], unchanged["unchanged"]) == ([], 2)
    assert [task["attempts"] for task in named] == [0]
    assert "Unchanged: nothing to do." in named[0]["messages"][-1]
    assert [task["attempts"] for task in edited["tasks"]] == [1]
    assert edited["unchanged"] == 1
    (hit,) = said("search", "When did it rain?", "-c", "edited", "--mode", "text", "--json").json
    assert "June" in hit["text"]


def test_force_does_it_all_the_same(folder: Path) -> None:
    submit(folder, "--wait", collection="forced")

    again = submit(folder, "--wait", "--option", "force=true", collection="forced")

    assert [task["attempts"] for task in again.json["tasks"]] == [1, 1]


def test_a_dry_run_shows_what_would_be_and_does_nothing(folder: Path) -> None:
    document = folder / "rain.md"
    assert said("collections", "create", "tried").code == 0

    as_text = said("submit", str(document), "--collection", "tried", "--dry-run")
    as_json = submit(document, "--dry-run", "--pipeline", "handbook", collection="tried")

    assert as_text.code == 0, as_text
    assert "rain.md through standard:" in as_text.out
    assert "1 chunks would be published" in as_text.out
    (task,), (found,) = as_json.json["tasks"], as_json.json["dry_runs"]
    assert (task["type"], task["state"]) == ("dataflow", "succeeded")
    assert found["components"][-1]["computed"] is None
    assert [each["heading_path"] for each in found["chunks"]] == [["Rain"]]
    assert said("task", task["task_id"], "--json").json["dry_runs"] == [found]
    assert said("documents", "--collection", "tried", "--json").json == []


def test_a_wait_that_is_too_short_says_that_the_tasks_go_on(folder: Path) -> None:
    ran = submit(folder, "--wait", "--timeout", "0", collection="hurried")

    assert ran.code in (0, 1)
    if ran.code:
        *_, kept, error = ran.err.splitlines()
        assert error == "error: timeout: not done after 0 s; the tasks go on"
        assert kept.startswith("the work is kept and waits for `ingest up`, or for `ingest watch ")


def test_a_tenants_collection_is_not_anothers(folder: Path) -> None:
    submit(folder, "--tenant", "acme", "--wait", collection="private")

    found = said("search", "rain", "-c", "private", "--tenant", "acme", "--json")
    assert found.json[0]["name"] == "rain.md"
    assert said("search", "rain", "-c", "private").error.startswith("error: not_found: ")


def test_a_changed_configuration_makes_documents_stale_and_a_reindex_brings_them_up(
    folder: Path,
) -> None:
    submit(folder, "--wait", collection="changing")
    said("collections", "configure", "changing", "--set", "title_weight=0")

    ran = said("reindex", "--collection", "changing", "--json")

    assert ran.code == 0
    assert SAID_SO in ran.err
    assert ran.json["state"] == "succeeded"
    assert ran.json["messages"][0].endswith("2 documents wait for a run.")
    again = said("reindex", "--collection", "changing", "--json").json
    assert again["messages"][-1].endswith("Nothing to do: no document is selected.")


def test_a_profile_says_where_the_time_went(folder: Path, tmp_path: Path) -> None:
    ran = submit(folder, "--profile", tmp_path / "profile", collection="profiled")

    assert ran.code == 0, ran.err
    assert {task["state"] for task in ran.json["tasks"]} == {"succeeded"}
    table = (tmp_path / "profile" / "stages.md").read_text()
    stages = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]]
    assert table.startswith("| 2 documents | ")
    assert stages == [*STAGES, "book-keeping", "**all**"]
    assert "work_here" in (tmp_path / "profile" / "profile.html").read_text()


def test_a_profile_that_cannot_be_written_stops_all(folder: Path) -> None:
    ran = submit(folder, "--profile", folder / "rain.md", collection="unwritten")

    assert ran.code == 1
    assert "rain.md: File exists; name a folder" in ran.err
    assert "unwritten" not in said("collections", "list").out
