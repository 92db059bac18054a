from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ingestion_pipeline.model.collections import AlertsConfig, CollectionConfig, CollectionName
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.registry.figures import Failed, Waiting
from ingestion_pipeline.registry.schema import documents
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks import alerts
from ingestion_pipeline.tasks.alerts import (
    Alert,
    CheckResult,
    FinishedRun,
    Reason,
    Watch,
    loaded,
    plan,
    reached_limits,
    reached_now,
    send,
)
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline_tests.fakes import FakeServices

ALERT = Alert(reason=Reason.RUN_FAILED, key="run:1", text="a run failed", at=1.0)


def run(run_id: str = "1", root: str | None = None, **values: Any) -> FinishedRun:
    given = {"job": "ingest_job", "collection": "docs", "failed": True, "will_retry": False}
    return FinishedRun(run_id=run_id, root_run_id=root or run_id, **given | values)


def check(*, good: bool, collection: str = "docs") -> CheckResult:
    return CheckResult(key=f"check:{collection}", collection=collection, good=good, text="said")


def looks(*rounds: list[FinishedRun]) -> list[list[tuple[Reason, str]]]:
    """Look once at each round; return what somebody heard of each time."""
    watch, heard = Watch(), []
    for runs in rounds:
        found, watch = plan(watch, runs, [], 1.0)
        heard.append([(alert.reason, alert.key) for alert in found])
    return heard


def reached(
    limits: dict[str, AlertsConfig],
    failed: Sequence[Failed] = (),
    waiting: Sequence[Waiting] = (),
) -> list[Alert]:
    return list(reached_limits(limits, failed, waiting, 1.0))


def test_a_run_is_told_of_when_nobody_tries_again() -> None:
    first, last = run("1", will_retry=True), run("2", "1")

    assert looks([first], [last]) == [[], [(Reason.RUN_FAILED, "run:1")]]


def test_a_run_that_succeeded_in_the_end_is_not_told_of() -> None:
    assert looks([run("1", will_retry=True)], [run("2", "1", failed=False)]) == [[], []]


def test_nothing_is_told_twice() -> None:
    again = [run("1"), run("1"), run("2", "1")]

    assert looks(again, again) == [[(Reason.RUN_FAILED, "run:1")], []]


def test_a_check_is_told_of_when_it_begins_to_fail_and_again_after_it_was_good() -> None:
    bad, good = (
        run(failed=False, checks=(check(good=False),)),
        run(failed=False, checks=(check(good=True),)),
    )
    said = [(Reason.CHECK_FAILED, "check:docs")]

    assert looks([bad], [bad], [good], [bad]) == [said, [], [], said]


def test_a_run_that_failed_for_a_check_is_told_of_as_the_check_alone() -> None:
    assert looks([run(checks=(check(good=False),))]) == [[(Reason.CHECK_FAILED, "check:docs")]]


def test_a_check_of_one_collection_hides_none_of_another() -> None:
    runs = [run(c, failed=False, checks=(check(good=False, collection=c),)) for c in ("a", "b")]

    assert looks(runs) == [[(Reason.CHECK_FAILED, "check:a"), (Reason.CHECK_FAILED, "check:b")]]


@pytest.mark.parametrize(
    ("limits", "failed", "total", "told"),
    [
        ({}, 10, 10, False),
        ({"failed_documents": 3}, 2, 10, False),
        ({"failed_documents": 3}, 3, 1000, True),
        ({"failed_share": 0.5}, 4, 10, False),
        ({"failed_share": 0.5}, 5, 10, True),
        ({"failed_share": 0.01}, 0, 10, False),
        ({"failed_share": 0.01}, 1, 10, True),
        ({"failed_documents": 100, "failed_share": 0.1}, 1, 10, True),
    ],
)
def test_failed_documents_are_told_of_from_a_number_or_a_share_on(
    limits: dict[str, Any], failed: int, total: int, told: bool
) -> None:
    found = reached({"docs": AlertsConfig(**limits)}, [Failed("docs", failed, total)])

    assert [alert.reason for alert in found] == [Reason.DOCUMENTS_FAILED] * told


@pytest.mark.parametrize(
    ("limit", "oldest", "told"),
    [(None, 1e6, False), (60.0, 60.0, False), (60.0, 60.5, True), (0.5, 0.6, True)],
)
def test_documents_that_wait_longer_than_a_limit_are_told_of(
    limit: float | None, oldest: float, told: bool
) -> None:
    limits = {"docs": AlertsConfig(waiting_seconds=limit)}

    found = reached(limits, waiting=[Waiting("docs", 3, oldest)])

    assert [alert.reason for alert in found] == [Reason.DOCUMENTS_WAITING] * told


def test_it_is_told_how_long_and_how_many_wait_and_where_to_look() -> None:
    limits = {"acme/docs": AlertsConfig(waiting_seconds=60)}

    (alert,) = reached(limits, waiting=[Waiting("acme/docs", 12, 7384.4)])

    assert alert.collection == "acme/docs"
    assert alert.text == (
        "collection acme/docs: a document waits for 2:03:04 for being indexed, 12 wait in all; "
        "`ingest status` shows whether all parts work, `ingest tasks` what is under way"
    )


def test_a_limit_of_one_collection_is_none_of_another() -> None:
    limits = {"a": AlertsConfig(waiting_seconds=60, failed_documents=1), "b": AlertsConfig()}

    found = reached(
        limits,
        [Failed(key, 5, 5) for key in "abc"],
        [Waiting(key, 5, 99.0) for key in "abc"],
    )

    assert [alert.key for alert in found] == ["documents:a", "waiting:a"]


@pytest.mark.parametrize("kind", ["failed", "waiting"])
def test_a_threshold_is_told_of_again_after_it_was_not_reached(kind: str) -> None:
    limits = {"docs": AlertsConfig(failed_documents=2, waiting_seconds=2)}
    watch, heard = Watch(), []
    for figure in (3, 4, 1, 3):
        failed = [Failed("docs", figure, 9)] if kind == "failed" else []
        waiting = [Waiting("docs", 1, figure)] if kind == "waiting" else []
        found, watch = plan(watch, [], reached(limits, failed, waiting), 1.0)
        heard.append(len(found))

    assert heard == [1, 0, 0, 1]


def test_a_threshold_that_was_taken_away_is_forgotten() -> None:
    limits = {"docs": AlertsConfig(failed_documents=1, waiting_seconds=1)}
    found = reached(limits, [Failed("docs", 2, 2)], [Waiting("docs", 2, 2.0)])
    _, watch = plan(Watch(), [], found, 1.0)
    assert len(watch.failing) == 2

    _, watch = plan(watch, [], [], 1.0)

    assert watch.failing == ()


def test_nothing_of_an_empty_collection_is_reached(services: FakeServices) -> None:
    known = services.registry.collections
    assert reached_now(services, 1.0) == []
    limits = {"alerts.failed_documents": 1, "alerts.waiting_seconds": 0.001}
    known.create(CollectionName("default", "empty"), CollectionConfig().updated(limits))

    assert reached_now(services, 1.0) == []


def test_a_document_waits_from_when_it_was_asked_for_until_it_is_indexed(
    services: FakeServices, tmp_path: Path
) -> None:
    registry, path = services.registry, tmp_path / "a.txt"
    path.write_text("Some words.")
    collection = registry.collections.ensure(CollectionName("default", "docs"))[0]
    registry.collections.configure("docs", {"alerts.waiting_seconds": 3600})
    submit(services, collection, [path], Priority.NORMAL, {})
    assert reached_now(services, 1.0) == []

    for state in ("pending", "processing"):
        with registry.database.write() as connection:
            values = {"state": state, "requested_at": time.time() - 3700}
            connection.execute(documents.update().values(values))
        (alert,) = reached_now(services, 1.0)
        assert alert.key == "waiting:docs"
        assert "a document waits for 1:01:40 for being indexed, 1 wait in all" in alert.text
    for state in ("indexed", "failed", "input", "deleted"):
        with registry.database.write() as connection:
            connection.execute(documents.update().values(state=state))
        assert reached_now(services, 1.0) == []


def test_what_is_known_survives_and_what_cannot_be_read_begins_anew() -> None:
    watch = Watch(seen_until=5.0, failing=("a",), runs=("r",), unsent=(ALERT,))

    assert loaded(watch.model_dump_json()) == watch
    assert loaded(None) == loaded("") == loaded("no json") == loaded('{"runs": 1}') == Watch()


class Hook:
    """A webhook that answers with the statuses it is given, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = hook.statuses.pop(0) if hook.statuses else 200
                if status == 200:
                    hook.bodies.append(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/T0KEN"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "PAUSE_SECONDS", 0)


def settings(tmp_path: Path, url: str | None) -> Settings:
    return Settings(state_dir=tmp_path, alert_webhook_url=SecretStr(url) if url else None)


def test_an_alert_is_posted_as_json_and_is_in_the_log(
    hook: Hook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = send(settings(tmp_path, hook.url), [ALERT], Watch())

    assert hook.bodies == [ALERT.model_dump(mode="json")]
    assert watch.unsent == ()
    assert "alert (run_failed): a run failed" in caplog.text


def test_nothing_is_sent_without_an_address(hook: Hook, tmp_path: Path) -> None:
    watch = send(settings(tmp_path, None), [ALERT], Watch(unsent=(ALERT,)))

    assert watch.unsent == ()
    assert hook.bodies == []


def test_it_is_tried_again_at_once_and_at_the_next_look(
    hook: Hook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = ALERT.model_copy(update={"key": "run:2"})
    hook.statuses = [500, 429]
    assert send(settings(tmp_path, hook.url), [ALERT], Watch()).unsent == ()
    hook.statuses = [500] * alerts.ATTEMPTS
    watch = send(settings(tmp_path, hook.url), [other], Watch())
    assert watch.unsent == (other,)

    assert send(settings(tmp_path, hook.url), [], watch).unsent == ()

    assert [body["key"] for body in hook.bodies] == ["run:1", "run:2"]
    assert "T0KEN" not in caplog.text


@pytest.mark.parametrize("url", ["file:///T0KEN", "T0KEN", "refused"])
def test_what_cannot_be_sent_is_given_up_and_no_secret_is_told(
    hook: Hook, tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    hook.statuses = [403]

    watch = send(settings(tmp_path, hook.url if url == "refused" else url), [ALERT], Watch())

    assert watch.unsent == ()
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert "T0KEN" not in caplog.text


def test_nobody_there_keeps_it_for_later(tmp_path: Path) -> None:
    made = Hook()
    made.close()

    watch = send(settings(tmp_path, made.url), [ALERT] * 200, Watch())

    assert len(watch.unsent) == alerts.UNSENT_KEPT
