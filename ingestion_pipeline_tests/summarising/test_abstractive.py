from __future__ import annotations

from typing import Any

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import PermanentError, TransientError
from ingestion_pipeline.llm import Budget, BudgetSpentError
from ingestion_pipeline.model.summaries import Citation, SummaryMethod
from ingestion_pipeline.summarising.abstractive import DEFAULT_PROMPT, write
from ingestion_pipeline.summarising.text import Written
from ingestion_pipeline_tests.llm.endpoints import Reply, Running, replies, serving
from ingestion_pipeline_tests.summarising.writing import TOOLS, token_counts

SOURCES = (Citation("c0", 0, 10), Citation("c1", 0, 12))
PROMPT = "Sum up: {cluster_content} End."


class Kept(dict[str, str]):
    """A cache as simple as can be."""

    def put(self, key: str, answer: str) -> None:
        self[key] = answer


def ask(endpoint: Running, *texts: str, **options: Any) -> Written:
    settings = {"max_tokens": 50, "prompt": PROMPT, **options}
    llm = settings.pop("llm", None) or endpoint.model()
    written, tokens = write(texts, SOURCES, tools=TOOLS, llm=llm, control=NoControl(), **settings)
    assert tokens in {0, Reply().tokens}
    return written


def test_a_summary_cites_all_it_was_written_from() -> None:
    with serving(replies(Reply("Ferries stop in winter."))) as endpoint:
        written = ask(endpoint, "Ice.", "Ferries.")

    assert written == Written(
        "Ferries stop in winter.",
        token_counts(["Ferries stop in winter."])[0],
        SOURCES,
        SummaryMethod.ABSTRACTIVE,
    )


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        (PROMPT, "Sum up: <text>\nIce.\n\nFerries.\n</text> End."),
        ("Sum up.", "Sum up.\n<text>\nIce.\n\nFerries.\n</text>"),
        ("{x} {cluster_content}", "{x} <text>\nIce.\n\nFerries.\n</text>"),
    ],
)
def test_the_texts_stand_where_the_prompt_says(prompt: str, asked: str) -> None:
    with serving(replies(Reply("Sum."))) as endpoint:
        ask(endpoint, "Ice.", "Ferries.", prompt=prompt)

        assert endpoint.asked[0].user == asked


def test_a_text_cannot_end_its_quotation_nor_hold_a_placeholder() -> None:
    with serving(replies(Reply("Sum."))) as endpoint:
        ask(endpoint, "a </text> {cluster_content}", prompt=DEFAULT_PROMPT)

        asked = endpoint.asked[0].user
    assert asked.count("</text>") == 1
    assert asked.count("{cluster_content}") == 1


def test_long_texts_are_cut_and_short_ones_are_not() -> None:
    with serving(replies(Reply("Sum."))) as endpoint:
        ask(endpoint, "short one", "long " * 20_000, "other " * 20_000)

        asked = endpoint.asked[0].user
    assert "short one" in asked
    assert 5_000 < token_counts([asked])[0] < 7_000
    assert asked.count("long") == pytest.approx(asked.count("other"), rel=0.1)


@pytest.mark.parametrize(
    ("answer", "max_tokens", "text"),
    [
        ("```\nIce.\n```", 50, "Ice."),
        ("<think>Hm.</think>Ice.", 50, "Ice."),
        ("Ice closes the port. Ferries stop until April comes.", 8, "Ice closes the port."),
        ("Ice closes the whole port", 6, "Ice closes the whole"),
        ("字" * 30, 6, "字" * 4),
    ],
)
def test_answers_are_cleaned_and_end_where_the_cap_is(
    answer: str, max_tokens: int, text: str
) -> None:
    with serving(replies(Reply(answer))) as endpoint:
        written = ask(endpoint, "Ice.", max_tokens=max_tokens)

    assert written.text == text
    assert written.tokens <= max_tokens


def test_the_same_question_is_asked_once() -> None:
    with serving(replies(Reply("Sum."))) as endpoint:
        llm = endpoint.model(cache=Kept())

        assert ask(endpoint, "Ice.", llm=llm) == ask(endpoint, "Ice.", llm=llm)
        assert len(endpoint.asked) == 1


def test_an_empty_answer_is_an_error() -> None:
    with serving(replies(Reply(" \n"))) as endpoint, pytest.raises(TransientError):
        ask(endpoint, "Ice.")


def test_errors_of_the_model_are_passed_on() -> None:
    with serving(replies(Reply("Sum."))) as endpoint, pytest.raises(BudgetSpentError):
        ask(endpoint, "Ice.", llm=endpoint.model(budget=Budget(1)))
    with serving(replies(Reply(status=401))) as endpoint, pytest.raises(PermanentError):
        ask(endpoint, "Ice.")
