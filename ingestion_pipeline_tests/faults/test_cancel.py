"""Tasks are canceled, wherever their documents are; their neighbours do not notice."""

from __future__ import annotations

import time

import pytest

from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline_tests.faults.faults import Action, Point
from ingestion_pipeline_tests.faults.lab import Case, Exceptions, Lab, long_text

pytestmark = [
    pytest.mark.xdist_group("system"),
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("poisoned"),  # those that take longer are begun first
]

SIDE_BY_SIDE = (Point.SOURCED, Point.PARSING, Point.PARSED, Point.CHUNKED)
"""Where documents of a batch are each on its own."""
TOGETHER = (Point.INDEXED, Point.CHECKED)
POINTS = (*SIDE_BY_SIDE, *TOGETHER)


def test_tasks_of_a_batch_are_canceled_one_at_each_point(lab: Lab) -> None:
    paths = [path for point in POINTS for path in lab.write(f"canceled-{point}", documents=1)]
    paths += lab.write("neighbour")
    before = lab.publish("canceled", paths)
    lab.rewrite(paths)
    for point in POINTS:
        lab.faults.arm(point, Action.HOLD, f"canceled-{point}")
    lab.faults.arm(Point.EMBEDDED, Action.PASS, "neighbour")
    case = lab.submit_files("canceled", paths)

    at = 0.0
    for point in POINTS:
        strike = lab.faults.strike(f"canceled-{point}", seconds=90)
        if point is Point.INDEXED:
            went_on = lab.faults.strike("neighbour")
            lab.stopped("four tasks canceled, each before its chunks are embedded", at, went_on.at)
        if point is Point.CHECKED:
            lab.stopped("task canceled before the index commit", at, strike.at)
        at = lab.cancel(case.task(f"canceled-{point}-0.txt"))
        if point is Point.PARSING:
            assert lab.is_gone(strike.pid)
            lab.stopped("task canceled while a parser hangs", at)
        strike.release()

    but = Exceptions(canceled=[f"canceled-{point}-0.txt" for point in POINTS], before=before)
    tasks = lab.everything_is_well(case, "8 tasks of a batch, 6 of them canceled", at, but)
    last = max(task.finished_at or 0 for task in tasks)
    lab.stopped("task canceled between the last check and the index commit", at, last)


def test_a_task_is_canceled_while_its_long_document_is_embedded(lab: Lab) -> None:
    paths = (lab.installation.write("long.txt", long_text()), *lab.write("beside-long"))
    lab.faults.arm(Point.EMBEDDED, Action.PASS, "long.txt")
    lab.faults.arm(Point.INDEXED, Action.PASS, "beside-long")
    case = lab.submit_files("canceled-long", paths)
    lab.faults.strike("long.txt", seconds=90)
    time.sleep(lab.loading_seconds)

    at = lab.cancel(case.task("long.txt"))

    went_on = lab.faults.strike("beside-long")
    lab.stopped("task canceled while its document is embedded", at, went_on.at)
    lab.everything_is_well(
        case, "task canceled while its document is embedded", at, Exceptions(canceled=["long.txt"])
    )


def test_a_task_is_canceled_before_a_run_took_it_up(lab: Lab) -> None:
    lab.faults.arm(Point.SOURCED, Action.HOLD, "busy-0")
    busy = lab.submit("busy", documents=1)
    strike = lab.faults.strike("busy-0", seconds=90)
    (waiting,) = lab.write("busy-waiting", documents=1)
    (task_id,) = lab.submit_files("busy", [waiting]).task_ids

    at = lab.cancel(task_id)
    lab.stopped("task canceled while it waits for a run", at)
    strike.release()

    case = Case("busy", (*busy.paths, waiting), (*busy.task_ids, task_id))
    lab.everything_is_well(
        case, "task canceled while it waits for a run", at, Exceptions(canceled=[waiting.name])
    )
    task = lab.installation.client.get_task(task_id)
    assert (task.state, task.started_at) == (TaskState.CANCELED, None)
