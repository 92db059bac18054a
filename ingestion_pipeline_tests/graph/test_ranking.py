from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.graph.ranking import KnownNames, PassageGraph, passage_graph, rank
from ingestion_pipeline.model.graph import Entity, EntityType, entity_id

DOCUMENTS = {"author#1": "author", "novel#1": "novel", "town#1": "town", "sea#1": "sea"}


def entity(name: str, chunk_ids: tuple[str, ...] = (), titles: tuple[str, ...] = ()) -> Entity:
    key = name.casefold()
    return Entity(
        entity_id=entity_id("tests", EntityType.OTHER, key),
        key=key,
        name=name,
        type=EntityType.OTHER,
        aliases=(name,),
        mentions=len(chunk_ids),
        document_ids=(),
        chunk_ids=chunk_ids,
        titles=titles,
    )


NOVEL = entity("The Grey Harbour", ("author#1",), ("novel",))
AUTHOR = entity("Ada Example", ("novel#1",), ("author",))
TOWN = entity("Port Sample", ("author#1",), ("town",))
SEA = entity("Sea", (), ("sea",))
COLLECTION = (NOVEL, AUTHOR, TOWN, SEA)


@pytest.fixture
def graph() -> PassageGraph:
    return passage_graph(COLLECTION, DOCUMENTS)


def ids(ranking: list[tuple[str, float]]) -> list[str]:
    return [chunk_id for chunk_id, _ in ranking]


def test_a_passage_that_the_best_one_names_is_found_though_no_search_found_it(
    graph: PassageGraph,
) -> None:
    ranking = rank(graph, [NOVEL.entity_id], [("novel#1", 0.9), ("sea#1", 0.4)], 10)
    assert ids(ranking)[:2] == ["novel#1", "author#1"]
    assert "town#1" in ids(ranking)


def test_what_the_question_names_is_found_though_no_search_found_it(graph: PassageGraph) -> None:
    found = [("sea#1", 1.0), ("novel#1", 0.5)]
    assert set(ids(rank(graph, [TOWN.entity_id], found, 2))) == {"town#1", "sea#1"}


def test_scores_are_shares_of_the_best(graph: PassageGraph) -> None:
    scores = [score for _, score in rank(graph, [], [("novel#1", 0.9), ("sea#1", 0.8)], 10)]
    assert scores[0] == 1
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


def test_no_more_than_the_limit_come_back(graph: PassageGraph) -> None:
    assert len(rank(graph, [NOVEL.entity_id], [("novel#1", 1.0)], 1)) == 1


def test_nothing_comes_of_nothing(graph: PassageGraph) -> None:
    assert rank(graph, [], [], 10) == []
    assert rank(passage_graph([], {}), ["unknown"], [], 10) == []


def test_where_nothing_links_the_order_stays(graph: PassageGraph) -> None:
    empty = passage_graph([], DOCUMENTS)
    found = [("town#1", 0.9), ("sea#1", 0.7), ("novel#1", 0.2)]
    assert ids(rank(empty, [], found, 10)) == ["town#1", "sea#1", "novel#1"]
    assert not empty.leads_on([], found)


def test_passages_published_after_the_graph_was_made_keep_their_place(graph: PassageGraph) -> None:
    found = [("new", 1.0), ("sea#1", 0.9), ("newer", 0.8)]
    ranking = rank(graph, ["unknown"], found, 10)
    assert ids(ranking) == ["new", "sea#1", "newer"]


def test_a_link_to_a_long_document_leads_to_where_the_question_is_answered() -> None:
    documents = {f"novel#{part}": "novel" for part in range(20)} | {"author#1": "author"}
    graph = passage_graph([NOVEL], documents)
    ranking = rank(graph, [NOVEL.entity_id], [("author#1", 1.0), ("novel#7", 0.3)], 30)
    assert next(each for each in ids(ranking) if each.startswith("novel")) == "novel#7"


def test_a_graph_leads_on_from_a_question_or_from_what_was_found(graph: PassageGraph) -> None:
    assert graph.leads_on([TOWN.entity_id], [])
    assert graph.leads_on([], [("novel#1", 1.0)])
    assert not graph.leads_on([], [("sea#1", 1.0)])
    assert not graph.leads_on(["unknown"], [("unknown", 1.0)])


def test_a_word_that_everything_names_leads_nowhere() -> None:
    documents = {f"c{number}": f"d{number}" for number in range(40)}
    word = entity("Summary", tuple(documents), ("d3",))
    graph = passage_graph([word], documents)
    assert not graph.leads_on([word.entity_id], [("c1", 1.0)])
    assert ids(rank(graph, [word.entity_id], [("c1", 1.0)], 1)) == ["c1"]


def test_an_entity_that_no_document_is_about_leads_to_those_that_name_it() -> None:
    graph = passage_graph([entity("Ada Example", ("novel#1", "sea#1"))], DOCUMENTS)
    [named] = graph.entities
    assert set(ids(rank(graph, [named], [("town#1", 1.0)], 10))) == {"town#1", "novel#1", "sea#1"}
    assert not graph.leads_on([named], [])


def test_names_of_several_entities_mean_each_of_them() -> None:
    one, other = entity("Robert Young (actor)"), entity("Robert Young (painter)")
    names = KnownNames([one, other, NOVEL])
    assert names.entities("When was Robert Young born?") == sorted([one.entity_id, other.entity_id])
    assert names.entities("Who wrote The Grey Harbour?") == [NOVEL.entity_id]
    assert names.entities("Who wrote it?") == []


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 14), max_size=5), st.sets(st.integers(0, 9), max_size=2)),
        max_size=12,
    ),
    st.lists(st.tuples(st.integers(0, 19), st.floats(0, 1)), max_size=8, unique_by=lambda x: x[0]),
    st.sets(st.integers(0, 14), max_size=4),
    st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None)
def test_a_ranking_has_all_that_was_found_and_depends_on_no_order(
    drawn: list[tuple[set[int], set[int]]],
    found: list[tuple[int, float]],
    asked: set[int],
    chance: random.Random,
) -> None:
    documents = {f"c{number:02}": f"d{number % 10}" for number in range(15)}
    entities = [
        entity(
            f"name {place}",
            tuple(f"c{number:02}" for number in sorted(named)),
            tuple(f"d{number}" for number in sorted(about)),
        )
        for place, (named, about) in enumerate(drawn)
    ]
    hits = [(f"c{number:02}", score) for number, score in found]
    named = [entities[place].entity_id for place in sorted(asked) if place < len(entities)]
    ranking = rank(passage_graph(entities, documents), named, hits, 100)
    assert len(set(ids(ranking))) == len(ranking)
    best = max((score for _, score in hits), default=0)
    assert {each for each, score in hits if score > 0.1 * best} <= set(ids(ranking))
    assert [score for _, score in ranking] == sorted((s for _, s in ranking), reverse=True)
    chance.shuffle(entities)
    chance.shuffle(hits)
    chance.shuffle(named)
    shuffled = dict(chance.sample(sorted(documents.items()), len(documents)))
    assert rank(passage_graph(entities, shuffled), named, hits, 100) == ranking


def test_ten_thousand_passages_are_ranked_while_one_waits() -> None:
    chance = random.Random(0)
    documents = {f"c{number:05}": f"d{number // 3}" for number in range(10_000)}
    chunk_ids = list(documents)
    entities = [
        entity(
            f"name {number}",
            tuple(chance.sample(chunk_ids, 5)),
            (f"d{number}",) if number < 3_000 else (),
        )
        for number in range(20_000)
    ]
    graph = passage_graph(entities, documents)
    found = [(chunk_id, chance.random()) for chunk_id in chance.sample(chunk_ids, 100)]
    started = time.process_time()
    for number in range(10):
        rank(graph, [entities[number].entity_id], found, 100)
    assert (time.process_time() - started) / 10 < 0.05
