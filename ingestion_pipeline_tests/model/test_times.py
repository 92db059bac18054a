from __future__ import annotations

import pytest
from dagster._utils.schedules import is_valid_cron_schedule
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.collections import CollectionConfig
from ingestion_pipeline.model.times import checked_cron

NUMBERS = ((0, 59), (0, 23), (1, 28), (1, 12), (0, 7))


@st.composite
def fields(draw: st.DrawFn, least: int, most: int) -> str:
    """One field of an expression."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        low, high = sorted((draw(st.integers(least, most)), draw(st.integers(least, most))))
        step = draw(st.integers(1, most))
        parts.append(
            draw(st.sampled_from(["*", f"{low}", f"{low}-{high}", f"{low}-{high}/{step}"]))
        )
    return ",".join(parts)


@given(st.tuples(*(fields(*each) for each in NUMBERS)))
def test_whatever_is_taken_for_a_schedule_is_one_to_dagster(parts: tuple[str, ...]) -> None:
    assert is_valid_cron_schedule(checked_cron("  ".join(parts)))


@pytest.mark.parametrize(
    "text", ["30 2 * * 1-5", "*/15 8-18 * * mon-fri", "0 0 29 2 *", "0 0 31 1,2 sun", "5 4 1 JAN 7"]
)
def test_what_people_write_is_a_schedule(text: str) -> None:
    assert checked_cron(text) == text
    assert is_valid_cron_schedule(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tonight", "a schedule has five fields, as in '30 2 * * 1-5': minute, hour"),
        ("0 0 0 2 * *", "a schedule has five fields"),
        ("75 2 * * *", "minute '75' is not within 0 to 59"),
        ("0 24 * * *", "hour '24' is not within 0 to 23"),
        ("0 2 * * someday", "day of the week 'someday' is not within 0 to 7"),
        ("0 2 5-1 * *", "day of the month '5-1' goes backwards"),
        ("*/0 2 * * *", "minute '*/0': a step is 1 to 59"),
        ("*/90 2 * * *", "minute '*/90': a step is 1 to 59"),
        ("5/10 2 * * *", "minute '5/10': a step needs a range, or *"),
        ("0 2 ? * *", "day of the month '?' is not *, a number, a range or a step"),
        ("0 2 30 feb *", "no such month has a day 30"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(PermanentError) as error:
        CollectionConfig().updated({"schedule": text})

    assert error.value.message.startswith(f"collection option 'schedule': {said}")
    assert error.value.message.endswith(f"(got {text!r})")


def test_an_unknown_time_zone_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(PermanentError, match="no time zone 'Europe/Berln'; did you mean 'Europe/B"):
        CollectionConfig().updated({"timezone": "Europe/Berln"})


def test_a_schedule_and_a_time_zone_are_kept_and_given_up() -> None:
    config = CollectionConfig().updated({"schedule": "0  3 * * *", "timezone": "Asia/Tokyo"})

    assert (config.schedule, config.timezone) == ("0 3 * * *", "Asia/Tokyo")
    assert config.updated({"schedule": None, "timezone": None}) == CollectionConfig()
