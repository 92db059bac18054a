from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.chunking.measure import LONGEST_TOKEN, Ruler


class Words:
    """One token per given offset, whatever the text."""

    special_tokens_per_text = 0

    def __init__(self, *starts: int) -> None:
        self.starts = starts

    def token_starts(self, text: str) -> Sequence[int]:
        return self.starts

    def counts(self, texts: Sequence[str]) -> list[int]:
        return [len(self.starts)] * len(texts)


def test_a_slice_holds_the_tokens_that_begin_in_it() -> None:
    ruler = Ruler("ab cd ef", Words(0, 3, 3, 6))
    assert ruler.tokens(0, 8) == 4
    assert ruler.tokens(0, 3) == 1
    assert ruler.tokens(1, 6) == 2


def test_a_stretch_without_tokens_counts_by_its_length() -> None:
    ruler = Ruler("x" * 1000, Words(0))
    assert ruler.tokens(0, 1000) == 1 + (1000 - 1) // LONGEST_TOKEN


def test_advancing_stops_at_the_ends_of_the_text() -> None:
    ruler = Ruler("ab cd ef", Words(0, 3, 6))
    assert [ruler.advance(3, count) for count in (-5, -1, 0, 1, 2, 9)] == [0, 0, 3, 6, 8, 8]


def test_a_word_is_sought_before_the_target_first_then_behind() -> None:
    ruler = Ruler("ab cdef gh ij", Words(0, 3, 5, 8, 11))
    assert ruler.word_near(5, 1, 12) == 3
    assert ruler.word_near(5, 4, 12) == 8
    assert ruler.word_near(5, 4, 7) is None


@given(
    st.lists(st.integers(0, LONGEST_TOKEN), min_size=1, max_size=600),
    st.lists(st.integers(0, 20_000), min_size=2, max_size=2).map(sorted),
)
def test_many_tokens_are_found_as_in_a_list_of_their_places(
    steps: list[int], places: list[int]
) -> None:
    starts = list(accumulate(steps))
    ruler = Ruler("x" * (starts[-1] + 1), Words(*starts))
    first, last = (bisect_left(starts, place) for place in places)
    assert ruler.tokens(*places) == last - first
    beyond = first + 5
    expected = starts[beyond] if beyond < len(starts) else starts[-1] + 1
    assert ruler.advance(places[0], 5) == expected
