from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.enrichment import keywords
from ingestion_pipeline.enrichment.keywords import WINDOW
from ingestion_pipeline_tests.enrichment.documents import chunk, chunks

REACTOR = (
    "The molten salt reactor keeps its fuel in a fluid. A molten salt reactor drains by gravity "
    "into a tank when the freeze plug melts. NASA studied the molten salt reactor for aircraft."
)
WOOL = (
    "Merino wool keeps warm when it is wet. Sheep give wool once a year, and merino sheep give the "
    "finest. Spinning wool takes a spindle and patience."
)


def test_what_a_chunk_is_about_comes_first() -> None:
    reactor, wool = keywords(chunks(REACTOR, WOOL), 5, "en")

    assert reactor[0] == "molten salt reactor"
    assert wool[0] == "wool"
    assert not set(reactor) & set(wool)


def test_the_parts_of_a_phrase_are_not_repeated() -> None:
    (found,) = keywords(chunks(REACTOR), 30, "en")

    assert "molten salt reactor" in found
    assert not {"molten", "salt", "reactor", "molten salt", "salt reactor"} & set(found)


def test_words_of_the_whole_document_count_less_than_those_of_the_chunk() -> None:
    texts = [
        f"Pump station: {name} {name} drives the pump." for name in ("alder", "birch", "cedar")
    ]

    assert [found[0] for found in keywords(chunks(*texts), 3, "en")] == ["alder", "birch", "cedar"]


def test_what_comes_early_counts_more() -> None:
    (found,) = keywords(chunks("quartz, feldspar, mica, granite, basalt"), 5, "en")

    assert found == ("quartz", "feldspar", "mica", "granite", "basalt")


def test_the_heading_above_a_chunk_gives_keywords() -> None:
    (found,) = keywords([chunk("It takes a spindle.", 0, "Crafts", "Spinning flax")], 3, "en")

    assert found[:2] == ("Spinning", "flax")


def test_words_that_say_little_alone_are_found_in_phrases() -> None:
    (found,) = keywords(chunks("The operating system: an operating system is a system."), 5, "en")

    assert found == ("operating system",)


def test_words_are_written_as_in_the_text() -> None:
    (found,) = keywords(chunks("Turbines at NASA. The turbines of McMurdo. Glaciers."), 9, "en")

    assert set(found) == {"turbines", "NASA", "McMurdo", "Glaciers"}


def test_a_word_and_its_plural_are_one_keyword() -> None:
    (found,) = keywords(chunks("Turbine here, turbines there; a turbine."), 9, "en")

    assert found == ("turbine",)


@pytest.mark.parametrize(
    ("text", "language", "first"),
    [
        ("劳动合同由用人单位与劳动者订立。劳动合同应当书面订立，劳动合同生效。", "zh", "劳动合同"),  # noqa: RUF001
        ("東京都の人口は東京都庁が数える。東京都は首都である。", "ja", "東京都"),
        ("형태소 분석은 형태소를 나눈다. 형태소가 단위이다.", "ko", "형태소"),
        ("Der Deich hält das Wasser. Der Deich bricht, wenn der Deich alt ist.", "de", "Deich"),
    ],
)
def test_keywords_are_found_in_other_languages(text: str, language: str, first: str) -> None:
    (found,) = keywords(chunks(text), 3, language)

    assert found[0] == first


@pytest.mark.parametrize("text", ["", "the of and", "1 2 3.14 | 5", "!!! ???", "https://a.example"])
def test_a_text_that_says_nothing_has_no_keywords(text: str) -> None:
    assert keywords(chunks(text), 5, "en") == [()]


def test_a_long_document_is_compared_in_parts() -> None:
    texts = chunks(*(f"entry number{number} here" for number in range(WINDOW + 2)))

    found = keywords(texts, 2, "en")

    assert len(found) == len(texts)
    assert found[-1] == (f"number{WINDOW + 1}", "entry") or found[-1][0] == f"number{WINDOW + 1}"


@given(st.lists(st.text(alphabet="ab ab.\n的中文字学\ud800'", max_size=60), max_size=4))
def test_keywords_are_bounded_distinct_and_always_the_same(texts: list[str]) -> None:
    found = keywords(chunks(*texts), 3, None)

    assert len(found) == len(texts)
    assert all(len(set(each)) == len(each) <= 3 and all(each) for each in found)
    assert found == keywords(chunks(*texts), 3, None)
