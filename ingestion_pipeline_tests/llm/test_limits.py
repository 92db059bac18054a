from __future__ import annotations

import threading
import time

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import StopWorkError
from ingestion_pipeline.llm import Budget, BudgetSpentError, Slots


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
