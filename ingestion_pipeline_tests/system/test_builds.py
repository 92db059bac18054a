"""Builds under `ingest up`: planned by themselves, killed, canceled; the tree is always whole."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator

import dagster as dg
import pytest

from ingestion_pipeline.indexing import SummaryIndex
from ingestion_pipeline.model.tasks import Task, TaskState, TaskType
from ingestion_pipeline.tasks.trees import look_at_tree, tree_is_current
from ingestion_pipeline_tests.system.installation import Installation, eventually, installed
from ingestion_pipeline_tests.system.processes import parent

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

NAME = "knowledge"
DOCUMENTS = 60
SECTIONS = 24
CANCELED_SECONDS = 5


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed(INGEST_LEASE_SECONDS="5", OMP_NUM_THREADS="1") as installation:
        installation.ensure_up()
        installation.collection(NAME)
        paths = [installation.write(f"log-{n}.md", _log(n)) for n in range(DOCUMENTS)]
        batch = installation.client.launch_tasks(paths, collection=NAME)
        done = installation.done(*batch.task_ids, seconds=150)
        assert {task.state for task in done} == {TaskState.SUCCEEDED}
        yield installation


def test_a_build_whose_worker_is_killed_goes_on_where_it_was(installation: Installation) -> None:
    task = _building(installation)
    assert task.run_id is not None
    pid = installation.run_process(task.run_id)

    for each in (parent(pid), pid):
        os.kill(each or 0, signal.SIGKILL)
    struck_at = time.time()

    (done,) = installation.done(task.task_id, seconds=150)
    print(f"built {time.time() - struck_at:.1f} s after the worker was killed")  # noqa: T201
    assert (done.state, done.attempts) == (TaskState.SUCCEEDED, 2)
    of_all, new = _counts(installation, done)
    assert 0 < new < of_all
    tree = look_at_tree(installation.services, NAME)
    assert (tree.summaries, tree.uncovered, tree.dangling) == (of_all, (), ())
    assert tree_is_current(installation.services, NAME)[0]


def test_a_canceled_build_ends_soon_and_leaves_the_tree_as_it_was(
    installation: Installation,
) -> None:
    before = _ids(installation)
    installation.services.registry.collections.configure(NAME, {"raptor.max_tokens": 200})
    task = _building(installation)

    at = time.monotonic()
    installation.client.cancel_task(task.task_id)

    run_id = task.run_id or ""
    assert eventually(lambda: _run(installation, run_id).is_finished, CANCELED_SECONDS)
    print(f"canceled after {time.monotonic() - at:.2f} s")  # noqa: T201
    (done,) = installation.done(task.task_id)
    assert done.state is TaskState.CANCELED
    assert _ids(installation) == before


def test_a_collection_that_is_quiet_is_built_by_itself(installation: Installation) -> None:
    installation.services.registry.collections.configure(
        NAME, {"raptor.enabled": True, "mindmap.enabled": True, "quiet_seconds": 1}
    )

    def built() -> bool:
        find = installation.services.registry.builds.find
        records = [find(NAME, kind) for kind in (TaskType.RAPTOR, TaskType.MINDMAP)]
        return all(record is not None and record.built_from for record in records)

    assert eventually(built, 120), installation.told()
    assert tree_is_current(installation.services, NAME)[0]
    shown = installation.client.export_mind_map(collection=NAME, form="markmap")
    assert shown.startswith(f"# {NAME}")


def _log(number: int) -> str:
    sections = [
        f"## Day {day}\n\nOn day {day} of voyage {number} the harbour master wrote down wind, tide "
        f"and {day * number} ships. Number {number} passed the outer buoy at {day} bells. "
        f"The pilot of day {day} noted fog, and nobody saw the lighthouse."
        for day in range(1, SECTIONS + 1)
    ]
    return f"# Voyage {number}\n\n" + "\n\n".join(sections)


def _building(installation: Installation) -> Task:
    """Have a tree built, and wait until some of it is kept."""
    task = installation.client.build(TaskType.RAPTOR, collection=NAME)

    published = _ids(installation)
    documents = installation.services.registry.documents.find(NAME)

    def some_is_kept() -> bool:
        known = _summaries(installation).known([each.document_id for each in documents])
        return bool(known.keys() - published)

    assert eventually(some_is_kept, 90), installation.told(task.task_id)
    found = installation.client.get_task(task.task_id)
    assert found.state is TaskState.RUNNING, found
    return found


def _counts(installation: Installation, task: Task) -> tuple[int, int]:
    """Return how many summaries a build made, and how many of them anew."""
    told = installation.client.get_task(task.task_id).messages[-1]
    found = re.search(r"(\d+) summaries of \d+ documents, (\d+) of them new", told)
    assert found, told
    return int(found[1]), int(found[2])


def _ids(installation: Installation) -> set[str]:
    return {each.summary.summary_id for each in _summaries(installation).snapshot().all()}


def _summaries(installation: Installation) -> SummaryIndex:
    collection = installation.services.registry.collections.get(NAME)
    return SummaryIndex(installation.services.index(collection))


def _run(installation: Installation, run_id: str) -> dg.DagsterRun:
    run = installation.instance.get_run_by_id(run_id)
    assert run is not None
    return run
