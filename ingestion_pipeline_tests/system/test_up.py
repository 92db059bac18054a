"""The running system: real daemon, webserver, Redis and runs; and what `kill -9` does to them."""

from __future__ import annotations

import json
import os
import signal
import time

import dagster as dg
import pytest

from ingestion_pipeline.model.tasks import Backend, TaskState
from ingestion_pipeline_tests.pipeline.lab import ASSETS
from ingestion_pipeline_tests.system.installation import Installation, eventually, kill_group
from ingestion_pipeline_tests.system.processes import listening

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

Status = dg.DagsterRunStatus
RUN = "multiprocessing.spawn"
"""In the command line of a run's process."""
DAEMON = "-m dagster._daemon"
LONG = "The harbour master wrote down wind, tide and every ship that passed the outer buoy. " * 400
"""About 8,000 tokens: long enough for a run to be caught while it embeds some of these."""


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


def test_a_foreign_producers_message_becomes_a_searchable_document(running: Installation) -> None:
    running.collection("foreign")
    path = running.write("buoy.md", "# Buoys\n\nThe outer buoy was painted green in May.\n")
    message = {"type": "ingest", "collection": "foreign", "task_id": "foreign-1"}
    began = time.time()
    with running.producer() as producer:
        source = {"source": {"uri": path.as_uri()}}
        producer.xadd("ingest:tasks:normal", {"message": json.dumps(message | source)})

    (task,) = running.done("foreign-1")

    assert (task.state, task.backend) == (TaskState.SUCCEEDED, Backend.DAGSTER)
    record = running.instance.get_run_record_by_id(task.run_id)
    assert record is not None
    assert record.dagster_run.tags["dagster/partition"] == "foreign"
    created = record.create_timestamp.timestamp() - began
    print(f"XADD to run: {created:.2f} s; to searchable: {time.time() - began:.1f} s")  # noqa: T201
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
    running: Installation,
) -> None:
    message = {"type": "ingest", "collection": "foreign", "task_id": "outside-1"}
    with running.producer() as producer:
        source = {"source": {"uri": "file:///etc/hostname"}}
        producer.xadd("ingest:tasks:normal", {"message": json.dumps(message | source)})

    (task,) = running.done("outside-1", seconds=30)

    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert task.error.kind == "forbidden_source"


def test_a_run_that_is_killed_while_it_embeds_is_made_good(running: Installation) -> None:
    running.collection("killed")
    paths = [running.write(f"log-{number}.txt", f"{number}. {LONG}") for number in range(6)]
    batch = running.client.launch_tasks(paths, collection="killed")
    pid = _caught_embedding(running, batch.task_ids[0])

    os.kill(pid, signal.SIGKILL)

    tasks = running.done(*batch.task_ids)
    assert {task.state for task in tasks} == {TaskState.SUCCEEDED}
    assert {task.attempts for task in tasks} == {2}
    assert running.differences("killed") == ()
    assert _chunks(running, "killed").keys() == {path.name for path in paths}


def test_a_backfill_brings_up_to_date_what_is_stale_and_nothing_else(running: Installation) -> None:
    for name in ("north", "south"):
        running.collection(name)
        batch = running.client.launch_tasks(
            [running.write(f"{name}-{number}.txt", f"{name} {number}") for number in range(2)],
            collection=name,
        )
        running.done(*batch.task_ids)
    running.services.registry.collections.configure("south", {"title_weight": 0})

    backfill = running.graphql(
        """mutation($params: LaunchBackfillParams!) {
            launchPartitionBackfill(backfillParams: $params) {
                ... on LaunchBackfillSuccess { backfillId }
                ... on PythonError { message }
            }
        }""",
        params={
            "assetSelection": [{"path": [asset]} for asset in ASSETS],
            "partitionNames": ["north", "south"],
        },
    )["launchPartitionBackfill"]["backfillId"]

    filters = dg.RunsFilter(tags={"dagster/backfill": backfill}, statuses=[Status.SUCCESS])
    assert eventually(lambda: running.instance.get_runs_count(filters) == 2, seconds=90)
    published = {
        run.tags["dagster/partition"]: _published(running, run.run_id)
        for run in running.instance.get_runs(filters)
    }
    assert published == {"north": 0, "south": 2}


def test_when_the_daemon_dies_everything_stops_and_accepted_tasks_go_on_after_a_restart(
    running: Installation,
) -> None:
    running.collection("restarted")
    paths = [running.write(f"ship-{number}.txt", f"{number}. {LONG}") for number in range(6)]
    batch = running.client.launch_tasks(paths, collection="restarted")
    _caught_embedding(running, batch.task_ids[0])

    redis_pid = int((running.state / "redis.pid").read_text())
    (daemon,) = (
        pid for pid in running.processes(DAEMON) if "guard.py" not in running.processes()[pid]
    )
    kill_group(daemon)
    os.kill(redis_pid, signal.SIGKILL)

    assert running.ended() == 1
    assert running.nothing_is_left(), running.processes()
    late = running.client.launch_tasks([running.write("late.txt", "Late.")], collection="restarted")
    running.ensure_up()
    tasks = running.done(*batch.task_ids, *late.task_ids)
    assert {task.state for task in tasks} == {TaskState.SUCCEEDED}
    assert running.differences("restarted") == ()
    lost = running.instance.get_runs(dg.RunsFilter(statuses=[Status.STARTED, Status.STARTING]))
    assert eventually(lambda: not lost, seconds=5), lost


def test_when_it_is_killed_itself_nothing_is_left_and_the_next_one_takes_over(
    running: Installation,
) -> None:
    running.collection("orphaned")
    running.up.kill()
    running.up.communicate()

    assert running.nothing_is_left(), running.processes()
    batch = running.client.launch_tasks([running.write("a.txt", "After.")], collection="orphaned")
    # As after the minute in which nobody can tell a killed daemon from a busy one.
    running.instance.wipe_daemon_heartbeats()
    running.ensure_up()
    (task,) = running.done(*batch.task_ids)
    assert (task.state, task.backend) == (TaskState.SUCCEEDED, Backend.DAGSTER)


def test_sigterm_stops_everything_cleanly(running: Installation) -> None:
    began = time.monotonic()

    assert running.stop() == 0

    assert running.nothing_is_left(), running.processes()
    assert not (running.state / "redis.sock").exists()
    assert not (running.state / "webserver.url").exists()
    print(f"stopped in {time.monotonic() - began:.1f} s")  # noqa: T201
    # Nobody takes the stopped daemon for a live one.
    assert running.client.backend() is Backend.IN_PROCESS


def _caught_embedding(running: Installation, task_id: str) -> int:
    """Wait until a run embeds a task's document and return the run's process id."""

    def embeds() -> bool:
        return any("chunks" in line for line in running.client.get_task(task_id).messages)

    assert eventually(embeds, seconds=60), running.told(task_id)
    (pid,) = running.processes(RUN)
    return pid


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
