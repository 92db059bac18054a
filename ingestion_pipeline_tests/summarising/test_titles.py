from __future__ import annotations

import pytest

from ingestion_pipeline.summarising.titles import titles
from ingestion_pipeline_tests.summarising.writing import TOOLS

REACTOR = "The molten salt reactor of Brandt stands. A molten salt reactor has a freeze plug."
TURBINE = "The wind turbine of Brandt turns. A wind turbine has rotor blades. Rotor blades wear."


def test_titles_tell_siblings_apart() -> None:
    reactor, turbine = titles([[REACTOR], [TURBINE]], TOOLS)

    assert "molten salt" in reactor
    assert "wind turbine" in turbine
    assert not reactor.startswith("Brandt")


def test_no_word_stands_twice_and_none_is_changed() -> None:
    (title,) = titles([["Ilse Brandt leads. Ilse Brandt of Sundby decides. Brandt stays."]], TOOLS)

    words = title.replace(",", "").split()
    assert "Ilse Brandt" in title
    assert len(words) == len(set(words))


@pytest.mark.parametrize("text", ["12 34", "...", "the of and", "字", "x" * 500, "1 2 " * 100])
def test_where_there_is_text_there_is_a_title_and_it_is_short(text: str) -> None:
    (title,) = titles([[text]], TOOLS)

    assert 0 < len(title) <= 60


def test_no_text_has_no_title() -> None:
    assert titles([[], [" "]], TOOLS) == ["", ""]
    assert titles([], TOOLS) == []


def test_siblings_alike_get_titles_of_their_own() -> None:
    many = "Brandt builds bridges, tunnels, harbours, railways, canals, dams."
    found = titles([[many], [many]], TOOLS)

    assert len(set(found)) == 2


def test_titles_do_not_depend_on_what_was_asked_before() -> None:
    assert titles([[REACTOR], [TURBINE]], TOOLS) == titles([[REACTOR], [TURBINE]], TOOLS)
