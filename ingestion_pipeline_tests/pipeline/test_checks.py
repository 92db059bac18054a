"""Checks on real runs: what they find, what they stop, and whom they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import lancedb
import pytest

from ingestion_pipeline.tasks import inspection
from ingestion_pipeline_tests.fakes import POISON
from ingestion_pipeline_tests.pipeline.lab import ASSETS, Lab

INDEXED = dg.AssetKey("vector_index")


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody publishes meanwhile: a difference is one at the first look."""
    monkeypatch.setattr(inspection, "SETTLE_ATTEMPTS", 1)
    monkeypatch.setattr(inspection, "SETTLE_SECONDS", 0)


@pytest.fixture
def table(lab: Lab, two: tuple[Path, Path]) -> Iterator[object]:
    """The collection's table after a run, opened behind everybody's back."""
    lab.run()
    database = lancedb.connect(lab.services.settings.lancedb_address)
    (name,) = database.list_tables().tables
    return database.open_table(name)


def test_a_bad_document_fails_neither_the_run_nor_the_others(lab: Lab) -> None:
    lab.submit(lab.write("good.txt", "A good one."), lab.write("bad.txt", f"This one is {POISON}."))

    ran = lab.run()

    assert ran.success
    assert set(ran.versions) == set(ASSETS)
    assert lab.indexed() == {"good.txt": 1}
    assert ran.checks["index_matches_registry"].passed
    assert ran.checks["chunks_fit_the_model"].passed


def test_a_document_that_is_not_indexed_is_named_as_a_warning(lab: Lab) -> None:
    lab.submit(lab.write("good.txt", "A good one."), lab.write("bad.txt", f"This one is {POISON}."))

    check = lab.run().checks["every_document_is_indexed"]

    assert not check.passed
    assert not check.blocking
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert check.description == "of 2 documents 1 failed and 0 are not done"
    (row,) = check.metadata["not_indexed_documents"].records
    assert (row.data["document"], row.data["state"]) == ("bad.txt", "failed")
    assert row.data["reason"].startswith("internal: ")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda table, id_: table.delete(f"document_id = '{id_}'"), "but is not in the index"),
        (
            lambda table, id_: table.update(
                where=f"document_id = '{id_}'", values={"document_version": "0" * 64}
            ),
            "in another version than was published",
        ),
        (
            lambda table, id_: table.update(
                where=f"document_id = '{id_}'", values={"document_id": "stranger"}
            ),
            "stranger is in the index but was not published",
        ),
    ],
    ids=["missing", "another version", "stranger"],
)
def test_an_index_that_differs_from_the_registry_fails_the_run(
    lab: Lab, table: lancedb.table.Table, harm, said: str
) -> None:
    harm(table, lab.documents()["snow.txt"].document_id)

    ran = lab.run()

    assert not ran.success
    check = ran.checks["index_matches_registry"]
    assert not check.passed
    assert check.blocking
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert said in (check.description or "")
    assert set(ran.versions) == set(ASSETS)


def test_a_chunk_longer_than_the_model_reads_fails_the_run(
    lab: Lab, table: lancedb.table.Table
) -> None:
    table.update(where="name = 'snow.txt'", values={"tokens": 65})

    ran = lab.run()

    assert not ran.success
    check = ran.checks["chunks_fit_the_model"]
    assert (check.passed, check.blocking) == (False, True)
    assert check.description == "the longest chunk has 65 tokens; the model reads 64"


def test_what_was_harmed_is_repaired_by_processing_it_again(
    lab: Lab, table: lancedb.table.Table
) -> None:
    table.delete("name = 'snow.txt'")
    snow = lab.documents()["snow.txt"].document_id

    assert lab.run(document_ids=[snow], force=True).success
    assert lab.indexed() == {"rain.md": 1, "snow.txt": 1}


def test_the_result_of_one_collection_does_not_hide_that_of_another(lab: Lab) -> None:
    lab.submit(lab.write("bad.txt", f"This one is {POISON}."), collection="bad")
    lab.submit(lab.write("good.txt", "A good one."), collection="good")
    lab.run(collection="bad")
    lab.run(collection="good")

    records = lab.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(INDEXED, "every_document_is_indexed"), limit=10
    )

    assert {record.partition: record.status.value for record in records} == {
        "bad": "FAILED",
        "good": "SUCCEEDED",
    }
