from __future__ import annotations

import os
from pathlib import Path

import pytest
import redis

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.tasks import Backend, Priority
from ingestion_pipeline.streams.tasks import DEAD_STREAM
from ingestion_pipeline.tasks.history import forget_tasks, report_failures, sweep_models
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import POISON, FakeServices


def refuse(client: redis.Redis, reason: str, first_seen: str) -> None:
    letter = {"message": "{}", "reason": reason, "first_seen": first_seen}
    client.xadd(DEAD_STREAM, letter)  # type: ignore[arg-type]


def test_failures_are_reported_by_reason(
    services: FakeServices, collection: Collection, redis_client: redis.Redis, tmp_path: Path
) -> None:
    refuse(redis_client, "invalid_option: 'colour' is no option", "2000-01-01T00:00:00+00:00")
    refuse(redis_client, "invalid_option: 'shape' is no option", "9999-01-01T00:00:00+00:00")
    refuse(redis_client, "not_found: there is no collection 'x'", "2000-01-01T00:00:00+00:00")
    path = tmp_path / "bad.txt"
    path.write_text(POISON)
    submit(services, collection, [path], Priority.NORMAL, {})
    run(services, collection, WorkRequest("run", Backend.IN_PROCESS))

    report = report_failures(services)

    assert report.figures == {
        "messages_refused_last_day": 1,
        "messages_refused": 3,
        "tasks_failed_last_day": 1,
        "tasks_failed": 1,
    }
    rows = {(row["what"], row["reason"]): (row["last_day"], row["total"]) for row in report.rows}
    assert rows[("message refused", "invalid_option")] == (1, 2)
    assert rows[("message refused", "not_found")] == (0, 1)
    ((kind, counted),) = ((key, each) for key, each in rows.items() if key[0] == "task failed")
    assert counted == (1, 1)
    assert kind[1] in set(ErrorKind)


def test_without_redis_tasks_are_reported_all_the_same(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise TransientError(ErrorKind.UNAVAILABLE, "Redis is away")

    monkeypatch.setattr(services.streams, "dead_letters", away)

    report = report_failures(services)

    assert report.problems == ["Redis is away"]
    assert report.figures["tasks_failed"] == 0


def test_tasks_are_kept_as_long_as_the_settings_say(
    services: FakeServices, collection: Collection, tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Some words.")
    submit(services, collection, [path], Priority.NORMAL, {})
    run(services, collection, WorkRequest("run", Backend.IN_PROCESS))

    assert forget_tasks(services, dry_run=False).figures["tasks_forgotten"] == 0
    services.settings = services.settings.model_copy(update={"history_days": -1.0})
    assert forget_tasks(services, dry_run=True).figures["tasks_forgotten"] == 1
    assert forget_tasks(services, dry_run=False).figures["operations_forgotten"] == 1
    assert forget_tasks(services, dry_run=False).figures["tasks_forgotten"] == 0


def test_models_are_swept_where_the_settings_say(services: FakeServices, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    services.settings = services.settings.model_copy(update={"converted_models_dir": folder})
    model = folder / "unused"
    model.mkdir(parents=True)
    (model / "notes.json").write_text("{}")
    os.utime(model / "notes.json", (0, 0))

    report = sweep_models(services, dry_run=False)

    assert report.figures == {"models_removed": 1, "model_bytes_removed": 2}
    assert not model.exists()
