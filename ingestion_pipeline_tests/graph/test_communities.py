from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import StopWorkError
from ingestion_pipeline.graph import communities as module
from ingestion_pipeline.graph.communities import communities, modularity
from ingestion_pipeline.model.graph import Community, Relation, RelationKind


def tie(one: str, other: str, weight: float = 1.0) -> Relation:
    return Relation(
        f"{one}-{other}", one, other, RelationKind.TOGETHER, "", False, weight, 1, (), ()
    )


def cliques(count: int, size: int) -> tuple[list[str], list[Relation]]:
    """Groups that all know each other, in a ring."""
    groups = [[f"{group:02}-{each:02}" for each in range(size)] for group in range(count)]
    ties = [tie(*pair) for group in groups for pair in combinations(group, 2)]
    ties += [tie(groups[place - 1][0], groups[place][1], 0.1) for place in range(count)]
    return [name for group in groups for name in group], ties


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[Relation]]:
    names = [f"e{number}" for number in range(draw(st.integers(0, 60)))]
    if len(names) < 2:
        return names, []
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=150))
    return names, [
        tie(one, other, draw(st.sampled_from([0.05, 1, 2.5])))
        for one, other in pairs
        if one != other
    ]


def assert_sound(found: Sequence[Community], names: Sequence[str]) -> None:
    by_id = {each.community_id: each for each in found}
    assert len(by_id) == len(found)
    top = [entity for each in found if each.level == 0 for entity in each.entity_ids]
    assert sorted(top) == sorted(names)
    children: dict[str, list[str]] = {}
    for each in found:
        assert each.entity_ids == tuple(sorted(each.entity_ids))
        assert (each.level == 0) == (each.parent_id is None)
        if each.parent_id is not None:
            assert by_id[each.parent_id].level < each.level
            children.setdefault(each.parent_id, []).extend(each.entity_ids)
    for parent, entities in children.items():
        assert sorted(entities) == list(by_id[parent].entity_ids)


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_every_entity_is_in_one_community_of_each_level_of_its_branch(
    graph: tuple[list[str], list[Relation]],
) -> None:
    names, relations = graph
    assert_sound(communities(names, relations, NoControl()), names)


@given(graphs(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_in_which_a_graph_comes_makes_no_difference(
    graph: tuple[list[str], list[Relation]], chance: random.Random
) -> None:
    names, relations = graph
    found = communities(names, relations, NoControl())
    chance.shuffle(names)
    chance.shuffle(relations)
    assert communities(names, relations, NoControl()) == found


def test_those_who_know_each_other_are_together() -> None:
    names, relations = cliques(8, 6)
    found = communities(names, relations, NoControl())
    finest = {
        each.entity_ids for each in found if all(each.community_id != c.parent_id for c in found)
    }
    assert finest == {tuple(names[start : start + 6]) for start in range(0, 48, 6)}
    assert modularity(found, relations) > 0.7


def test_a_large_community_is_divided_and_its_children_name_it() -> None:
    names, relations = cliques(24, 6)
    for first in range(0, len(names), 36):  # six groups that know each other a little
        for one, other in combinations(names[first : first + 36], 2):
            relations.append(tie(one, other, 0.15))
    found = communities(names, relations, NoControl())
    assert_sound(found, names)
    parents = {each.parent_id for each in found if each.parent_id}
    sizes: dict[int, set[int]] = {0: set(), 1: set()}
    for each in found:
        sizes[each.level].add(len(each.entity_ids))
    assert sizes == {0: {36}, 1: {6}}
    assert parents == {each.community_id for each in found if each.level == 0}


def test_an_entity_without_relations_is_a_community() -> None:
    names, relations = cliques(2, 3)
    found = communities([*names, "alone"], relations, NoControl())
    assert ("alone",) in {each.entity_ids for each in found}


def test_an_entity_with_one_neighbour_goes_where_that_is() -> None:
    names, relations = cliques(8, 6)
    leaves = [f"leaf-{name}" for name in names]
    relations += [tie(name, f"leaf-{name}", 0.01) for name in names]
    for each in communities([*names, *leaves], relations, NoControl()):
        members = set(each.entity_ids)
        assert all((name in members) == (f"leaf-{name}" in members) for name in names)


def test_a_component_depends_on_nothing_in_another() -> None:
    names, relations = cliques(8, 6)
    alone = communities(names, relations, NoControl())
    others, more = cliques(9, 5)
    others = [f"x{name}" for name in others]
    more = [tie(f"x{each.source}", f"x{each.target}", each.weight) for each in more]
    both = communities(names + others, relations + more, NoControl())
    assert {each.entity_ids for each in alone} <= {each.entity_ids for each in both}


def test_without_a_build_before_ids_depend_on_the_entities_alone() -> None:
    names, relations = cliques(8, 6)
    first = communities(names, relations, NoControl())
    heavier = [tie(each.source, each.target, 2 * each.weight) for each in relations]
    assert communities(names, heavier, NoControl()) == first


def test_a_community_that_gains_an_entity_keeps_its_id() -> None:
    names, relations = cliques(8, 6)
    before = communities(names, relations, NoControl())
    more = [*relations, tie("00-02", "new"), tie("00-03", "new")]
    after = communities([*names, "new"], more, NoControl(), before)
    assert_sound(after, [*names, "new"])
    assert {each.community_id for each in after} == {each.community_id for each in before}
    (grown,) = [
        each
        for each in after
        if set(each.entity_ids) >= {"00-00", "new"} and len(each.entity_ids) == 7
    ]
    assert grown.community_id in {
        each.community_id for each in before if "00-00" in each.entity_ids
    }


def test_one_entity_less_changes_few_communities() -> None:
    chance = random.Random(0)
    names = [f"{number:04}" for number in range(1200)]
    pairs = {
        tuple(
            sorted(
                (one, chance.choice(names[start : start + 12] if chance.random() < 0.8 else names))
            )
        )
        for start in range(0, 1200, 12)
        for one in names[start : start + 12]
        for _ in range(4)
    }
    relations = [
        tie(one, other, chance.uniform(0.5, 2)) for one, other in sorted(pairs) if one != other
    ]
    before = {each.entity_ids for each in communities(names, relations, NoControl())}
    gone = "0600"
    left = [each for each in relations if gone not in (each.source, each.target)]
    after = communities([each for each in names if each != gone], left, NoControl())
    assert len({each.entity_ids for each in after} - before) < 0.1 * len(before)


@given(graphs(), graphs())
@settings(max_examples=40, deadline=None)
def test_ids_are_unique_whatever_the_build_before(
    one: tuple[list[str], list[Relation]], other: tuple[list[str], list[Relation]]
) -> None:
    first = communities(*one, NoControl())
    second = communities(*other, NoControl(), first)
    assert_sound(second, other[0])
    assert_sound(communities(*one, NoControl(), second), one[0])
    assert communities(*one, NoControl(), first) == first


def test_another_process_finds_the_same_and_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    names, relations = cliques(40, 6)
    here = communities(names, relations, NoControl())
    monkeypatch.setattr(module, "_EDGES_IN_PROCESS", 0)
    assert communities(names, relations, NoControl()) == here

    class Stopped(NoControl):
        def check(self) -> None:
            raise StopWorkError

    with pytest.raises(StopWorkError):
        communities(names, relations, Stopped())


def test_a_graph_without_relations_has_no_modularity() -> None:
    found = communities(["a", "b"], [], NoControl())
    assert modularity(found, []) == 0
    assert communities([], [], NoControl()) == []
