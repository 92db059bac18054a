"""Many small tasks: all of them succeed, and nothing grows with their number."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ingestion_pipeline.tasks.intake import STALE_AFTER_SECONDS
from ingestion_pipeline_tests.faults.lab import STREAMS, Case, Lab
from ingestion_pipeline_tests.system.installation import CODE_SERVER, DAEMON, WORKER, eventually

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

PROCESSES = (DAEMON, CODE_SERVER, WORKER)
TASKS_PER_WAVE = 100
GROWTH_BYTES = 48 * 1024**2
"""What a process may hold more after the last wave than after the first."""


@pytest.mark.parametrize(
    "waves", [2, pytest.param(20, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_many_small_tasks_succeed_and_leave_nothing_behind(lab: Lab, waves: int) -> None:
    name = f"many-{waves}"
    paths: list[Path] = []
    task_ids: list[str] = []
    memory: list[dict[str, int]] = []
    began = time.time()
    for wave in range(waves):
        texts = [
            (f"{name}-{wave}-{n}.txt", f"Buoy {wave} {n} is lit.") for n in range(TASKS_PER_WAVE)
        ]
        written = [lab.installation.write(*text) for text in texts]
        case = lab.submit_files(name, written)
        peaks: dict[str, int] = {}
        assert eventually(lambda case=case, peaks=peaks: watched(lab, case, peaks), seconds=120)
        paths += case.paths
        task_ids += case.task_ids
        memory.append(peaks)
    case = Case(name, tuple(paths), tuple(task_ids))

    lab.everything_is_well(case, f"none; {len(paths)} tasks in {waves} waves", began)

    print({part: [peaks.get(part, 0) // 1024**2 for peaks in memory] for part in PROCESSES})  # noqa: T201
    for part in PROCESSES:
        grown = memory[-1][part] - memory[0][part]
        assert grown < GROWTH_BYTES, f"{part} grew by {grown / 1024**2:.0f} MiB"
    with lab.installation.producer() as producer:
        # A task may be done before the message that told of it is read, or read again: one whose
        # first reader was ended, maybe by an earlier test, waits until it counts as stale.
        settled = STALE_AFTER_SECONDS + 30
        assert eventually(lambda: not any(map(producer.xlen, STREAMS)), seconds=settled)
        assert all(producer.ttl(f"ingest:events:{task_id}") > 0 for task_id in task_ids)


def watched(lab: Lab, case: Case, peaks: dict[str, int]) -> bool:
    """Note what processes hold at most, in bytes; return whether all tasks of a case are final."""
    for part in PROCESSES:
        for pid in lab.installation.services_like(part):
            with suppress(psutil.NoSuchProcess):
                peaks[part] = max(peaks.get(part, 0), psutil.Process(pid).memory_info().rss)
    states = lab.installation.services.registry.tasks.states(case.task_ids)
    return len(states) == len(case.task_ids) and all(state.final for state in states.values())
