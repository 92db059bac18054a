from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import StopWorkError
from ingestion_pipeline.llm import Budget, BudgetSpentError, Slots

HOLD = """
import sys
from pathlib import Path
from ingestion_pipeline.control import NoControl
from ingestion_pipeline.llm import Slots
with Slots(2, Path(sys.argv[1])).one(NoControl()):
    print("mine", flush=True)
    sys.stdin.read()
"""


class Stopped(NoControl):
    """Stops the work from a moment on."""

    def __init__(self, after: float) -> None:
        self._ends = time.monotonic() + after

    def check(self) -> None:
        if time.monotonic() >= self._ends:
            raise StopWorkError


def test_no_more_than_the_slots_are_held_at_a_time() -> None:
    slots, held, most, lock = Slots(2), 0, 0, threading.Lock()

    def work() -> None:
        nonlocal held, most
        with slots.one(NoControl()):
            with lock:
                held += 1
                most = max(most, held)
            time.sleep(0.01)
            with lock:
                held -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == 2


def test_waiting_for_a_slot_can_be_stopped() -> None:
    slots = Slots(1)

    with slots.one(NoControl()), pytest.raises(StopWorkError), slots.one(Stopped(0.1)):
        pass
    with slots.one(NoControl()):
        pass  # the slot is free again


def test_processes_share_their_slots_and_a_killed_one_leaves_its_own_free(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "chats"
    slots = Slots(2, folder)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "mine\n"

    with slots.one(NoControl()):
        with pytest.raises(StopWorkError), slots.one(Stopped(0.5)):
            pass
        other.kill()
        other.communicate()
        with slots.one(NoControl()):
            pass


def test_a_budget_is_never_overdrawn() -> None:
    budget = Budget(100)
    budget.reserve(60)

    with pytest.raises(BudgetSpentError, match="budget of 100 tokens"):
        budget.reserve(41)
    budget.settle(60, 10)
    budget.reserve(90)

    assert budget.left == 0


def test_what_was_underestimated_is_spent_all_the_same() -> None:
    budget = Budget(100)
    budget.reserve(60)
    budget.settle(60, 150)

    assert budget.left == 0
    with pytest.raises(BudgetSpentError):
        budget.reserve(1)
