from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import STAGES
from ingestion_pipeline.model.tasks import Backend, Priority, ReindexOnly
from ingestion_pipeline.streams.heartbeats import Heartbeats
from ingestion_pipeline.tasks import metrics
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import POISON, FakeServices

WriteFile = Callable[[str, str], Path]
Values = dict[tuple[str, tuple[str, ...]], float]


def ingest(services: FakeServices, collection: Collection, path: Path) -> None:
    submit(services, collection, [path], Priority.NORMAL, {})
    run(services, collection, WorkRequest("run", Backend.IN_PROCESS))


def values(said: str) -> Values:
    """Every sample by its name and the values of its labels, in the order of their names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
    }


def test_what_there_is_waits_and_was_done_is_told(
    services: FakeServices, collection: Collection, write: WriteFile
) -> None:
    ingest(services, collection, write("a.txt", "Some words."))
    ingest(services, collection, write("broken.txt", POISON))
    submit(services, collection, [write("b.txt", "Other words.")], Priority.NORMAL, {})
    services.streams.ensure_groups()
    services.streams.publish(["{}"], Priority.NORMAL)

    said = values(metrics.text(services))

    assert said["ingestion_tasks", ("succeeded", "ingest")] == 1
    assert said["ingestion_tasks", ("failed", "ingest")] == 1
    assert said["ingestion_tasks", ("waiting", "ingest")] == 1
    assert said["ingestion_documents", ("indexed",)] == 1
    assert said["ingestion_backlog_documents", ("docs",)] == 1
    assert 0 <= said["ingestion_oldest_waiting_task_seconds", ()] < 60
    assert said["ingestion_documents_processed_total", ("done",)] == 1
    assert said["ingestion_documents_processed_total", ("failed",)] == 1
    assert said["ingestion_chunks_embedded_total", ()] == 1
    assert said["ingestion_chunks_found_embedded_total", ()] == 0
    for stage in STAGES:
        assert said["ingestion_stage_seconds_total", (stage,)] > 0
    assert said["ingestion_stage_results_total", ("computed", "embedded")] == 1
    assert said["ingestion_stream_messages", ("new",)] >= 1
    assert 0 <= said["ingestion_stream_oldest_seconds", ()] < 60
    assert said["ingestion_up", ("registry",)] == said["ingestion_up", ("redis",)] == 1


def test_results_that_are_used_again_are_told_apart(
    services: FakeServices, collection: Collection, write: WriteFile
) -> None:
    ingest(services, collection, write("a.txt", "Some words."))
    changed = services.registry.collections.configure("docs", {"chunk_tokens": 32})
    run(services, changed, WorkRequest("run", Backend.IN_PROCESS, only=ReindexOnly.STALE))

    said = values(metrics.text(services))

    assert said["ingestion_stage_results_total", ("computed", "parsed")] == 1
    assert said["ingestion_stage_results_total", ("reused", "parsed")] == 1


def test_only_the_largest_backlogs_have_a_series_of_their_own(
    services: FakeServices, write: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST_COLLECTIONS", 1)
    for name, documents in (("one", 1), ("two", 2), ("three", 3)):
        known, _ = services.registry.collections.ensure(CollectionName("default", name))
        paths: list[str | Path] = [write(f"{name}/{n}.txt", "Words.") for n in range(documents)]
        submit(services, known, paths, Priority.NORMAL, {})

    said = values(metrics.text(services))

    backlog = {key: n for (name, key), n in said.items() if name == "ingestion_backlog_documents"}
    assert backlog == {("three",): 3, (metrics.OTHERS,): 3}


def test_a_part_that_does_not_answer_is_down_and_keeps_no_other_back(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Heartbeats) -> None:
        raise TransientError(ErrorKind.UNAVAILABLE, "Redis does not answer")

    monkeypatch.setattr(Heartbeats, "all", away)

    said = values(metrics.text(services))

    assert said["ingestion_up", ("redis",)] == 0
    assert said["ingestion_up", ("registry",)] == 1
    assert ("ingestion_oldest_waiting_task_seconds", ()) in said


def test_they_are_served_on_loopback_and_written_in_one_step(
    services: FakeServices, tmp_path: Path
) -> None:
    with (
        metrics.served(services, 0) as address,
        urllib.request.urlopen(address, timeout=10) as reply,
    ):
        served = values(reply.read().decode())
    metrics.write(services, tmp_path / "ingestion.prom")

    assert address.startswith("http://127.0.0.1:")
    assert served["ingestion_up", ("redis",)] == 1
    assert values((tmp_path / "ingestion.prom").read_text()).keys() == served.keys()
    assert [path.name for path in tmp_path.glob("*.prom*")] == ["ingestion.prom"]
    assert {sample["name"] for sample in metrics.samples(services)} == {n for n, _ in served}
