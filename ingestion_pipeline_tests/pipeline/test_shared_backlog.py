"""Runs of one collection at the same time: they share what waits, and nothing is done twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg

from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import CHECKS, Lab

DOCUMENTS = 40


def test_two_runs_at_once_share_the_backlog(services: FakeServices, tmp_path: Path) -> None:
    with dg.instance_for_test() as instance:
        lab = Lab(services, instance, tmp_path / "sources")
        lab.submit(
            *(lab.write(f"{number:02}.txt", f"Number {number}.") for number in range(DOCUMENTS))
        )

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda _: lab.run(), range(2))

    assert first.success
    assert second.success
    shares = [ran.metadata("vector_index")["documents"] for ran in (first, second)]
    assert sum(shares) == DOCUMENTS
    assert lab.indexed() == {f"{number:02}.txt": 1 for number in range(DOCUMENTS)}
    for task in services.registry.tasks.find():
        assert (task.state, task.attempts) == (TaskState.SUCCEEDED, 1)
    # Whichever of them ended last saw the index complete.
    checks = lab.run().checks
    assert {name: check.passed for name, check in checks.items()} == dict.fromkeys(CHECKS, True)
