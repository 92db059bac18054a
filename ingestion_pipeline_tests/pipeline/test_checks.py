"""Checks on real runs: what they find, what they stop, and whom they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import lancedb
import pytest

from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.tasks import commands, inspection
from ingestion_pipeline_tests.fakes import POISON, FakeEmbedder
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.pipeline.lab import ASSETS, Lab

INDEXED = dg.AssetKey("vector_index")
ENGLISH = "All probes are sent to the laboratory once a year, where they are compared."
GERMAN = "Alle Sonden werden einmal im Jahr an das Labor geschickt und dort verglichen."
CHINESE = "所有探头每年送回实验室校准一次、费用由客户承担。"


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


def test_a_document_without_text_is_named_though_a_person_had_it_indexed(lab: Lab) -> None:
    (task_id, *_) = lab.submit(
        lab.write("scan.pdf", samples.pdf([samples.scanned_page] * 2)),
        lab.write("drawing.pdf", samples.pdf([lambda page: page.drawString(90, 90, "A-7")] * 2)),
        lab.write("handbook.pdf", samples.handbook_pdf(2)),
        lab.write("short.txt", "Yes."),
    ).task_ids
    lab.run()
    assert lab.services.registry.tasks.get(task_id).state is TaskState.INPUT
    commands.answer(lab.services, task_id, {"go_on": True})

    ran = lab.run()

    assert ran.success
    check = ran.checks["every_document_has_text"]
    assert (check.passed, check.blocking, check.severity) == (
        False,
        False,
        dg.AssetCheckSeverity.WARN,
    )
    assert check.description == (
        "of 4 indexed documents 1 have no text and 1 hardly any: scans, or drawings?"
    )
    assert [record.data for record in check.metadata["listed_documents"].records] == [
        {
            "document": "scan.pdf",
            "pages": 2,
            "chunks": 0,
            "characters": 0,
            "a_person_said_go_on": True,
        },
        {
            "document": "drawing.pdf",
            "pages": 2,
            "chunks": 1,
            "characters": 8,
            "a_person_said_go_on": False,
        },
    ]


def test_languages_that_the_model_does_not_know_are_named_with_their_shares(lab: Lab) -> None:
    lab.submit(
        lab.write("one.txt", ENGLISH),
        lab.write("two.txt", f"{ENGLISH} And again."),
        lab.write("zwei.txt", GERMAN),
        lab.write("er.txt", CHINESE),
        lab.write("numbers.txt", "17 | 23.5 | 99"),
    )

    ran = lab.run()

    assert ran.success
    check = ran.checks["embedding_model_covers_languages"]
    assert (check.passed, check.blocking, check.severity) == (
        False,
        False,
        dg.AssetCheckSeverity.WARN,
    )
    said = check.description or ""
    assert said.startswith("40% of the chunks are in languages that fake does not know")
    assert "Chinese 20%" in said
    assert "German 20%" in said
    assert "INGEST_EMBEDDING_MODEL" in said
    languages = [record.data for record in check.metadata["languages"].records]
    assert {row["language"]: row["share"] for row in languages} == {
        "English": 0.4,
        "German": 0.2,
        "Chinese": 0.2,
        "not recognised": 0.2,
    }


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (frozenset({"en", "de", "zh"}), "other knows the languages of the collection"),
        (None, "the model card of other does not say which languages it knows"),
    ],
    ids=["multilingual", "unknown"],
)
def test_a_model_for_these_languages_is_fine_and_so_is_one_that_does_not_tell(
    lab: Lab, known: frozenset[str] | None, said: str
) -> None:
    lab.submit(lab.write("zwei.txt", GERMAN), lab.write("er.txt", CHINESE))
    lab.services.embedders["other"] = other = FakeEmbedder("other")
    other.languages = known
    lab.configure(embedding_model="other")

    check = lab.run().checks["embedding_model_covers_languages"]

    assert (check.passed, check.description) == (True, said)
    assert check.metadata["languages_of_the_model"].value == ("de, en, zh" if known else "unknown")


def test_repeated_chunks_are_counted_by_document_and_not_quoted(lab: Lab) -> None:
    lab.submit(
        lab.write("a.txt", "Mind the gap."),
        lab.write("b.txt", "Mind  the gap."),
        lab.write("c.txt", "MIND THE GAP."),
        *(lab.write(f"{number}.txt", f"Number {number}.") for number in range(3)),
    )

    check = lab.run().checks["few_chunks_are_repeated"]

    assert (check.passed, check.blocking, check.severity) == (
        False,
        False,
        dg.AssetCheckSeverity.WARN,
    )
    assert check.description == (
        "3 of 6 chunks (50%) have a text that others have too; the most repeated one is there "
        "3 times"
    )
    (row,) = check.metadata["most_repeated"].records
    assert row.data == {"times": 3, "documents": 3, "among_them": "a.txt, b.txt, c.txt"}
    assert "gap" not in str(check).lower()


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
