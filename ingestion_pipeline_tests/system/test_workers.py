"""Workers under `ingest up`: tasks are carried out on them, and survive what becomes of them."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import dagster as dg
import pytest

from ingestion_pipeline.execution.queues import LAUNCHER_TAG
from ingestion_pipeline.execution.workers import live_workers
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline_tests.system.installation import (
    RUN,
    WORKER,
    Installation,
    eventually,
    installed,
)
from ingestion_pipeline_tests.system.processes import parent
from ingestion_pipeline_tests.texts import logbook

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

Status = dg.DagsterRunStatus
SENTENCES = 400
"""So many take a few seconds to embed, one chunk after the other."""
RECOVERED_SECONDS = 30
CANCELED_SECONDS = 2
NOTICED_SECONDS = 15
TERMINATE = "mutation($id: String!) { terminateRun(runId: $id) { __typename } }"


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed(
        workers=2,
        INGEST_WORKER_CONCURRENCY="1",
        INGEST_LEASE_SECONDS="5",
        INGEST_EMBEDDING_BATCH_TOKENS="1",
        INGEST_EMBEDDING_PRECISION="float32",
    ) as installation:
        installation.ensure_up()
        yield installation


@dataclass(frozen=True)
class AtWork:
    """A run that embeds, and the tasks that it is for."""

    task_ids: Sequence[str]
    run_id: str
    pid: int


def embedding(installation: Installation, collection: str) -> AtWork:
    """Wait until a run embeds new documents of a new collection."""
    task_ids = _submitted(installation, collection)
    assert eventually(lambda: _chunked(installation, task_ids), 60), installation.told(*task_ids)
    (run_id,) = installation.services.registry.claims.live_runs()[collection]
    return AtWork(task_ids, run_id, installation.run_process(run_id))


def test_a_canceled_run_ends_at_once_and_its_process_has_the_model_still(
    installation: Installation,
) -> None:
    at_work = embedding(installation, "canceled")

    at = time.monotonic()
    reply = installation.graphql(TERMINATE, id=at_work.run_id)

    assert reply["terminateRun"]["__typename"] == "TerminateRunSuccess"
    assert eventually(lambda: _status(installation, at_work) is Status.CANCELED, CANCELED_SECONDS)
    print(f"canceled after {time.monotonic() - at:.2f} s")  # noqa: T201
    tasks = installation.done(*at_work.task_ids)
    assert {task.state for task in tasks} == {TaskState.CANCELED}
    assert at_work.pid in installation.run_processes()
    assert _status(installation, at_work) is Status.CANCELED
    assert _runs(installation, "canceled") == [at_work.run_id]
    assert _small(installation) in installation.run_processes()


def test_what_a_killed_worker_did_another_one_finishes(installation: Installation) -> None:
    killed = embedding(installation, "killed")
    workers = {beat.pid for beat in live_workers()}
    assert len(workers) == 2
    assert parent(killed.pid) in workers

    for pid in (parent(killed.pid), killed.pid):
        os.kill(pid or 0, signal.SIGKILL)
    struck_at = time.time()

    tasks = installation.done(*killed.task_ids)
    taken = max(task.finished_at or 0 for task in tasks) - struck_at
    print(f"finished {taken:.1f} s after the worker was killed")  # noqa: T201
    assert {(task.state, task.attempts) for task in tasks} == {(TaskState.SUCCEEDED, 2)}
    assert taken < RECOVERED_SECONDS, installation.told(*killed.task_ids)
    assert installation.differences("killed") == ()
    assert _run(installation, killed.run_id).is_finished
    (finisher,) = {task.run_id or "" for task in tasks}
    assert _run(installation, finisher).tags[LAUNCHER_TAG] == "worker"
    assert eventually(lambda: len(live_workers()) == len(workers), 30)


def test_without_workers_runs_have_processes_and_a_stopped_one_is_noticed(
    installation: Installation,
) -> None:
    assert installation.stop() == 0
    installation.workers = 0
    installation.ensure_up()
    at_work = embedding(installation, "stopped")
    assert _run(installation, at_work.run_id).tags[LAUNCHER_TAG] == "process"
    assert at_work.pid in installation.processes(RUN)
    assert not installation.services_like(WORKER)

    os.kill(at_work.pid, signal.SIGSTOP)
    try:
        noticed = eventually(
            lambda: _run(installation, at_work.run_id).is_finished, NOTICED_SECONDS
        )
        assert noticed, installation.told(*at_work.task_ids)
        tasks = installation.done(*at_work.task_ids)
    finally:
        with suppress(ProcessLookupError):
            os.kill(at_work.pid, signal.SIGCONT)

    assert {task.state for task in tasks} == {TaskState.SUCCEEDED}
    assert installation.differences("stopped") == ()


def _submitted(installation: Installation, collection: str) -> Sequence[str]:
    """Submit documents that take long, and return their tasks."""
    installation.collection(collection)
    paths = [
        installation.write(f"{collection}-{n}.txt", f"{collection} {n}. {logbook(SENTENCES)}")
        for n in range(2)
    ]
    return installation.client.launch_tasks(paths, collection=collection).task_ids


def _small(installation: Installation) -> int:
    """Have a small document ingested, and return the process that did."""
    task_ids = installation.client.launch_tasks(
        [installation.write("small.txt", "A small document.")], collection="small"
    ).task_ids
    (task,) = installation.done(*task_ids)
    assert task.state is TaskState.SUCCEEDED
    assert task.run_id is not None
    assert _run(installation, task.run_id).tags[LAUNCHER_TAG] == "worker"
    told = "\n".join(entry.message for entry in installation.instance.all_logs(task.run_id))
    (pid,) = re.findall(r"Started process for run \(pid: (\d+)\)", told)
    return int(pid)


def _status(installation: Installation, at_work: AtWork) -> dg.DagsterRunStatus:
    return _run(installation, at_work.run_id).status


def _run(installation: Installation, run_id: str) -> dg.DagsterRun:
    run = installation.instance.get_run_by_id(run_id)
    assert run is not None
    return run


def _runs(installation: Installation, collection: str) -> list[str]:
    """Return the runs of a collection."""
    of_collection = dg.RunsFilter(tags={"dagster/partition": collection})
    return [run.run_id for run in installation.instance.get_runs(of_collection)]


def _chunked(installation: Installation, task_ids: Sequence[str]) -> bool:
    """Whether all documents of tasks are cut into chunks, so that they are being embedded."""
    tasks = installation.services.registry.tasks.find(task_ids=task_ids, with_messages=True)
    return all(any("chunks." in line for line in task.messages) for task in tasks)
