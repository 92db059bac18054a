from __future__ import annotations

import pickle

import pytest

from ingestion_pipeline.errors import (
    Ask,
    ErrorKind,
    IngestError,
    InputNeededError,
    PermanentError,
    TransientError,
)


@pytest.mark.parametrize(
    "error",
    [
        PermanentError(ErrorKind.BROKEN, "a"),
        TransientError(ErrorKind.UNAVAILABLE, "b"),
        InputNeededError(ErrorKind.ENCRYPTED, "c", Ask.PASSWORD),
    ],
)
def test_an_error_survives_the_way_between_processes(error: IngestError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == error.message


def test_where_nobody_can_be_asked_a_question_is_a_permanent_error() -> None:
    assert issubclass(InputNeededError, PermanentError)
