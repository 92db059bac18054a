from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.graph import Gazetteer


def found(names: list[str], text: str) -> list[str]:
    known = Gazetteer()
    for name in names:
        known.add(name)
    return [text[match.start : match.end] for match in known.matches(text)]


def test_the_longest_name_wins() -> None:
    names = ["New York", "New York Times", "Times"]

    assert found(names, "He read the New York Times in New York.") == ["New York Times", "New York"]


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("Neural Networks", "a neural network learns", "neural network"),
        ("neural network", "Neural Networks learn", "Neural Networks"),
        ("The Beatles", "when Beatles sang", "Beatles"),
        ("Demon (film)", "in Demon he plays", "Demon"),
        ("Spider-Man", "of Spider-Man's web", "Spider-Man"),
        ("O'Brien Press", "by O’Brien Press", "O’Brien Press"),  # noqa: RUF001
        ("Kiss and Tell", "Kiss and Tell is a film", "Kiss and Tell"),
        ("红楼梦", "他写了红楼梦。", "红楼梦"),
        ("U.S. Navy", "the U.S. Navy's ship", "U.S. Navy"),
    ],
)
def test_names_are_found_as_they_are_written_in_texts(name: str, text: str, written: str) -> None:
    assert found([name], text) == [written]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Home", "he went home"),
        ("Home", "Home is where he went"),
        ("Kiss and Tell", "they kiss and tell all"),
        ("Kiss and Tell", "kiss | and tell"),
        ("Ada", "Adam went"),
        ("", "anything"),
    ],
)
def test_what_is_no_name_there_is_not_found(name: str, text: str) -> None:
    assert found([name], text) == []


@given(st.lists(st.text(max_size=12), max_size=6), st.text(max_size=60))
def test_any_names_are_found_in_order_and_apart(names: list[str], text: str) -> None:
    known = Gazetteer()
    for name in names:
        known.add(name)

    reached = 0
    for match in known.matches(text):
        assert reached <= match.start < match.end <= len(text)
        reached = match.end
