from __future__ import annotations

import pytest

from ingestion_pipeline.model.graph import DifferentEntities, EntityType, Homonym, SameEntity
from ingestion_pipeline_tests.graph.documents import document, named, whole

BORN = document("born", "Ada Lovelace was born in London.")
WORKED = document("worked", "Ada Lovelace worked with Charles Babbage in Cambridge.")
LONG = document("long", "The World Health Organization (WHO) is in Geneva.")
SHORT = document("short", "In May, experts of the WHO met in Oslo.")


def test_a_name_means_the_same_in_all_documents() -> None:
    graph = whole(BORN, WORKED)

    [ada] = named(graph, "Ada Lovelace")
    assert ada.document_ids == ("born", "worked")
    assert ada.chunk_ids == ("born#0", "worked#0")
    assert ada.mentions == 2
    assert ada.type is EntityType.PERSON


def test_an_abbreviation_means_what_another_document_says() -> None:
    [who] = named(whole(LONG, SHORT), "WHO")

    assert who.name == "World Health Organization"
    assert who.document_ids == ("long", "short")


def test_an_abbreviation_of_two_things_is_of_neither_where_nothing_is_said() -> None:
    other = document("other", "The Western Harbour Office (WHO) is in Bergen.")

    graph = whole(LONG, SHORT, other)

    assert len({entity.entity_id for entity in named(graph, "WHO")}) == 3


def test_names_that_differ_in_accents_or_blanks_are_one() -> None:
    one = document("one", "J.R.R. Tolkien lived in Oxford with Beyoncé Knowles.")
    other = document("other", "J. R. R. Tolkien lived in Leeds with Beyonce Knowles.")

    graph = whole(one, other)

    for name in ("J.R.R. Tolkien", "Beyoncé Knowles"):
        [entity] = named(graph, name)
        assert entity.document_ids == ("one", "other")


def test_a_misspelled_name_is_that_name() -> None:
    graph = whole(BORN, document("typo", "Ada Lovelaca was born in Paris."))

    assert named(graph, "Ada Lovelaca") == named(graph, "Ada Lovelace")


@pytest.mark.parametrize(
    "text",
    [
        "Henry VII was followed by Henry VIII.",
        "Apollo Mission 11 came before Apollo Mission 12.",
        "Maria Anderson met Mario Anderson.",
    ],
)
def test_names_that_one_document_tells_apart_or_that_differ_in_numbers_stay_apart(
    text: str,
) -> None:
    graph = whole(document("d", text))

    names = [entity.key for entity in graph.entities]
    assert len(names) == len(set(names))
    assert not any(len(entity.aliases) > 1 for entity in graph.entities)


def test_a_persons_word_that_two_names_are_one_goes_before_the_rules() -> None:
    same = SameEntity("Ada Lovelace", "Lady Augusta King")
    other = document("other", "Lady Augusta King lived in England.")

    graph = whole(BORN, other, corrections=(same,))

    assert named(graph, "Ada Lovelace")[0].document_ids == ("born", "other")
    assert {each.document_ids for each in named(whole(BORN, other), "Ada Lovelace")} == {("born",)}


def test_a_persons_word_that_two_names_are_different_goes_before_the_rules() -> None:
    other = document("other", "Ada Lovelaca was born in Paris.")
    apart = DifferentEntities("Ada Lovelaca", "Ada Lovelace")

    graph = whole(BORN, other, corrections=(apart,))

    assert named(graph, "Ada Lovelaca") != named(graph, "Ada Lovelace")


def test_a_persons_word_that_a_name_is_of_somebody_else_in_some_documents_is_kept() -> None:
    namesake = Homonym("Ada Lovelace", ("worked",), "Ada Lovelace (engineer)")

    before = whole(BORN, WORKED, corrections=(namesake,))
    after = whole(BORN, WORKED, LONG, corrections=(namesake,))

    for graph in (before, after):
        assert {each.document_ids for each in named(graph, "Ada Lovelace")} == {
            ("born",),
            ("worked",),
        }
        assert named(graph, "Ada Lovelace (engineer)")[0].name == "Ada Lovelace (engineer)"


def test_corrections_of_names_that_nobody_mentions_do_nothing() -> None:
    corrections = (
        SameEntity("Nobody", "Ada Lovelace"),
        DifferentEntities("Nobody", "No one"),
        Homonym("Nobody", ("born", "gone"), "Somebody"),
    )

    assert whole(BORN, WORKED, corrections=corrections) == whole(BORN, WORKED)
