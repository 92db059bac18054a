from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.graph import Material
from ingestion_pipeline.graph.homonyms import homonyms
from ingestion_pipeline.model.graph import Homonym, SameEntity
from ingestion_pipeline_tests.graph.documents import document, named, read, whole

PITCHER = document(
    "pitcher",
    "John Smith is a pitcher for the Boston Red Sox. Smith threw two shutouts in the World Series "
    "at Fenway Park, and the Red Sox won the pennant.",
)
COACH = document(
    "coach",
    "The Boston Red Sox hired John Smith as a coach. Smith teaches young pitchers in Florida.",
)
CHEMIST = document(
    "chemist",
    "John Smith is a chemist at the University of Cambridge. Smith studies the synthesis of "
    "polymers and was awarded the Davy Medal by the Royal Society.",
)
PASSING = document("passing", "The University of Cambridge gave a dinner for John Smith.")
PLANET = document(
    "planet",
    "Mercury has no moons. The orbit of Mercury was explained by Albert Einstein.",
    title="Mercury (planet)",
)
METAL = document(
    "metal",
    "Mercury is liquid. Daniel Fahrenheit used Mercury in his thermometers.",
    title="Mercury (element)",
)


def found(*materials: Material, alike: float = 0.0) -> list[Homonym]:
    """The homonyms of documents, all pairs of which are equally alike."""
    count = len(materials)
    gram = np.full((count, count), alike) + np.eye(count) * (1 - alike)
    rows = np.linalg.cholesky(gram).astype(np.float32)
    vectors = {
        chunk.chunk_id: row
        for material, row in zip(materials, rows, strict=True)
        for chunk in material.chunks
    }
    graphs = {graph.document_id: graph for graph in read(*materials)}
    return list(homonyms(dict(sorted(graphs.items())), vectors, NoControl()))


def test_people_of_whom_documents_have_nothing_in_common_are_different() -> None:
    graph = whole(PITCHER, COACH, CHEMIST, PASSING, unlike=True)

    smiths = {entity.name: entity.document_ids for entity in named(graph, "John Smith")}
    assert smiths == {
        "John Smith": ("coach", "pitcher"),
        "John Smith (University of Cambridge)": ("chemist", "passing"),
    }


def test_people_whose_documents_are_alike_or_name_the_same_others_are_one() -> None:
    assert found(PITCHER, COACH) == []
    assert found(PITCHER, CHEMIST, alike=0.6) == []
    assert len(found(PITCHER, CHEMIST, alike=0.5)) == 1


def test_documents_that_say_too_little_prove_nothing() -> None:
    born = document("born", "Ada Lovelace was born in London.")
    worked = document("worked", "Ada Lovelace worked with Charles Babbage in Cambridge.")

    assert found(born, worked) == []


def test_a_place_of_different_stories_is_one_place() -> None:
    museum = document(
        "museum", "London has a museum of ships. Its keeper, Ann Hall, came to London from Kent."
    )
    railway = document(
        "railway", "Trains from London to Bristol are slow. Brunel built the line from London."
    )

    assert found(museum, railway) == []


def test_titles_tell_their_names_apart() -> None:
    [homonym] = found(PLANET, METAL, alike=0.9)

    assert homonym == Homonym("Mercury", ("planet",), "Mercury (planet)")
    graph = whole(PLANET, METAL)
    assert {entity.titles for entity in named(graph, "Mercury")} == {("planet",), ("metal",)}


@pytest.mark.parametrize("title", ["Mercury (2)", "Mercury (final draft)", "Mercury"])
def test_versions_of_a_title_do_not(title: str) -> None:
    other = document("planet", PLANET.chunks[0].text, title=title)

    assert found(other, METAL, alike=0.9) == []


def test_a_person_may_say_that_they_are_one_all_the_same() -> None:
    called = named(whole(PITCHER, COACH, CHEMIST, unlike=True), "John Smith")
    same = SameEntity(*(entity.name for entity in called))

    graph = whole(PITCHER, COACH, CHEMIST, corrections=(same,), unlike=True)
    [smith] = named(graph, "John Smith")

    assert len(called) == 2
    assert smith.document_ids == ("chemist", "coach", "pitcher")


@settings(max_examples=20, deadline=None)
@given(st.permutations([PITCHER, COACH, CHEMIST, PASSING, PLANET, METAL]))
def test_the_order_of_documents_makes_no_difference(materials: list[Material]) -> None:
    some = whole(PITCHER, COACH, CHEMIST, PASSING, PLANET, METAL, unlike=True)

    assert whole(*materials, unlike=True) == some


def test_without_vectors_only_titles_tell_names_apart() -> None:
    assert len(named(whole(PITCHER, CHEMIST), "John Smith")) == 1
