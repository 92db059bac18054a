"""Messages that come several times, or whose reader dies before it has written them down."""

from __future__ import annotations

import time

import pytest

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline_tests.faults.lab import Case, Lab

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]


@pytest.mark.parametrize("named", [True, False], ids=["with-a-task-id", "without"])
def test_the_same_message_five_times_makes_one_document(
    lab: Lab, unread: Case, *, named: bool
) -> None:
    name = "five-named" if named else "five-unnamed"
    sent_at = time.time()
    case = lab.send(name, times=5, named=named)

    kind = "with" if named else "without"
    lab.everything_is_well(case, f"the same message five times, {kind} a task id", sent_at)

    found = lab.installation.services.registry.tasks.find(name=CollectionName("default", name))
    assert {task.task_id for task in found} == set(case.task_ids)
    assert len(lab.installation.services.registry.documents.find(name)) == 1


def test_a_message_whose_reader_was_killed_before_the_commit_is_read_again(
    lab: Lab, unread: Case
) -> None:
    lab.everything_is_well(
        unread, "a message's reader killed before the commit", lab.faults.strike("unread").at
    )

    assert len(lab.faults.strikes("unread")) == 1
