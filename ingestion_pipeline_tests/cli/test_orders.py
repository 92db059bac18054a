"""Orders about what was asked for before: cancel, retry, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline_tests.cli.terminal import said
from ingestion_pipeline_tests.files import files_with
from ingestion_pipeline_tests.parsing.samples import handbook_pdf

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder

MARK = "zwetschgenroester"
"""A word that stands in the text of one document and nowhere else."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plums.txt").write_text(f"How to make {MARK} from plums.\n")
    (tmp_path / "rain.md").write_text("# Rain\n\nIt rained in March.\n")
    return tmp_path


def value(*arguments: str) -> Any:
    ran = said(*arguments, "--json")
    assert ran.code == 0, ran.err
    return ran.json


def submitted(*sources: Path, collection: str, wait: bool = False) -> Any:
    """Submit and return the JSON, however it ended."""
    waits = ("--wait",) if wait else ()
    return said("submit", *map(str, sources), "-c", collection, *waits, "--json").json


def ids_of_names(collection: str) -> dict[str, str]:
    documents = value("documents", "--collection", collection)
    return {document["name"]: document["document_id"] for document in documents}


def found_names(question: str, collection: str) -> set[str]:
    hits = value("search", question, "--collection", collection, "--mode", "text")
    return {hit["name"] for hit in hits}


def test_a_batch_is_canceled_as_a_whole_and_only_once(folder: Path) -> None:
    batch = submitted(folder, collection="unwanted")
    ids = {task["task_id"] for task in batch["tasks"]}

    canceled = value("cancel", batch["batch_id"])

    assert set(canceled["canceled"]) == ids
    assert {task["state"] for task in canceled["tasks"]} == {"canceled"}
    assert all("Task was canceled." in task["messages"][-1] for task in canceled["tasks"])
    again = said("cancel", batch["batch_id"])
    assert (again.code, again.out) == (0, "0 of 2 tasks canceled; the others had ended already\n")
    watched = said("watch", batch["batch_id"], "--json")
    assert (watched.code, watched.err) == (1, "2 of 2 tasks did not succeed\n")


def test_one_task_of_a_batch_is_canceled_and_the_other_goes_on(folder: Path) -> None:
    batch = submitted(folder, collection="halved")
    unwanted, wanted = (task["task_id"] for task in batch["tasks"])

    assert said("cancel", unwanted).out == "1 of 1 tasks canceled\n"

    assert {task["task_id"]: task["state"] for task in said("watch", wanted, "--json").json} == {
        wanted: "succeeded"
    }
    assert value("task", unwanted)["state"] == "canceled"
    assert found_names("rain", "halved") == {"rain.md"}
    assert found_names(MARK, "halved") == set()


def test_an_unknown_id_among_others_cancels_nothing(folder: Path) -> None:
    batch = submitted(folder, collection="kept")

    assert said("cancel", batch["batch_id"], "nonesuch").error.startswith(
        "error: not_found: there is no task or batch 'nonesuch'"
    )
    states = {task["state"] for task in value("tasks", "--collection", "kept")}
    assert states == {"waiting"}


def test_what_ran_out_of_time_is_tried_once_more_and_succeeds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_PARSE_TIMEOUT_SECONDS", "0.000001")
    (failed,) = submitted(folder / "rain.md", collection="slow", wait=True)["tasks"]
    assert (failed["state"], failed["error"]["kind"]) == ("failed", "timeout")
    monkeypatch.delenv("INGEST_PARSE_TIMEOUT_SECONDS")

    retried = value("retry", failed["task_id"], "--wait")

    assert retried["retried"] == [failed["task_id"]]
    (task,) = retried["tasks"]
    assert (task["state"], task["error"], task["attempts"]) == ("succeeded", None, 2)
    assert found_names("rain", "slow") == {"rain.md"}


def test_all_that_failed_in_a_collection_is_tried_once_more(folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(handbook_pdf()[:900])
    batch = submitted(folder, folder / "missing.txt", collection="mended", wait=True)
    (broken,) = (task["task_id"] for task in batch["tasks"] if task["document_id"]
                 and task["state"] == "failed")  # fmt: skip

    kept = said("retry", "--collection", "mended", "--failed")
    waited = said("watch", broken, "--json")

    assert (kept.code, kept.out) == (0, "1 tasks are tried once more\n")
    assert "the work is kept and waits for `ingest up`" in kept.err
    assert (waited.code, waited.json[0]["attempts"]) == (1, 2)
    assert waited.json[0]["error"]["kind"] == "broken"
    (folder / "broken.pdf").unlink()
    (folder / "good.txt").write_text("A good document.\n")
    submitted(folder / "good.txt", collection="faultless", wait=True)
    assert value("retry", "--collection", "faultless", "--failed") == {"retried": [], "tasks": []}


def test_what_did_not_fail_or_was_refused_is_not_tried_once_more(folder: Path) -> None:
    batch = submitted(folder, folder / "missing.txt", collection="settled", wait=True)

    for task in batch["tasks"]:
        assert said("retry", task["task_id"]).error.startswith(
            "error: invalid_option: nothing to try again: "
        )


def test_a_deleted_document_is_not_found_any_more_and_may_come_back(folder: Path) -> None:
    submitted(folder, collection="thinned", wait=True)
    plums = ids_of_names("thinned")["plums.txt"]

    task = value("delete", plums, "--collection", "thinned")

    assert (task["type"], task["state"]) == ("delete", "succeeded")
    assert found_names(MARK, "thinned") == set()
    assert found_names("rain", "thinned") == {"rain.md"}
    assert ids_of_names("thinned").keys() == {"rain.md"}
    assert said("delete", plums, "-c", "thinned").code == 0
    submitted(folder, collection="thinned", wait=True)
    assert found_names(MARK, "thinned") == {"plums.txt"}
    assert ids_of_names("thinned")["plums.txt"] == plums


def test_purging_removes_every_byte_of_the_text_at_once(folder: Path, state: Path) -> None:
    submitted(folder, collection="purged", wait=True)
    (folder / "plums.txt").unlink()
    plums = ids_of_names("purged")["plums.txt"]
    mine = [path for path in files_with(MARK, state) if "purged" in str(path)]
    assert any("objects" in path.parts for path in mine)

    purged = said("delete", plums, "--collection", "purged", "--purge")

    assert purged.code == 0, purged.err
    assert [path for path in files_with(MARK, state) if "purged" in str(path)] == []
    assert ids_of_names("purged").keys() == {"rain.md"}
    assert found_names("rain", "purged") == {"rain.md"}


def test_deleting_an_unknown_document_deletes_none(folder: Path) -> None:
    submitted(folder, collection="whole", wait=True)
    plums = ids_of_names("whole")["plums.txt"]

    assert said("delete", plums, "nonesuch", "-c", "whole").error == (
        "error: not_found: collection 'whole' has no document 'nonesuch': "
        "see `ingest documents --collection whole`"
    )
    assert found_names(MARK, "whole") == {"plums.txt"}


def test_deleting_what_waits_ends_its_task(folder: Path) -> None:
    (task,) = submitted(folder / "rain.md", collection="regretted")["tasks"]

    value("delete", task["document_id"], "--collection", "regretted")

    ended = value("task", task["task_id"])
    assert ended["state"] == "canceled"
    assert ended["messages"][-1].endswith("Its documents were deleted meanwhile.")
