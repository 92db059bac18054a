from __future__ import annotations

from dataclasses import replace

from ingestion_pipeline.graph import Material, known_names, linked
from ingestion_pipeline.model.graph import DocumentGraph, EntityType
from ingestion_pipeline_tests.graph.documents import document, read, stated, texts_of


def links(material: Material, *others: Material) -> tuple[DocumentGraph, DocumentGraph]:
    """The graph of a document without and with what it names of others."""
    graphs = read(material, *others)
    return graphs[0], linked(graphs[0], texts_of(material), known_names(graphs))


def keys(graph: DocumentGraph) -> set[str]:
    return {entity.key for entity in graph.entities if entity.mentions}


def test_a_known_name_takes_the_place_of_the_names_within_it() -> None:
    text = document("text", "John Smith directed Berlin and Bob Dylan in 1999.")
    film = document("film", "It is long.", title="Berlin and Bob Dylan")

    before, after = links(text, film)

    assert {"berlin", "bob dylan"} <= keys(before)
    assert keys(after) == keys(before) - {"berlin", "bob dylan"} | {"berlin and bob dylan"}
    assert ("john smith", "direct", "berlin and bob dylan", False) in stated(after)
    assert [each.key for each in after.entities[: len(before.entities)]] == [
        each.key for each in before.entities
    ]


def test_a_known_name_does_not_break_a_longer_one() -> None:
    text = document("text", "He works at New York University.")
    place = document("place", "It is large.", title="New York")

    before, after = links(text, place)

    assert after == before


def test_a_known_name_takes_the_place_of_a_phrase_around_it() -> None:
    text = document("text", "Growers fear severe apple canker outbreaks.")
    disease = document("disease", "It kills trees.", title="Apple canker")

    _, after = links(text, disease)

    [entity] = [each for each in after.entities if each.key == "apple canker"]
    assert entity.type is EntityType.OTHER
    assert entity.aliases == ("apple canker",)


def test_a_document_that_names_no_other_stays_as_it_is() -> None:
    before, after = links(document("text", "Ada Lovelace met Bob Dylan."), document("other", "Hm."))

    assert after is before


def test_headings_that_many_documents_have_are_no_names() -> None:
    text = document("text", "The list of tables is in the annex.")
    [graph] = read(text)
    chunk = replace(text.chunks[0], heading_path=("List of tables",))
    others = [Material(f"d{place}", [chunk]) for place in range(4)]

    many = known_names(read(*others))
    few = known_names(read(*others[:2]))

    assert linked(graph, texts_of(text), many) is graph
    assert "list of tables" in keys(linked(graph, texts_of(text), few))
