from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.parsing.cleaning import clean, one_line

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_clean_text_can_be_encoded_and_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert "\0" not in cleaned
    assert "\r" not in cleaned
    assert clean(cleaned) == cleaned


@given(ANY_TEXT)
def test_one_line_has_no_line_breaks(text: str) -> None:
    assert "\n" not in one_line(text)


def test_line_ends_page_breaks_and_invisible_characters_are_normalised() -> None:
    assert clean("a\r\nb\rc\fd\0e\u00a0f\u00adg\ud800h") == "a\nb\nc\n\nde fg\ufffdh"
