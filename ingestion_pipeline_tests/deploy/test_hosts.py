"""Two hosts that share nothing but servers: PostgreSQL, a bucket, Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import boto3
import pytest

from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.settings import Settings
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.parsing.samples import handbook_pdf

pytestmark = pytest.mark.xdist_group("servers")

CANARY = "zqxcanaryvv"
TEXTS = {
    "travel.md": "# Travel\n\nJourneys abroad are approved by the head of the department.\n",
    "cooking.txt": f"Simmer the tomatoes with garlic and {CANARY} for twenty minutes.\n",
}


@pytest.fixture
def hosts(
    environment: dict[str, str], tmp_path: Path, parsers: ParserPool
) -> Iterator[tuple[IngestionClient, IngestionClient]]:
    """Two clients, each with a state folder of its own, with the fake model."""
    with ExitStack() as stack:
        clients = []
        for name in ("one", "other"):
            settings = Settings(state_dir=tmp_path / name)
            client = stack.enter_context(IngestionClient(settings))
            client.services = FakeServices(settings, parsers)
            clients.append(client)
        yield clients[0], clients[1]


def test_what_one_host_ingests_another_finds_and_deletes(
    hosts: tuple[IngestionClient, IngestionClient], environment: dict[str, str], tmp_path: Path
) -> None:
    one, other = hosts
    folder = tmp_path / "files"
    folder.mkdir()
    for name, text in TEXTS.items():
        folder.joinpath(name).write_text(text)
    folder.joinpath("handbook.pdf").write_bytes(handbook_pdf())

    batch = one.launch_tasks([folder], collection="papers")
    tasks = other.await_tasks(batch.task_ids, timeout=60)

    assert [task.state for task in tasks] == [TaskState.SUCCEEDED] * 3
    (hit,) = one.search(CANARY, collection="papers", mode="text")
    assert hit.name == "cooking.txt"
    assert stored_with(CANARY, environment["INGEST_DAGSTER_LOGS_BUCKET"])

    other.delete_documents([hit.document_id], collection="papers", purge=True)

    assert one.search(CANARY, collection="papers", mode="text") == []
    assert stored_with(CANARY, environment["INGEST_DAGSTER_LOGS_BUCKET"]) == []
    (hit, *_) = one.search("journeys abroad", collection="papers", mode="text")
    assert hit.name == "travel.md"


def test_a_host_keeps_nothing_in_its_state_folder(
    hosts: tuple[IngestionClient, IngestionClient], tmp_path: Path
) -> None:
    one, _ = hosts
    path = tmp_path / "note.txt"
    path.write_text("A short note.\n")

    task = one.launch_and_await_task(path, collection="notes", timeout=60)

    assert task.state is TaskState.SUCCEEDED
    written = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert {each.relative_to(tmp_path).parts[0] for each in written} == {"home", "note.txt"}


def stored_with(word: str, bucket: str) -> list[str]:
    client = boto3.client("s3")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    bodies = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    return [key for key, body in bodies.items() if word.encode() in body]
