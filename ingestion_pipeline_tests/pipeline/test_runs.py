"""Whole runs: what they leave in Dagster, and that they do only what is needed."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import Backend, TaskState
from ingestion_pipeline.tasks.deletion import delete_collection
from ingestion_pipeline_tests.fakes import POISON
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.pipeline.lab import ASSETS, CHECKS, Lab

NOTHING = dict.fromkeys(ASSETS, 0)
LONG = "Wind, rain and sun took turns over the harbour that day. " * 12


def test_a_run_materialises_every_asset_and_evaluates_every_check(
    lab: Lab, two: tuple[Path, Path]
) -> None:
    ran = lab.run()

    assert ran.success
    assert set(ran.versions) == set(ASSETS)
    assert len(set(ran.versions.values())) == len(ASSETS)
    assert {name: check.passed for name, check in ran.checks.items()} == dict.fromkeys(CHECKS, True)
    assert {check.partition for check in ran.checks.values()} == {"papers"}
    assert lab.indexed() == {"rain.md": 1, "snow.txt": 1}


def test_each_materialisation_has_numbers_that_plot(lab: Lab, two: tuple[Path, Path]) -> None:
    ran = lab.run()

    for asset in ASSETS:
        shown = ran.metadata(asset)
        if asset == "parsed_documents":
            of_parsing = ("pages", "documents_rejected", "pages_read_by_ocr", "pictures")
            assert [shown.pop(name) for name in (*of_parsing, "attached_documents")] == [0] * 5
        if asset == "chunk_embeddings":
            assert shown.pop("embedded_chunks") == 2
        counts = {name: value for name, value in shown.items() if isinstance(value, int)}
        assert counts == {
            "documents": 2,
            # The bytes were stored when they were submitted: there is nothing to fetch.
            "documents_computed": 0 if asset == "source_documents" else 2,
            "documents_reused": 2 if asset == "source_documents" else 0,
            "documents_failed": 0,
            "documents_waiting_for_upstream": 0,
            "chunks": 2,
            "tokens": counts["tokens"],
            "batches": 1,
            "collection_documents": 2,
            "collection_chunks": 2,
            "collection_tokens": counts["tokens"],
        }
        assert counts["tokens"] > 10
        for name in ("stage_seconds", "run_seconds", "documents_per_second"):
            assert isinstance(shown[name], float)


def test_parsing_tells_what_was_parsed_and_what_was_rejected_and_why(lab: Lab) -> None:
    lab.submit(
        lab.write("handbook.pdf", samples.handbook_pdf(3)),
        lab.write("good.txt", "A good one."),
        lab.write("unembeddable.txt", f"This one is {POISON}."),
        lab.write("blank.txt", "\n"),
        lab.write("scan.pdf", samples.pdf([samples.scanned_page])),
        lab.write("broken.pdf", b"%PDF-1.7 and no more"),
    )

    ran = lab.run()

    shown = ran.metadata("parsed_documents")
    assert shown["documents_by_media_type"] == {"text/plain": 2, "application/pdf": 1}
    assert shown["pages"] == 3
    assert shown["characters_per_page"] > 100
    assert shown["pages_per_second"] > 0
    assert shown["rejected_by_reason"] == {"empty": 2, "broken": 1}
    assert shown["documents_rejected"] == 3
    assert "pages" not in ran.metadata("vector_index")


def test_the_table_names_documents_with_failures_first(lab: Lab) -> None:
    lab.submit(
        lab.write("a.txt", "A good one."),
        lab.write("z.txt", f"This one is {POISON}."),
    )

    rows = [record.data for record in lab.run().metadata("vector_index")["batch"].records]

    assert [(row["document"], row["outcome"]) for row in rows] == [
        ("z.txt", "failed"),
        ("a.txt", "done"),
    ]
    assert rows[0]["error"].startswith("internal: ")
    assert (rows[1]["chunks"], rows[1]["error"]) == (1, "")


def test_tasks_end_with_the_run_that_did_them(lab: Lab, two: tuple[Path, Path]) -> None:
    ran = lab.run()

    for task in lab.services.registry.tasks.find():
        assert task.state is TaskState.SUCCEEDED
        assert (task.backend, task.run_id) == (Backend.DAGSTER, ran.result.run_id)


def test_a_run_in_which_nothing_changed_computes_nothing_and_changes_no_version(
    lab: Lab, two: tuple[Path, Path]
) -> None:
    first = lab.run()
    second = lab.run()

    assert second.success
    assert second.computed() == NOTHING
    assert second.versions == first.versions
    assert second.metadata("vector_index")["documents"] == 0


def test_editing_one_document_processes_just_that_one(lab: Lab, two: tuple[Path, Path]) -> None:
    first = lab.run()
    two[0].write_text("# Rain\n\nIt rained in June.\n")
    lab.submit(*two)

    second = lab.run()

    assert second.computed() == {**dict.fromkeys(ASSETS, 1), "source_documents": 0}
    assert second.metadata("vector_index")["documents"] == 1
    assert all(second.versions[asset] != first.versions[asset] for asset in ASSETS)
    assert lab.indexed() == {"rain.md": 1, "snow.txt": 1}


def test_bytes_that_come_back_bring_the_old_version_back(lab: Lab, two: tuple[Path, Path]) -> None:
    original = two[1].read_text()
    first = lab.run()
    for text in ("Something else.", original):
        two[1].write_text(text)
        lab.submit(two[1])
        last = lab.run()

    assert last.versions == first.versions


def test_another_chunk_size_chunks_again_without_parsing(lab: Lab) -> None:
    lab.submit(lab.write("wind.txt", LONG))
    first = lab.run()
    lab.configure(chunk_tokens=32)

    second = lab.run()

    assert second.computed() == {
        "source_documents": 0,
        "parsed_documents": 0,
        "chunks": 1,
        "enriched_chunks": 1,
        "chunk_embeddings": 1,
        "vector_index": 1,
    }
    assert lab.indexed()["wind.txt"] > first.metadata("chunks")["chunks"]
    unchanged = ("source_documents", "parsed_documents")
    assert {asset for asset in ASSETS if second.versions[asset] == first.versions[asset]} == set(
        unchanged
    )


def test_another_title_weight_embeds_again_without_chunking(
    lab: Lab, two: tuple[Path, Path]
) -> None:
    lab.run()
    lab.configure(title_weight=0)

    assert lab.run().computed() == {
        **NOTHING,
        "chunk_embeddings": 2,
        "vector_index": 2,
    }


def test_a_run_drains_its_collection_batch_after_batch(lab: Lab) -> None:
    lab.submit(*(lab.write(f"{number:02}.txt", f"Number {number}.") for number in range(20)))

    shown = lab.run().metadata("vector_index")

    assert (shown["documents"], shown["batches"]) == (20, 3)
    assert len(lab.indexed()) == 20


def test_a_run_of_the_stream_takes_what_tasks_wait_for_and_not_what_is_stale(
    lab: Lab, two: tuple[Path, Path]
) -> None:
    lab.run()
    lab.configure(title_weight=0)
    lab.submit(lab.write("new.txt", "A new one."))

    shown = lab.run(waiting_only=True).metadata("vector_index")

    assert shown["documents"] == 1


def test_named_documents_are_taken_and_no_others(lab: Lab, two: tuple[Path, Path]) -> None:
    lab.run()
    lab.configure(title_weight=0)
    rain = lab.documents()["rain.md"].document_id

    ran = lab.run(document_ids=[rain])

    assert ran.computed()["vector_index"] == 1
    assert not lab.run(document_ids=[rain], waiting_only=True).computed()["vector_index"]


def test_force_processes_unchanged_documents_again(lab: Lab, two: tuple[Path, Path]) -> None:
    first = lab.run()
    forced = lab.run(force=True)

    assert {asset: forced.computed()[asset] for asset in ASSETS[1:]} == dict.fromkeys(ASSETS[1:], 2)
    assert forced.versions == first.versions
    assert lab.run().computed() == NOTHING


def test_force_with_a_name_processes_just_that_one(lab: Lab, two: tuple[Path, Path]) -> None:
    lab.run()
    snow = lab.documents()["snow.txt"].document_id

    assert lab.run(force=True, document_ids=[snow]).computed()["chunks"] == 1


def test_all_means_unchanged_ones_too(lab: Lab, two: tuple[Path, Path]) -> None:
    lab.run()

    assert lab.run(only="all").computed()["vector_index"] == 2


def test_failed_documents_are_tried_again_when_asked_for_and_only_then(lab: Lab) -> None:
    lab.submit(lab.write("good.txt", "A good one."), lab.write("bad.txt", f"This one is {POISON}."))
    lab.run()

    assert lab.run().metadata("vector_index")["documents"] == 0
    assert lab.run(only="failed").metadata("vector_index")["documents_failed"] == 1


def test_a_document_that_is_named_but_not_there_fails_the_run_clearly(
    lab: Lab, two: tuple[Path, Path]
) -> None:
    ran = lab.run(document_ids=["nonesuch"])

    assert not ran.success
    assert "collection 'papers' has no document 'nonesuch'" in ran.failures()


def test_a_collection_that_was_deleted_meanwhile_fails_the_run_clearly(
    lab: Lab, two: tuple[Path, Path]
) -> None:
    delete_collection(lab.services, CollectionName("default", "papers"))

    ran = lab.run()

    assert not ran.success
    assert "there is no collection 'papers': create it with" in ran.failures()
    assert ran.versions == {}
    run = lab.instance.get_run_by_id(ran.result.run_id)
    assert run is not None
    assert run.tags["dagster/max_retries"] == "0", "trying again cannot help"


def test_a_partition_that_never_was_is_refused(lab: Lab) -> None:
    with pytest.raises(dg.DagsterUnknownPartitionError, match="nonesuch"):
        lab.run(collection="nonesuch")


def test_an_empty_collection_is_no_error(lab: Lab) -> None:
    lab.submit()

    ran = lab.run()

    assert ran.success
    assert ran.computed() == NOTHING


def test_every_run_of_a_job_does_the_same_as_the_assets_of_the_page(
    lab: Lab, two: tuple[Path, Path]
) -> None:
    for job, documents in (("ingest_job", 2), ("reindex_job", 0)):
        result = lab.defs.resolve_job_def(job).execute_in_process(
            instance=lab.instance, partition_key="papers"
        )
        assert result.success
        (indexed,) = (
            event.materialization
            for event in result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey("vector_index")
        )
        assert indexed.metadata["documents"].value == documents
