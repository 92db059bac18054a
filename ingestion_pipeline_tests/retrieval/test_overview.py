"""Questions for an overview: how they are told, and which reports answer them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.indexing import FoundReport
from ingestion_pipeline.model.graph import Community
from ingestion_pipeline.retrieval.overview import KEPT, Overview, Scope, scope
from ingestion_pipeline_tests.retrieval.samples import report


@pytest.mark.parametrize(
    "question",
    [
        "What are the main themes in these documents?",
        "Give an overview of the collection",
        "SUMMARISE the articles!",
        "Which topics are covered?",
        "What are the key findings?",
        "What is this collection about?",
        "What are these texts all about?",
        "Can you outline the main points of the reports?",
        "tl;dr",
    ],
)
def test_who_asks_for_an_overview_and_names_nothing_asks_about_all(question: str) -> None:
    assert scope(question) is Scope.ALL


@pytest.mark.parametrize(
    "question",
    [
        "Give me an overview of melanoma treatment.",
        "Summarize how refunds are approved",
        "What is the Titanic about?",
        "What are the main themes of Grey Harbour?",
    ],
)
def test_who_names_something_asks_for_an_overview_of_that(question: str) -> None:
    assert scope(question) is Scope.TOPIC


@pytest.mark.parametrize(
    "question",
    [
        "Who wrote Grey Harbour?",
        "What are the main risk factors of basal cell carcinoma?",
        "What is the purpose of the theme park in Orlando?",
        "Which issue of the magazine had the interview?",
        "documents",
        "",
    ],
)
def test_other_questions_are_about_something(question: str) -> None:
    assert scope(question) is Scope.SOMETHING


def community(name: str, level: int = 0, parent: str | None = None) -> Community:
    return Community(name, level, parent, (name,))


def names(found: list[FoundReport]) -> list[str]:
    return [each.report.community_id for each in found]


TREE = [
    community("sea"),
    community("land"),
    community("ships", 1, "sea"),
    community("ports", 1, "sea"),
    community("ferries", 2, "ships"),
]


def test_all_is_answered_by_the_coarsest_communities_the_highest_rating_first() -> None:
    reports = [
        report("sea", "c", rating=2),
        report("land", "c", rating=9),
        report("ships", "c", rating=10),
        report("quoteless", rating=10),
    ]
    known = Overview([*TREE, community("quoteless")], reports)
    assert names(known.of_all()) == ["land", "sea"]
    many = [report(f"{each:03}", "c", rating=each / 100) for each in range(2 * KEPT)]
    assert len(Overview([], many).of_all()) == KEPT


def test_a_topic_is_answered_by_coarse_reports_and_by_none_of_a_part_of_another() -> None:
    near = {"ferries": 0.9, "ships": 0.8, "land": 0.75, "ports": 0.74, "sea": 0.1}
    found = [FoundReport(report(name, "c"), score) for name, score in near.items()]
    assert names(Overview(TREE, []).of_topic(found)) == ["land", "ships", "ports"]
    assert names(Overview(TREE, []).of_topic([])) == []


@given(st.permutations([each.community_id for each in TREE]), st.data())
def test_reports_that_are_shown_together_are_of_different_communities(
    order: list[str], data: st.DataObject
) -> None:
    scores = data.draw(st.lists(st.floats(-1, 1), min_size=len(order), max_size=len(order)))
    found = [
        FoundReport(report(name, "c"), score) for name, score in zip(order, scores, strict=True)
    ]
    shown = names(Overview(TREE, []).of_topic(found))
    parents = {each.community_id: each.parent_id for each in TREE}
    for name in shown:
        above = parents[name]
        while above is not None:
            assert above not in shown
            above = parents[above]
    assert len(set(shown)) == len(shown)
    assert bool(shown) == bool(found) or max(scores) < 0
