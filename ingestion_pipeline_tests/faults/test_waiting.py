"""Tasks that wait for a person outlast everything, and what the person says stays secret."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline_tests.faults.faults import Action, Point
from ingestion_pipeline_tests.faults.lab import STREAMS, Case, Exceptions, Lab
from ingestion_pipeline_tests.files import files_with
from ingestion_pipeline_tests.parsing.samples import handbook_pdf
from ingestion_pipeline_tests.system.installation import INGEST, eventually

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

CANARY = "Yellow-canary-4711"
FORGOTTEN_SECONDS = 20
"""After use nothing that holds an answer is kept longer than that."""


@pytest.fixture(scope="module")
def asking(lab: Lab) -> Iterator[Case]:
    """Encrypted documents that ask for their password; meanwhile everything was killed."""
    names = ("replied", "continued", "canceled")
    paths = [lab.installation.sources / f"asks-{name}.pdf" for name in names]
    for path in paths:
        path.write_bytes(handbook_pdf(password=CANARY))
    submitted = lab.submit_files("asking", paths)
    case = Case("asking", submitted.paths, submitted.task_ids, CANARY)
    assert eventually(lambda: states(lab, case) == {TaskState.INPUT}, seconds=90)
    assert places_of_the_canary(lab) == []
    lab.kill_everything()
    assert states(lab, case) == {TaskState.INPUT}
    lab.installation.ensure_up()
    yield case
    lab.faults.disarm()


def test_a_task_that_waits_for_a_person_is_canceled(lab: Lab, asking: Case) -> None:
    at = lab.cancel(asking.task("asks-canceled.pdf"))

    lab.stopped("task canceled while it waits for a person", at)


def test_answers_are_used_after_everything_was_killed_and_nothing_keeps_them(
    lab: Lab, asking: Case, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{CANARY}\n")
    lab.faults.arm(Point.SOURCED, Action.HOLD, "asks-replied")

    at = time.time()
    replied = asking.task("asks-replied.pdf")
    subprocess.run(
        [INGEST, "reply", replied, f"password=@{secret}"], check=True, capture_output=True
    )
    message = {
        "type": "continue",
        "collection": "asking",
        "task_ref": asking.task("asks-continued.pdf"),
        "options": {"password": CANARY},
    }
    with lab.installation.producer() as producer:
        producer.xadd(STREAMS[0], {"message": json.dumps(message)})

    strike = lab.faults.strike("asks-replied", seconds=90)
    assert eventually(lambda: TaskState.INPUT not in states(lab, asking), seconds=90)
    assert nothing_keeps_the_canary(lab)  # answered, and not used yet
    strike.release()
    lab.everything_is_well(
        asking,
        "everything killed while tasks wait for a person, then answered",
        at,
        Exceptions(canceled=["asks-canceled.pdf"]),
    )
    assert nothing_keeps_the_canary(lab)


def states(lab: Lab, case: Case) -> set[TaskState]:
    """Return the states of a case's tasks."""
    return set(lab.installation.services.registry.tasks.states(case.task_ids).values())


def nothing_keeps_the_canary(lab: Lab) -> bool:
    """Wait until it is in no file."""
    gone = eventually(lambda: not places_of_the_canary(lab), FORGOTTEN_SECONDS)
    assert gone, places_of_the_canary(lab)
    return gone


def places_of_the_canary(lab: Lab) -> list[str]:
    """Return the files under the state folder that hold the password in clear."""
    state = lab.installation.state
    return [str(path.relative_to(state)) for path in files_with(CANARY, state)]
