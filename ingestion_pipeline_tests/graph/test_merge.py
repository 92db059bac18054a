from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import RootModel

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.graph import Material, document_graphs, known_names, linked, merged
from ingestion_pipeline.graph.merge import EVIDENCE
from ingestion_pipeline.model.graph import (
    DocumentGraph,
    EntityType,
    Homonym,
    KnowledgeGraph,
    RelationKind,
    SameEntity,
)
from ingestion_pipeline_tests.graph.documents import (
    COLLECTION,
    document,
    named,
    read,
    texts_of,
    whole,
)

TITLED = {
    "kiss": ("Kiss and Tell", "Kiss and Tell is a comedy starring Shirley Temple."),
    "temple": ("Shirley Temple", "Shirley Temple was an actress. Temple played in Kiss and Tell."),
    "who": (None, "The World Health Organization (WHO) is in Geneva. It fights malaria."),
    "oslo": ("Oslo", "The WHO met in Oslo. Malaria was discussed. Ada Lovelace spoke."),
    "ada": ("Ada Lovelace", "Ada Lovelace did not meet Shirley Temple. Lovelace met Babbage."),
    "typo": (None, "Ada Lovelaca met Shirley Temple in Geneva in 1999, without malaria."),
}
EDITED = "Shirley Temple met Ada Lovelace in Oslo. Kiss and Tell is about malaria."
MATERIALS = [document(name, text, title=title) for name, (title, text) in TITLED.items()]
GRAPHS = {
    (material.document_id, edited): graph
    for edited, group in (
        (False, MATERIALS),
        (True, [document(each.document_id, EDITED, title=each.title) for each in MATERIALS]),
    )
    for material, graph in zip(group, read(*group), strict=True)
}
TEXTS = {False: texts_of(*MATERIALS), True: {f"{name}#0": EDITED for name in TITLED}}
CORRECTIONS = (
    SameEntity("Ada Lovelace", "Augusta King"),
    Homonym("Shirley Temple", ("typo",), "Shirley Temple (namesake)"),
)


def built(documents: dict[str, bool]) -> KnowledgeGraph:
    """The graph of some of the documents, of which some are edited."""
    graphs = [(GRAPHS[each], TEXTS[each[1]]) for each in documents.items()]
    names = known_names(graph for graph, _ in graphs)
    links = [linked(graph, texts, names) for graph, texts in graphs]
    return merged(COLLECTION, links, NoControl(), CORRECTIONS)


def as_bytes(graph: KnowledgeGraph) -> bytes:
    return RootModel[KnowledgeGraph](graph).model_dump_json().encode()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(TITLED)), st.sampled_from(["add", "edit", "delete"])),
        max_size=12,
    )
)
def test_any_sequence_of_changes_gives_what_a_clean_build_gives(
    changes: list[tuple[str, str]],
) -> None:
    documents: dict[str, bool] = {}
    for name, change in changes:
        documents.pop(name, None)
        if change != "delete":
            documents[name] = change == "edit"

    assert as_bytes(built(documents)) == as_bytes(built(dict(sorted(documents.items()))))


@given(st.permutations(sorted(TITLED)))
def test_the_order_of_documents_makes_no_difference(order: list[str]) -> None:
    assert built(dict.fromkeys(order, False)) == built(dict.fromkeys(TITLED, False))


@pytest.mark.parametrize("gone", TITLED)
def test_without_a_document_what_it_alone_supports_is_gone_and_nothing_else(gone: str) -> None:
    everything = built(dict.fromkeys(TITLED, False))
    left = built({name: False for name in TITLED if name != gone})

    assert all(gone not in each.document_ids + each.titles for each in left.entities)
    assert all(gone not in each.document_ids for each in left.relations)
    written = {alias for each in left.entities for alias in each.aliases}
    for entity in everything.entities:
        if entity.type is EntityType.PERSON and set(entity.document_ids) - {gone}:
            assert written.intersection(entity.aliases)


def test_a_title_in_another_text_leads_to_the_document_that_bears_it() -> None:
    [film] = named(built(dict.fromkeys(TITLED, False)), "Kiss and Tell")

    assert film.titles == ("kiss",)
    assert film.document_ids == ("kiss", "temple")


def test_a_title_that_no_parser_would_see_is_found_in_other_documents() -> None:
    act = document("act", "It regulates trees.", title="Care of Old Orchards")
    use = document("use", "Growers follow the care of old orchards since 1999.")

    [entity] = named(whole(act, use), "care of old orchards")

    assert entity.titles == ("act",)
    assert entity.document_ids == ("use",)


def test_the_person_a_document_is_about_bears_its_title_too() -> None:
    about = document(
        "about", "Jane Eileen Smith was born in London.", title="Jane Smith (politician)"
    )
    other = document("other", "Bob Dylan met Jane Smith.")

    [person] = named(whole(about, other), "Jane Smith")

    assert person.titles == ("about",)
    assert person.document_ids == ("about", "other")


def test_a_place_bears_the_title_that_says_where_it_is() -> None:
    graph = whole(document("place", "Orleans is a suburb of Ottawa.", title="Orleans, Ontario"))

    assert named(graph, "Orleans")[0].titles == ("place",)


def test_all_relations_have_evidence_that_names_both() -> None:
    graph = built(dict.fromkeys(TITLED, False))
    entities = {each.entity_id: each for each in graph.entities}

    assert {each.kind for each in graph.relations} == set(RelationKind)
    for relation in graph.relations:
        assert relation.source != relation.target
        assert relation.weight > 0
        assert relation.count >= len(relation.evidence) > 0
        for cited in relation.evidence:
            sentence = TEXTS[False][cited.chunk_id][cited.start : cited.end]
            for end in (relation.source, relation.target):
                assert any(alias in sentence for alias in entities[end].aliases)


def test_what_is_denied_is_kept_apart_from_what_is_said() -> None:
    said = document("said", "Ada Lovelace met Shirley Temple.")
    denied = document("denied", "Ada Lovelace did not meet Shirley Temple.")

    met = [each for each in whole(said, denied).relations if each.predicate == "meet"]

    assert {(each.negated, each.document_ids) for each in met} == {
        (False, ("said",)),
        (True, ("denied",)),
    }


def test_evidence_is_bounded_and_comes_from_many_documents() -> None:
    many = [document(f"d{place:02}", "Ada Lovelace met Bob Dylan. " * 3) for place in range(12)]

    [met] = [each for each in whole(*many).relations if each.kind is RelationKind.STATED]

    assert met.count == 36
    assert len(met.document_ids) == 12
    assert len({each.chunk_id for each in met.evidence}) == len(met.evidence) == EVIDENCE


def test_a_phrase_without_a_name_of_its_own_is_an_entity_if_it_comes_again_or_is_explained() -> (
    None
):
    once = document("once", "Growers fear apple canker.")
    again = document("again", "There is apple canker in Kent.")
    titled = document("titled", "It kills trees.", title="Apple canker")

    assert named(whole(once), "apple canker") == []
    assert named(whole(once, again), "apple canker")
    assert named(whole(once, titled), "apple canker")


def test_what_is_everywhere_has_weaker_ties_than_what_is_seldom() -> None:
    texts = [f"Ada Lovelace wrote to Person{name} Miller." for name in "abcdefgh"]
    graph = whole(document("d", *texts, "Ada Lovelace met Bob Dylan. Bob Dylan met Joan Baez."))
    ids = {alias: each.entity_id for each in graph.entities for alias in each.aliases}
    ties = {
        frozenset((each.source, each.target)): each.weight
        for each in graph.relations
        if each.kind is RelationKind.TOGETHER
    }

    bob = ids["Bob Dylan"]
    assert ties[frozenset((bob, ids["Joan Baez"]))] > ties[frozenset((bob, ids["Ada Lovelace"]))]
    assert max(graph.entities, key=lambda each: each.rank).name == "Ada Lovelace"


def test_every_entity_of_a_document_is_resolved_or_said_to_be_none() -> None:
    graph = built(dict.fromkeys(TITLED, False))
    ids = {each.entity_id for each in graph.entities}

    assert set(graph.resolved) == set(TITLED)
    for name, keys in graph.resolved.items():
        assert len(keys) >= len(GRAPHS[name, False].entities)
        assert set(keys) <= ids | {None}


def test_ids_tell_collections_apart() -> None:
    graphs = [GRAPHS["ada", False]]

    one = merged("one", graphs, NoControl())
    other = merged("other", graphs, NoControl())

    assert {each.entity_id for each in one.entities}.isdisjoint(
        each.entity_id for each in other.entities
    )


def test_nothing_makes_an_empty_graph() -> None:
    assert merged(COLLECTION, [], NoControl()) == KnowledgeGraph()
    assert list(document_graphs([], NoControl())) == []
    empty = Material("empty", [])
    assert whole(empty) == KnowledgeGraph(resolved={"empty": ()})


def test_graphs_of_documents_survive_being_written_as_json() -> None:
    for graph in GRAPHS.values():
        written = RootModel[DocumentGraph](graph).model_dump_json()
        assert RootModel[DocumentGraph].model_validate_json(written).root == graph
