from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingestion_pipeline.side_by_side import in_order

THREADS = 4


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


def test_results_come_in_the_order_of_the_items(pool: ThreadPoolExecutor) -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.01 * (number % 3 == 0))
        return -number

    assert list(in_order(pool, slow_first, range(20), 8)) == [-number for number in range(20)]


def test_items_are_taken_only_as_results_are(pool: ThreadPoolExecutor) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(pool, abs, items(), 5)

    assert [next(results), next(results)] == [0, 1]
    assert len(taken) <= 6


def test_after_an_error_nothing_more_begins(pool: ThreadPoolExecutor) -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def fail(number: int) -> None:
        with lock:
            begun.append(number)
        time.sleep(0.01)
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"^0$"):
        list(in_order(pool, fail, range(100), 50))

    assert len(begun) <= 2 * THREADS
