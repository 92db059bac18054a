"""Workers on two hosts, as ``deploy`` has them: they share the work, and one takes over."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingestion_pipeline.model.tasks import Task, TaskState
from ingestion_pipeline.tasks.inspection import compare_index_with_registry
from ingestion_pipeline.tasks.services import Services
from ingestion_pipeline_tests.deploy.cluster import Cluster, Host, cluster
from ingestion_pipeline_tests.fakes import fake_embedder
from ingestion_pipeline_tests.faults.clean import CleanBuilds, Content, content
from ingestion_pipeline_tests.faults.faults import INJECTION, Action, Faults, Point
from ingestion_pipeline_tests.servers import BucketStore
from ingestion_pipeline_tests.system.installation import eventually

pytestmark = pytest.mark.xdist_group("servers")

COLLECTION = "papers"
DOCUMENTS_IN_A_CLAIM = 8
SECONDS = 120
"""How long anything here may take on a busy machine."""


@dataclass(frozen=True)
class Story:
    """Two workers shared documents until one was killed as it embedded some."""

    hosts: Cluster
    paths: Sequence[Path]
    tasks: Sequence[Task]
    victim: Host
    survivor: Host
    built: Content
    clean: CleanBuilds


@pytest.fixture(scope="module")
def story(
    postgres_url: str, bucket_server: BucketStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    faults = Faults(tmp_path_factory.mktemp("faults"))
    injected = os.pathsep.join(filter(None, [str(INJECTION), os.environ.get("PYTHONPATH")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Services, "embedder", fake_embedder)
        clean = CleanBuilds(tmp_path_factory.mktemp("clean"))  # it knows of no servers yet
        with (
            closing(clean.services),
            cluster(
                postgres_url,
                bucket_server,
                PYTHONPATH=injected,
                FAULTS=str(faults.folder),
                FAULTS_MODEL="fake",
                INGEST_WORKER_LOADS_MODEL="false",
                INGEST_DOC_BULK_SIZE=str(DOCUMENTS_IN_A_CLAIM),
                OMP_NUM_THREADS="1",
            ) as hosts,
        ):
            yield told(hosts, faults, clean, tmp_path_factory.mktemp("sources"))


def told(hosts: Cluster, faults: Faults, clean: CleanBuilds, folder: Path) -> Story:
    """Hold both workers until each has documents; kill the one that comes to late ones first."""
    hosts.collection(COLLECTION, max_parallel_runs=2)
    early, late = written(folder, "early", 16), written(folder, "late", 16)
    faults.arm(Point.EMBEDDED, Action.HOLD, "early", times=2)
    faults.arm(Point.EMBEDDED, Action.HOLD, "late")
    launch = hosts.client.launch_tasks
    task_ids = [*launch([*early], collection=COLLECTION).task_ids]
    assert eventually(lambda: len(faults.strikes("early")) == 2, SECONDS), hosts.timeline()
    task_ids += launch([*late], collection=COLLECTION).task_ids
    workers = {hosts.at_work(strike.pid).name for strike in faults.strikes("early")}
    for strike in faults.strikes("early"):
        strike.release()
    victim = hosts.at_work(faults.strike("late", SECONDS).pid)
    (survivor,) = (hosts.workers[name] for name in workers - {victim.name})

    victim.kill()
    killed_at = time.time()

    tasks = hosts.client.await_tasks(task_ids, timeout=SECONDS)
    print(f"finished {max(task.finished_at or 0 for task in tasks) - killed_at:.1f} s later")  # noqa: T201
    built = content(hosts.services, COLLECTION)
    return Story(hosts, [*early, *late], tasks, victim, survivor, built, clean)


def written(folder: Path, name: str, documents: int) -> list[Path]:
    paths = [folder / f"{name}-{number}.txt" for number in range(documents)]
    for number, path in enumerate(paths):
        path.write_text(f"{name} {number}. The outer buoy was painted green in May.\n")
    return paths


def test_all_documents_succeed_and_both_workers_took_part(story: Story) -> None:
    shares = story.hosts.documents_by_worker(story.tasks)

    assert {task.state for task in story.tasks} == {TaskState.SUCCEEDED}
    assert set(shares) == {story.victim.name, story.survivor.name}
    assert min(shares.values()) >= DOCUMENTS_IN_A_CLAIM


def test_what_the_killed_worker_had_begun_the_other_finished(story: Story) -> None:
    again = [task for task in story.tasks if task.attempts > 1]

    assert 1 <= len(again) <= DOCUMENTS_IN_A_CLAIM
    assert story.hosts.documents_by_worker(again) == {story.survivor.name: len(again)}
    assert story.victim.processes() == []


def test_the_index_is_what_one_process_builds(story: Story) -> None:
    clean = story.clean.build(COLLECTION, story.paths)

    assert story.built.rows == clean.rows
    assert compare_index_with_registry(story.hosts.services, COLLECTION).differences == ()
