from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.graph import known_names, linked, merged
from ingestion_pipeline.graph.doubts import Doubt, Judge, _questions, alike
from ingestion_pipeline.llm import Budget
from ingestion_pipeline.model.graph import KnowledgeGraph
from ingestion_pipeline_tests.graph.documents import (
    COLLECTION,
    document,
    named,
    read,
    texts_of,
)
from ingestion_pipeline_tests.llm.endpoints import Asked, Reply, Running, serving

HARBOUR = document("harbour", "The Bergen Harbour Office hired John Smith in Oslo.")
OFFICE = document("office", "The Harbour Office of Norway was closed. Jane Doe met J. Smith.")


def judged(judge: Judge | None) -> KnowledgeGraph:
    graphs = read(HARBOUR, OFFICE)
    texts, names = texts_of(HARBOUR, OFFICE), known_names(graphs)
    links = [linked(graph, texts, names) for graph in graphs]
    return merged(COLLECTION, links, NoControl(), judge=judge)


def yes(asked: Asked) -> Reply:
    """Say that all people are the same, and nothing else."""
    lines = re.findall(r"^(\d+)\. .*\(person;.*\(person;", asked.user, re.MULTILINE)
    return Reply(json.dumps({"same": [*map(int, lines), "nonsense", 99]}))


def judge(running: Running, **options: object) -> Judge:
    return Judge(running.model(**options), NoControl())


def test_names_are_brought_together_that_a_model_says_are_one() -> None:
    with serving(yes) as running:
        asked = judge(running)
        graph = judged(asked)

    [smith] = named(graph, "John Smith")
    assert smith.document_ids == ("harbour", "office")
    assert smith.aliases == ("J. Smith", "John Smith")
    assert (asked.unanswered, asked.tokens) == (0, 7)
    assert "beside" in running.asked[0].user


def test_without_one_or_where_it_fails_they_stay_apart() -> None:
    without = judged(None)
    with serving(lambda _: Reply(status=503)) as running:
        away = judge(running)
        assert judged(away) == without
    with serving(lambda _: Reply("I am sorry.")) as running:
        assert judged(judge(running)) == without
    with serving(yes) as running:
        spent = judge(running, budget=Budget(1))
        assert judged(spent) == without
        assert running.asked == []

    assert away.unanswered == away.asked > 0
    assert spent.unanswered == spent.asked


def test_after_a_few_refusals_it_is_asked_no_more() -> None:
    doubts = [Doubt(f"one {number}", f"other {number}") for number in range(400)]
    with serving(lambda _: Reply(status=400)) as running:
        asked = judge(running)
        assert asked.same(doubts) == [False] * 400
        assert len(running.asked) < 10

    assert asked.unanswered == 400


def test_a_question_is_given_up_when_the_work_is() -> None:
    class Stops(NoControl):
        def check(self) -> None:
            raise LeaseLostError

    with serving(yes) as running, pytest.raises(LeaseLostError):
        Judge(running.model(), Stops()).same([Doubt("a", "b")])


@pytest.mark.parametrize(
    ("one", "other", "doubtful"),
    [
        ("siemens", "siemens energy", True),
        ("j smith", "john smith", True),
        ("who", "world health organization", True),
        ("j smith", "jane doe", False),
        ("apollo 11", "apollo 12", False),
        ("paris", "london", False),
    ],
)
def test_names_are_doubtful_that_are_part_of_each_other_or_initials(
    one: str, other: str, doubtful: bool
) -> None:
    assert list(alike({one: 1, other: 2})) == ([tuple(sorted((one, other)))] if doubtful else [])


@given(st.integers(0, 300), st.integers(0, 300))
def test_every_doubt_is_asked_about_once_and_a_new_one_changes_few_questions(
    count: int, other: int
) -> None:
    doubts = [Doubt(f"a {number}", f"b {number}") for number in range(count)]

    questions = _questions(doubts)

    assert sorted(place for each in questions for place in each) == list(range(count))
    more = _questions([*doubts, Doubt("a", f"c {other}")])
    if len(more) == len(questions):
        assert sum(each not in questions for each in more) <= 1
