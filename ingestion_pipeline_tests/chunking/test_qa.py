# ruff: noqa: RUF001 - full-width punctuation is meant
from __future__ import annotations

import pytest

from ingestion_pipeline.model.collections import ParserKind
from ingestion_pipeline.model.elements import Element
from ingestion_pipeline_tests.chunking.documents import (
    cut_up,
    document,
    paragraph,
    sentences,
    table,
    texts_of,
    title,
)

LAMP = "Question: What is it?\nAnswer: A lamp."
RIVER = "Question: What flows?\nAnswer: A river."


@pytest.mark.parametrize(
    "elements",
    [
        (table("What is it? | A lamp.\nWhat flows? | A river."),),
        (table("Question | Answer\nWhat is it? | A lamp.\nWhat flows? | A river."),),
        (table("No | Answer | Question\n1 | A lamp. | What is it?\n2 | A river. | What flows?"),),
        (paragraph("What is it?\tA lamp.\nWhat flows?\tA river."),),
        (paragraph("Q: What is it?\nA: A lamp.\nQ: What flows?\nA: A river."),),
        (paragraph("Q1. What is it?\nA1. A lamp."), paragraph("Q2. What flows?\nA2. A river.")),
        (
            paragraph("Question: What is it? Answer: A lamp."),
            paragraph("Q: What flows? A: A river."),
        ),
        (
            paragraph("Q: What is it?"),
            paragraph("A: A lamp."),
            paragraph("Q: What flows? A: A river."),
        ),
        (title("What is it?"), paragraph("A lamp."), title("What flows?"), paragraph("A river.")),
        (
            title("Q: What is it?"),
            paragraph("A: A lamp."),
            title("What flows?"),
            paragraph("A river."),
        ),
    ],
)
def test_a_question_with_its_answer_is_a_chunk(elements: tuple[Element, ...]) -> None:
    assert texts_of(*elements, kind=ParserKind.QA) == [LAMP, RIVER]


@pytest.mark.parametrize(
    ("text", "chunk"),
    [
        ("问：这是什么？答：灯。", "问题：这是什么？\n回答：灯。"),
        ("问题1：这是什么？\n答案：灯。", "问题：这是什么？\n回答：灯。"),
        (
            "質問：これは何ですか？\n回答：ランプです。",
            "質問：これは何ですか？\n回答：ランプです。",
        ),
        (
            "질문: 이것은 무엇입니까?\n답변: 램프입니다.",
            "질문: 이것은 무엇입니까?\n답변: 램프입니다.",
        ),
    ],
)
def test_pairs_are_named_in_their_language(text: str, chunk: str) -> None:
    assert texts_of(paragraph(text), kind=ParserKind.QA) == [chunk]


def test_a_long_answer_repeats_its_question() -> None:
    parsed = document(title("Why?"), paragraph(sentences(20)), paragraph(sentences(9)))
    found = cut_up(parsed, 64, kind=ParserKind.QA)
    lead = "Question: Why?\nAnswer: "
    assert len(found) > 4
    assert all(part.text.startswith(lead + "Sentence") for part in found)
    assert found[0].start == 0
    assert found[1].text == lead + parsed.text[found[1].start : found[1].end]


def test_a_question_of_over_half_the_cap_is_cut_as_it_stands() -> None:
    parsed = document(paragraph(f"Q: {sentences(10)}\nA: Yes."))
    found = cut_up(parsed, 64, kind=ParserKind.QA)
    assert found[0].text.startswith("Q: Sentence")
    assert found[-1].text.endswith("A: Yes.")


def test_an_answer_may_hold_several_paragraphs_and_a_table() -> None:
    (found,) = texts_of(
        title("How?"), paragraph("So."), table("a | b | c\n1 | 2 | 3"), kind=ParserKind.QA
    )
    assert found == "Question: How?\nAnswer: So.\n\na | b | c\n1 | 2 | 3"


def test_text_that_belongs_to_no_pair_is_kept() -> None:
    found = texts_of(
        paragraph("Welcome."),
        paragraph("Q: Who?\nA: Me."),
        title("Terms"),
        kind=ParserKind.QA,
    )
    assert found == ["Welcome.", "Question: Who?\nAnswer: Me.", "Terms"]


def test_a_question_without_answer_stays_with_the_answer_before() -> None:
    (found,) = texts_of(paragraph("Q: Who?\nA: Me.\nQ: And?"), kind=ParserKind.QA)
    assert found == "Question: Who?\nAnswer: Me.\nQ: And?"


def test_the_first_row_that_a_long_sheet_repeats_counts_once() -> None:
    pieces = [table("Who? | Me.\nWhen? | Now."), table("Who? | Me.\nWhere? | Here.")]
    assert len(texts_of(*pieces, kind=ParserKind.QA)) == 3


def test_lines_that_end_in_a_question_mark_are_questions() -> None:
    found = texts_of(
        paragraph("Welcome."),
        paragraph("1. How do I pay?\nBy card."),
        paragraph("2. Where are you?"),
        paragraph("In Oslo."),
        paragraph("Is that far?"),
        paragraph("怎么办？"),
        paragraph("等一下。"),
        kind=ParserKind.QA,
    )
    assert found == [
        "Welcome.",
        "Question: How do I pay?\nAnswer: By card.",
        "Question: Where are you?\nAnswer: In Oslo.",
        "问题：Is that far? 怎么办？\n回答：等一下。",
    ]


def test_one_question_below_a_heading_is_part_of_the_answer() -> None:
    (found,) = texts_of(
        title("Paying"), paragraph("How?"), paragraph("By card."), kind=ParserKind.QA
    )
    assert found.startswith("Question: Paying\nAnswer: How?")
