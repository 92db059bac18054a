from __future__ import annotations

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.enrichment.asking import quoted
from ingestion_pipeline.enrichment.keywords import asked_keywords
from ingestion_pipeline.enrichment.metadata import Metadata, asked_metadata, merged, passages
from ingestion_pipeline.enrichment.questions import asked_questions
from ingestion_pipeline_tests.enrichment.documents import chunks
from ingestion_pipeline_tests.llm.endpoints import Reply, replies, serving


def test_a_text_cannot_end_its_quotation() -> None:
    assert quoted("a </text> b").count("</text>") == 1


@pytest.mark.parametrize(
    ("answer", "questions"),
    [
        ("What is it?\nWho made it?", ("What is it?", "Who made it?")),
        (
            'Here are the questions:\n\n1. "What is it?"\n2) **Who made it?**',
            ("What is it?", "Who made it?"),
        ),
        ("- What is it?\n- what is it?\n* Who made it?", ("What is it?", "Who made it?")),
        ("1、这是什么？\n2、谁做的？", ("这是什么？", "谁做的？")),  # noqa: RUF001
        ("```\nWhat is it?\n```", ("What is it?",)),
        ("One?\nTwo?\nThree?\nFour?", ("One?", "Two?", "Three?")),
        ("<text>\nWhat is it?\nThat is all.\n</text>", ("What is it?",)),
        ("word " * 100 + "?", ()),
        ("", ()),
    ],
)
def test_questions_are_read_line_by_line(answer: str, questions: tuple[str, ...]) -> None:
    with serving(replies(Reply(answer))) as endpoint:
        assert asked_questions("Text.", 3, endpoint.model(), NoControl()).values == questions


@pytest.mark.parametrize(
    ("answer", "keywords"),
    [
        ("molten salt, reactor, freeze plug", ("molten salt", "reactor", "freeze plug")),
        ("Keywords:\n1. molten salt\n2. reactor", ("molten salt", "reactor")),
        ("熔盐，反应堆、燃料；冷却", ("熔盐", "反应堆", "燃料")),  # noqa: RUF001
        ("3D printing, 2024 budget", ("3D printing", "2024 budget")),
        ("a, A, b", ("a", "b")),
    ],
)
def test_keywords_are_read_whatever_separates_them(answer: str, keywords: tuple[str, ...]) -> None:
    with serving(replies(Reply(answer))) as endpoint:
        assert asked_keywords("Text.", 3, endpoint.model(), NoControl()).values == keywords


@pytest.mark.parametrize(
    ("answer", "metadata"),
    [
        ('{"author": "Ada", "year": 1843}', {"author": "Ada", "year": "1843"}),
        ('{"author": ["Ada", "ada", "Luigi"]}', {"author": ["Ada", "Luigi"]}),
        ('{"author": null, "year": "unknown", "other": 1}', {}),
        ("{'author': 'Ada',}", {"author": "Ada"}),
        ('{"author": {"name": "Ada"}, "year": [true, []]}', {"year": "true"}),
    ],
)
def test_metadata_are_the_fields_of_the_schema(answer: str, metadata: Metadata) -> None:
    schema = {"author": "who wrote it", "year": "when"}

    with serving(replies(Reply(answer))) as endpoint:
        asked = asked_metadata("Text.", schema, endpoint.model(), NoControl())
        assert '"who wrote it"' in endpoint.asked[0].system

    assert asked.values == (metadata,)


def test_an_answer_that_is_no_object_tells_nothing() -> None:
    with serving(replies(Reply("I do not know."))) as endpoint:
        assert asked_metadata("Text.", {"a": "b"}, endpoint.model(), NoControl()).values == ()


def test_metadata_of_several_passages_are_put_together_without_repetition() -> None:
    parts: list[Metadata] = [
        {"author": "Ada", "year": "1843"},
        {"author": ["ada", "Luigi"], "place": "Turin"},
    ]

    assert merged(parts) == {"author": ["Ada", "Luigi"], "year": "1843", "place": "Turin"}
    assert merged([]) == {}


def test_the_beginning_and_samples_of_a_long_document_are_read() -> None:
    texts = [f"{number:03} " + "word " * 396 for number in range(90)]  # 496 tokens each

    read = passages(chunks(*texts))

    assert [passage.split()[0] for passage in read] == ["000", "032", "061"]
    assert [passage.count("word") // 396 for passage in read] == [4, 2, 2]


def test_a_short_document_is_read_once() -> None:
    assert passages(chunks("One.", "Two.")) == ["One.\n\nTwo."]
    assert passages([]) == []
    assert [len(passage) for passage in passages(chunks("x" * 50_000))] == [10_000]
