from __future__ import annotations

from dataclasses import replace

from ingestion_pipeline.chunking.sentences import sentence_starts
from ingestion_pipeline.summarising.text import sentences, shown
from ingestion_pipeline_tests.summarising.writing import chunk, chunks


def found(text: str) -> list[str]:
    (spans,) = sentences(chunks(text), sentence_starts)
    return [text[start:end] for start, end in spans]


def test_paragraphs_end_sentences() -> None:
    assert found("A heading\n\nIt begins. It\ngoes on.\n \nThe end") == [
        "A heading",
        "It begins.",
        "It\ngoes on.",
        "The end",
    ]


def test_rows_are_sentences() -> None:
    assert found("Name | Sold\nA. B. Smith | 3\n\nThat was all.") == [
        "Name | Sold",
        "A. B. Smith | 3",
        "That was all.",
    ]


def test_blank_texts_have_no_sentences() -> None:
    assert found(" \n\n ") == []
    assert found("") == []


def test_sentences_are_shown_on_one_line() -> None:
    assert shown("a  b\nc\td ", 0, 8) == "a b c d"


def test_chunks_that_rewrite_their_text_are_never_taken_for_overlapping() -> None:
    first = chunk("One two three.", 0)
    rewritten = replace(chunk("Two three. Four.", 1), end=5)

    assert [len(each) for each in sentences([first, rewritten], sentence_starts)] == [1, 2]
