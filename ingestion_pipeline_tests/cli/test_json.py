"""The JSON that producers and dashboards rely on: these fields must be there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline.model.documents import STAGES
from ingestion_pipeline_tests.cli.conftest import SAMPLES
from ingestion_pipeline_tests.cli.terminal import said

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder

TASK = {
    "task_id", "batch_id", "type", "collection", "tenant", "document_id", "state", "progress",
    "attempts", "tokens", "error", "question", "backend", "run_id", "created_at", "started_at",
    "deadline", "finished_at", "messages",
}  # fmt: skip
DOCUMENT = {
    "document_id", "collection", "name", "uri", "sha256", "media_type", "bytes", "state", "pages",
    "chunks", "tokens", "error", "stages", "updated_at",
}  # fmt: skip
HIT = {
    "chunk_id", "document_id", "name", "kind", "text", "score", "pages", "heading_path", "sources",
}  # fmt: skip
EVALUATION = {"queries", "recall@5", "recall@10", "ndcg@10", "mrr@10", "seconds_per_query"}
STATUS = {
    "redis", "database", "lancedb", "daemon", "webserver", "workers", "stream", "backlog", "runs",
}  # fmt: skip
OPERATION = {
    "task_id", "type", "collection", "tenant", "document_id", "state", "progress", "tokens",
    "error", "name", "suffix", "source", "pipeline", "messages", "began_at", "seconds",
}  # fmt: skip


def value(*arguments: str) -> Any:
    """Run a command with ``--json``; all of stdout must be that."""
    ran = said(*arguments, "--json")
    assert ran.code == 0, ran.err
    return ran.json


def test_documents() -> None:
    documents = value("documents", "--collection", "handbook")

    assert [document["name"] for document in documents] == sorted(SAMPLES)
    for document in documents:
        assert document.keys() >= DOCUMENT
        assert (document["state"], document["error"]) == ("indexed", None)
        assert document["stages"].keys() == set(STAGES)
        assert document["chunks"] > 0
        assert len(document["sha256"]) == 64
        assert datetime.fromisoformat(document["updated_at"]).utcoffset() is not None


def test_tasks_and_one_task() -> None:
    tasks = value("tasks", "--collection", "handbook")

    assert len(tasks) == len(SAMPLES)
    for task in tasks:
        assert task.keys() >= TASK
        assert (task["type"], task["state"], task["error"]) == ("ingest", "succeeded", None)
        assert (task["progress"], task["attempts"], task["backend"]) == (1.0, 1, "in_process")
        assert task["created_at"] <= task["started_at"] <= task["finished_at"]
        assert task["messages"][-1].endswith("chunks.")
    assert value("task", tasks[0]["task_id"]) == tasks[0]
    assert value("tasks", "--collection", "handbook", "--state", "failed") == []
    assert len(value("tasks", "--limit", "2")) == 2


def test_watch_of_ended_tasks_returns_them_in_the_order_asked_for() -> None:
    ids = [task["task_id"] for task in value("tasks", "--collection", "handbook")][::-1]

    assert [task["task_id"] for task in value("watch", *ids)] == ids


@pytest.mark.parametrize("mode", ["auto", "text", "vector", "hybrid"])
def test_search(mode: str) -> None:
    arguments = ("search", "hotel limit for a business trip", "--collection", "handbook")
    hits = value(*arguments, "--mode", mode, "--k", "3")

    assert 0 < len(hits) <= 3
    for hit in hits:
        assert hit.keys() >= HIT
        assert hit["kind"] == "chunk"
        assert isinstance(hit["pages"], list)
        assert isinstance(hit["heading_path"], list)
    assert "travel-policy.md" in {hit["name"] for hit in hits}
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)


def test_search_with_a_filter() -> None:
    arguments = ("search", "limit", "--collection", "handbook", "--filter")

    assert {hit["name"] for hit in value(*arguments, "name = 'glossary.txt'")} == {"glossary.txt"}


def test_evaluate(tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    queries.write_text(
        '{"id": "q1", "question": "hotel limit for a business trip", "gold": ["travel-policy"]}\n'
    )
    arguments = ("evaluate", "--collection", "handbook", "--queries", str(queries))

    figures = value(*arguments, "--hits")

    assert figures.keys() >= EVALUATION
    assert (figures["queries"], figures["recall@5"]) == (1, 1.0)
    (hits,) = figures["hits"]
    assert hits["id"] == "q1"
    assert hits["names"][0] == "travel-policy.md"
    assert "hits" not in value(*arguments)


def test_status() -> None:
    status = value("status")

    assert status.keys() >= STATUS
    assert {status[part] for part in ("redis", "database", "lancedb")} == {"ok"}
    assert {status[part] for part in ("daemon", "webserver")} == {"not running"}
    assert status["stream"].keys() >= {"length", "pending", "lag"}
    assert status["runs"] == {"queued": 0, "running": 0}


def test_operations() -> None:
    operations = value("operations", "--collection", "handbook")

    assert len(operations) == len(SAMPLES)
    for operation in operations:
        assert operation.keys() >= OPERATION
        assert (operation["state"], operation["progress"]) == ("succeeded", 1.0)
        assert operation["seconds"] >= 0
        assert operation["name"].endswith(f".{operation['suffix']}")
        assert operation["source"].endswith(operation["name"])
        assert operation["messages"][-1].endswith("chunks.")
    assert {operation["name"] for operation in operations} == set(SAMPLES)


def test_dead_letters_can_be_listed_and_sent_once_more() -> None:
    import redis

    from ingestion_pipeline.settings import Settings

    with redis.Redis(unix_socket_path=str(Settings().redis_socket)) as producer:
        letter = {"message": "{", "reason": "no JSON", "first_seen": "2025-03-01T00:00:00+00:00"}
        id_ = producer.xadd("ingest:tasks:dead", letter).decode()

        assert value("dead-letters") == [{"id": id_, **letter}]
        assert value("dead-letters", "--requeue", id_) == {"requeued": id_}
        assert value("dead-letters") == []
        producer.delete("ingest:tasks:normal", "ingest:tasks:dead")


def test_the_life_of_a_collection() -> None:
    made = value("collections", "create", "notes", "--set", "chunk_tokens=64")

    assert made.keys() >= {"collection", "tenant", "config", "created_at"}
    assert made["config"]["chunk_tokens"] == 64
    assert value("collections", "show", "notes") == made
    changed = value("collections", "configure", "notes", "--set", "chunk_tokens=null")
    assert changed["config"]["chunk_tokens"] is None
    assert "notes" in {each["collection"] for each in value("collections", "list")}
    assert value("collections", "delete", "notes") == {"deleted": "notes"}
    assert "notes" not in {each["collection"] for each in value("collections", "list")}


def test_a_reindex_of_what_is_up_to_date_does_nothing_and_says_so() -> None:
    task = value("reindex", "--collection", "handbook")

    assert task.keys() >= TASK
    assert (task["type"], task["state"], task["attempts"]) == ("reindex", "succeeded", 0)
    assert task["messages"][-1].endswith("Nothing to do: no document is selected.")
