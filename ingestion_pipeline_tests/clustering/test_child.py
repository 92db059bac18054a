from __future__ import annotations

import os
import time

import numpy as np
import psutil
import pytest

from ingestion_pipeline.clustering import child
from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import ErrorKind, LeaseLostError, TransientError
from ingestion_pipeline_tests.clustering.vectors import Stopping


def test_a_function_gets_its_arrays_and_its_answer_comes_back() -> None:
    answer = child.call(np.linalg.norm, NoControl(), x=np.array([[3.0, 4.0], [6.0, 8.0]]), axis=1)

    assert answer.tolist() == [5.0, 10.0]


def test_an_error_in_the_child_is_told_in_one_line() -> None:
    with pytest.raises(TransientError, match="Singular matrix") as caught:
        child.call(np.linalg.inv, NoControl(), a=np.zeros((2, 2)))

    assert caught.value.kind is ErrorKind.CRASHED


def test_the_death_of_the_child_is_an_error_that_may_be_tried_again() -> None:
    with pytest.raises(TransientError) as caught:
        child.call(os.abort, NoControl())  # type: ignore[arg-type]  # it never answers

    assert caught.value.kind is ErrorKind.CRASHED


def test_a_child_at_work_is_killed_as_soon_as_the_work_is_canceled() -> None:
    long_work = np.ones((3000, 3000)) + np.eye(3000)
    before = psutil.Process().children()
    begin = time.monotonic()

    with pytest.raises(LeaseLostError):
        child.call(np.linalg.svd, Stopping(after=5), a=long_work)

    assert time.monotonic() - begin < 5
    assert psutil.Process().children() == before
