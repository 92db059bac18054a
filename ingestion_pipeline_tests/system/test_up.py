"""The running system: real daemon, webserver, Redis and runs; and what `kill -9` does to them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import dagster as dg
import pytest

from ingestion_pipeline.model.tasks import Backend, Task, TaskState
from ingestion_pipeline_tests.pipeline.lab import ASSETS
from ingestion_pipeline_tests.system.installation import Installation, eventually
from ingestion_pipeline_tests.system.processes import listening
from ingestion_pipeline_tests.texts import logbook

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

Status = dg.DagsterRunStatus


@dataclass(frozen=True)
class Foreign:
    """What became of a message that another producer had sent."""

    task: Task
    sent_at: float
    done_at: float


@pytest.fixture(scope="module")
def foreign(installation: Installation) -> Foreign:
    """A document of the collection ``foreign``, beside which there is one called ``empty``."""
    installation.ensure_up()
    for name in ("empty", "foreign"):
        installation.collection(name)
    path = installation.write("buoy.md", "# Buoys\n\nThe outer buoy was painted green in May.\n")
    sent_at = time.time()
    _send(installation, task_id="foreign-1", source={"uri": path.as_uri()})
    (task,) = installation.done("foreign-1")
    return Foreign(task, sent_at, time.time())


def test_it_is_reached_from_this_machine_only(running: Installation) -> None:
    assert listening(running.processes()) == {("127.0.0.1", running.port)}
    assert running.graphql("{ version }")["version"] == dg.__version__
    with running.producer() as producer:
        assert producer.config_get("port") == {"port": "0"}


def test_a_second_one_on_the_same_folder_is_refused(running: Installation) -> None:
    first = running.up
    second = running.launch()
    running._up = first

    _, err = second.communicate(timeout=60)

    assert second.returncode == 1
    assert "error: unavailable: a Dagster daemon already works on" in err.splitlines()[-1]
    assert first.poll() is None


def test_a_foreign_producers_message_becomes_a_searchable_document(
    running: Installation, foreign: Foreign
) -> None:
    assert (foreign.task.state, foreign.task.backend) == (TaskState.SUCCEEDED, Backend.DAGSTER)
    assert foreign.task.run_id is not None
    record = running.instance.get_run_record_by_id(foreign.task.run_id)
    assert record is not None
    assert record.dagster_run.tags["dagster/partition"] == "foreign"
    created = record.create_timestamp.timestamp() - foreign.sent_at
    total = foreign.done_at - foreign.sent_at
    print(f"XADD to run: {created:.2f} s; to searchable: {total:.1f} s")  # noqa: T201
    assert created < 30
    (hit,) = running.client.search("green buoy", collection="foreign", mode="text")
    assert (hit.name, hit.heading_path) == ("buoy.md", ["Buoys"])
    assert running.differences("foreign") == ()


def test_messages_that_cannot_be_read_are_put_aside_with_the_reason(running: Installation) -> None:
    with running.producer() as producer:
        producer.xadd("ingest:tasks:high", {"message": '{"type": "ingest", "colection": "x"}'})
        producer.xadd("ingest:tasks:normal", {"text": "no message"})
        assert eventually(lambda: producer.xlen("ingest:tasks:dead") == 2, seconds=30)
        letters = [fields for _, fields in producer.xrange("ingest:tasks:dead")]

    reasons = sorted(fields[b"reason"].decode() for fields in letters)
    assert "no field 'message'" in reasons[1]
    assert "collection" in reasons[0]


def test_a_message_about_a_path_outside_the_roots_fails_its_task_only(
    running: Installation, foreign: Foreign
) -> None:
    _send(running, task_id="outside-1", source={"uri": "file:///etc/hostname"})

    (task,) = running.done("outside-1", seconds=30)

    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert task.error.kind == "forbidden_source"


def test_a_backfill_brings_up_to_date_what_is_stale_and_nothing_else(
    running: Installation, foreign: Foreign
) -> None:
    running.services.registry.collections.configure("foreign", {"title_weight": 0})

    backfill = running.graphql(
        """mutation($params: LaunchBackfillParams!) {
            launchPartitionBackfill(backfillParams: $params) {
                ... on LaunchBackfillSuccess { backfillId }
                ... on PythonError { message }
            }
        }""",
        params={
            "assetSelection": [{"path": [asset]} for asset in ASSETS],
            "partitionNames": ["empty", "foreign"],
        },
    )["launchPartitionBackfill"]["backfillId"]

    ended = dg.RunsFilter(tags={"dagster/backfill": backfill}, statuses=[Status.SUCCESS])
    assert eventually(lambda: running.instance.get_runs_count(ended) == 2, seconds=90)
    published = {
        run.tags["dagster/partition"]: _published(running, run.run_id)
        for run in running.instance.get_runs(ended)
    }
    assert published == {"empty": 0, "foreign": 1}


def test_a_run_that_is_killed_while_it_embeds_is_made_good(running: Installation) -> None:
    running.collection("killed")
    paths = [running.write(f"log-{n}.txt", f"{n}. {logbook(400)}") for n in range(4)]
    batch = running.client.launch_tasks(paths, collection="killed")
    assert eventually(lambda: _chunked(running, batch.task_ids), 60), running.told(*batch.task_ids)
    (run_id,) = running.services.registry.claims.live_runs()["killed"]

    os.kill(running.run_process(run_id), signal.SIGKILL)

    tasks = running.done(*batch.task_ids)
    assert {task.state for task in tasks} == {TaskState.SUCCEEDED}
    assert {task.attempts for task in tasks} == {2}
    assert running.differences("killed") == ()
    assert _chunks(running, "killed").keys() == {path.name for path in paths}


def test_when_everything_is_killed_at_once_the_next_one_goes_on(running: Installation) -> None:
    running.collection("restarted")
    paths = [running.write(f"ship-{n}.txt", f"{n}. {logbook(200)}") for n in range(3)]
    batch = running.client.launch_tasks(paths, collection="restarted")
    leases = running.services.registry.claims.live_runs
    assert eventually(lambda: "restarted" in leases(), 60), running.told(*batch.task_ids)
    (run_id,) = leases()["restarted"]

    for pid in running.processes():  # as when the machine loses its power
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    assert running.nothing_is_left(), running.processes()
    running.close()
    late = running.client.launch_tasks([running.write("late.txt", "Late.")], collection="restarted")
    # As after the minute in which nobody can tell a killed daemon from a busy one.
    running.instance.wipe_daemon_heartbeats()
    running.ensure_up()
    tasks = running.done(*batch.task_ids, *late.task_ids)
    assert {task.state for task in tasks} == {TaskState.SUCCEEDED}
    assert running.differences("restarted") == ()
    lost = running.instance.get_run_by_id
    assert eventually(lambda: lost(run_id).is_finished, 30), running.told(*batch.task_ids)


def test_when_it_is_killed_itself_nothing_is_left_and_the_next_one_takes_over(
    running: Installation,
) -> None:
    running.close()

    assert running.nothing_is_left(), running.processes()
    # As after the minute in which nobody can tell a killed daemon from a busy one.
    running.instance.wipe_daemon_heartbeats()
    running.ensure_up()
    assert running.client.backend() is Backend.DAGSTER


def test_sigterm_stops_everything_cleanly(running: Installation) -> None:
    began = time.monotonic()

    assert running.stop() == 0

    print(f"stopped in {time.monotonic() - began:.1f} s")  # noqa: T201
    assert not running.processes()
    assert not (running.state / "redis.sock").exists()
    assert not (running.state / "webserver.url").exists()
    # Nobody takes the stopped daemon for a live one.
    assert running.client.backend() is Backend.IN_PROCESS


def _send(installation: Installation, **fields: object) -> None:
    """Do what a producer in any language does."""
    message = {"type": "ingest", "collection": "foreign", **fields}
    with installation.producer() as producer:
        producer.xadd("ingest:tasks:normal", {"message": json.dumps(message)})


def _chunked(running: Installation, task_ids: Sequence[str]) -> bool:
    """Whether all documents of tasks are cut into chunks, so that they are being embedded."""
    tasks = running.services.registry.tasks.find(task_ids=task_ids, with_messages=True)
    return all(any("chunks." in line for line in task.messages) for task in tasks)


def _chunks(running: Installation, collection: str) -> dict[str, int]:
    """Return how many chunks of each document can be found."""
    known = running.services.registry.collections.get(collection)
    versions = running.services.index(known).snapshot().document_versions()
    chunks = {version.document_id: version.chunks for version in versions}
    documents = running.services.registry.documents.find(collection)
    return {document.name: chunks[document.document_id] for document in documents}


def _published(running: Installation, run_id: str) -> int:
    """Return how many documents a run published."""
    (event,) = (
        record.asset_materialization
        for record in running.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey("vector_index")), limit=100
        ).records
        if record.run_id == run_id
    )
    return int(event.metadata["documents_computed"].value)
