from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.model.summaries import Citation, SummaryMethod
from ingestion_pipeline.summarising.extractive import extract
from ingestion_pipeline.summarising.text import Written
from ingestion_pipeline_tests.summarising.writing import (
    SPECIAL,
    TOOLS,
    chunk,
    chunks,
    token_counts,
    vectors,
)

STORY = (
    "The harbour of Brennhaven freezes every winter. Ice stops the ferries for eleven weeks.",
    (
        "Mayor Ilse Brandt wants an icebreaker. The council of Brennhaven fears the cost. "
        "It was a cold morning. An icebreaker costs 40 million crowns."
    ),
    (
        "In 1962 the ferries stood still until April. Brandt remembers that winter well. "
        "The harbour lost half of its ferries. Nobody spoke."
    ),
    "At last the council votes for the icebreaker. Brandt breaks the first ice in December.",
)
TABLE = "Port | Ferries | Weeks of ice\nBrennhaven | 12 | 11\nSundby | 7 | 3\nOster | 2 | 0"
CHINESE = (
    "人工智能正在改变世界。机器学习是人工智能的一个分支。天气很好。",
    "机器学习需要大量数据。数据的质量决定机器学习的结果。",
)


def summary(*texts: str, max_tokens: int = 40) -> Written:
    return extract(chunks(*texts), vectors(len(texts)), max_tokens, TOOLS)


def cited(written: Written, *texts: str) -> list[str]:
    by_id = {each.chunk_id: each.text for each in chunks(*texts)}
    return [
        " ".join(by_id[each.chunk_id][each.start : each.end].split()) for each in written.citations
    ]


@pytest.mark.parametrize(
    "texts", [STORY, STORY[:1], (TABLE,), (TABLE, *STORY), CHINESE, ("no end " * 50,)]
)
@pytest.mark.parametrize("max_tokens", [8, 24, 60])
def test_each_line_is_what_its_citation_says_and_all_fit(
    texts: tuple[str, ...], max_tokens: int
) -> None:
    written = summary(*texts, max_tokens=max_tokens)

    assert written.text.split("\n") == cited(written, *texts)
    assert written.tokens == token_counts([written.text])[0] <= max_tokens
    assert written.method is SummaryMethod.EXTRACTIVE


@given(
    st.lists(st.text(alphabet="Ab 1.。!?\n\t|字é", max_size=60), min_size=1, max_size=5),
    st.integers(0, 30),
)
def test_any_text_is_summarised_within_the_cap(texts: list[str], max_tokens: int) -> None:
    written = summary(*texts, max_tokens=max_tokens)

    assert [each for each in written.text.split("\n") if each] == cited(written, *texts)
    assert written.tokens <= max(max_tokens, SPECIAL)
    assert written.text or max_tokens < 60 // 2 + SPECIAL or not "".join(texts).split()


def test_a_group_without_text_has_an_empty_summary() -> None:
    assert summary("", " \n ") == Written("", SPECIAL, (), SummaryMethod.EXTRACTIVE)


def test_sentences_come_in_the_order_of_the_chunks() -> None:
    places = [(each.chunk_id, each.start) for each in summary(*STORY, max_tokens=60).citations]

    assert len(places) > 2
    assert places == sorted(places)


def test_what_tells_nothing_is_left_out() -> None:
    text = summary(*STORY, max_tokens=60).text

    assert "icebreaker" in text
    assert "Nobody spoke." not in text
    assert "It was a cold morning." not in text


def test_chinese_sentences_about_the_common_subject_are_chosen() -> None:
    text = summary(*CHINESE, max_tokens=30).text

    assert "机器学习" in text
    assert "天气很好" not in text


def test_a_sentence_stands_once_though_several_chunks_have_it() -> None:
    repeated = "Ferries of Brennhaven stop in winter."
    written = summary(
        f"{repeated} Ice is thick.", f"{repeated} Trains run.", repeated, max_tokens=60
    )

    assert written.text.count(repeated) == 1


def test_of_overlapping_chunks_the_one_with_the_whole_sentence_is_cited() -> None:
    text = "Ice closes the harbour. The ferries of Brennhaven stop for eleven weeks. Trains run."
    cut = text.index("stop")
    overlapping = [
        chunk(text[:cut].rstrip(), 0),
        chunk(text[text.index("The ferries") :], 1, text.index("The ferries")),
    ]

    written = extract(overlapping, vectors(2), 60, TOOLS)

    assert written.text.split("\n") == [
        "Ice closes the harbour.",
        "The ferries of Brennhaven stop for eleven weeks.",
        "Trains run.",
    ]
    assert [each.chunk_id for each in written.citations] == ["c0", "c1", "c1"]


def test_chunks_of_two_documents_do_not_overlap() -> None:
    pair = [chunk("Ice is thick.", 0), chunk("Trains run.", 1, document_id="e")]

    assert extract(pair, vectors(2), 60, TOOLS).text == "Ice is thick.\nTrains run."


def test_the_rows_of_a_table_are_cited_one_by_one() -> None:
    written = summary(TABLE, max_tokens=60)

    assert written.text == TABLE
    assert Citation("c0", 0, TABLE.index("\n")) in written.citations


def test_a_text_without_sentences_is_cut_to_fit() -> None:
    written = summary("Zauberwort" * 40, "lone words " * 40, max_tokens=16)

    assert written.citations
    assert all(each.end - each.start > 4 for each in written.citations)


def test_sentences_of_central_chunks_weigh_more() -> None:
    texts = ("Ferries cross the harbour.", "Bakers knead the dough.", "Bakers bake at dawn.")
    towards = np.eye(3, dtype=np.float32)[[0, 1, 1]]

    assert extract(chunks(*texts), towards, 9, TOOLS).text.startswith("Bakers")
    assert extract(chunks(*texts), towards[[1, 0, 0]], 9, TOOLS).text.startswith("Bakers")


def test_equal_groups_have_equal_summaries() -> None:
    generator = np.random.default_rng(1)
    given_vectors = generator.normal(size=(4, 8)).astype(np.float32)
    first, second = (extract(chunks(*STORY), given_vectors, 50, TOOLS) for _ in range(2))

    assert first == second


def test_of_a_large_group_the_first_sentences_of_each_chunk_are_compared() -> None:
    texts = [
        " ".join(f"Harbour {number} ships {kind} to Brandt {number % 7}." for kind in "abcdefgh")
        for number in range(400)
    ]
    began = time.process_time()

    written = summary(*texts, max_tokens=256)

    assert time.process_time() - began < 5
    assert written.citations
    assert all(
        " ships a" in each or " ships b" in each or " ships c" in each
        for each in written.text.split("\n")
    )
