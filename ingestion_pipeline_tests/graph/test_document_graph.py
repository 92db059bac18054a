from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline import installed
from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.graph import document_graphs
from ingestion_pipeline.model.graph import DocumentEntity, DocumentGraph, EntityType
from ingestion_pipeline_tests.graph.documents import document, read, stated, texts_of

BIOGRAPHY = (
    "Ada Lovelace was born in London in 1815. Lovelace worked with Charles Babbage.",
    "The World Health Organization (WHO) did not exist in 1852. The WHO was founded in Geneva.",
)
SENTENCES = [
    "Ada Lovelace met Charles Babbage in London.",
    "Acme Corp. of Berlin has no office in Paris.",
    "The magnetic resonance imaging (MRI) scanner was built by Siemens.\n\nMRI is loud.",
    "a | b | Geneva\n1 | 2 | Oslo",
    "Das Haus in München gehört Johann Wolfgang von Goethe.",
    "«Faust» est une pièce de Goethe.",
    "曹雪芹写了《红楼梦》。",
    "\u0000 \U0001f600 ' \" ( ) ...",
    "",
]


class Stopped(NoControl):
    """A control that stops everything."""

    def check(self) -> None:
        raise LeaseLostError


def entity(graph: DocumentGraph, alias: str) -> DocumentEntity:
    [found] = [each for each in graph.entities if alias in each.aliases]
    return found


def test_names_get_the_type_of_what_they_name() -> None:
    [graph] = read(document("ada", *BIOGRAPHY))

    assert entity(graph, "Ada Lovelace").type is EntityType.PERSON
    assert entity(graph, "London").type is EntityType.PLACE
    assert entity(graph, "1815").type is EntityType.DATE
    assert entity(graph, "World Health Organization").type is EntityType.ORGANIZATION


def test_a_last_name_and_an_abbreviation_are_of_what_they_are_short_for() -> None:
    [graph] = read(document("ada", *BIOGRAPHY))

    assert entity(graph, "Lovelace") is entity(graph, "Ada Lovelace")
    assert entity(graph, "WHO") is entity(graph, "World Health Organization")
    assert ("who", "world health organization") in graph.abbreviations


def test_a_last_name_of_two_people_is_of_neither() -> None:
    text = "Ann Smith met Bob Smith. Then Smith left."

    [graph] = read(document("smiths", text))

    assert entity(graph, "Smith").aliases == ("Smith",)


def test_father_and_son_stay_two() -> None:
    [graph] = read(document("desmarais", "Paul Desmarais Jr. succeeded Paul Desmarais."))

    assert len([each for each in graph.entities if each.type is EntityType.PERSON]) == 2


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("Ada Lovelace met Bob Dylan.", ("ada lovelace", "meet", "bob dylan", False)),
        ("Ada Lovelace never met Bob Dylan.", ("ada lovelace", "meet", "bob dylan", True)),
        ("Aspirin fails to inhibit COX-2 in mice.", ("aspirin", "inhibit", "cox 2", True)),
        ("Acme Corp. has no office in Paris.", ("acme", "have", "office", True)),
        (
            "The film was directed by John Smith.",
            ("john smith", "direct", "film", False),
        ),
        (
            "The film, which was directed by John Smith, won an Oscar.",
            ("john smith", "direct", "film", False),
        ),
        ("John Smith lives in Berlin.", ("john smith", "live in", "berlin", False)),
        (
            "John Smith, a diplomat from Canada, left.",
            ("diplomat", "from", "canada", False),
        ),
        (
            "David Bowie, the brother of Ann Lee, sang.",
            ("david bowie", "be", "brother", False),
        ),
    ],
)
def test_sentences_state_relations(text: str, relation: tuple[str, str, str, bool]) -> None:
    [graph] = read(document("d", text))

    assert relation in stated(graph)


def test_what_a_title_names_is_found_as_one_thing() -> None:
    text = "In the comedy Kiss and Tell, Shirley Temple plays Corliss Archer."

    [graph] = read(document("film", text, title="Kiss and Tell (1945 film)"))

    assert entity(graph, "Kiss and Tell").key == "kiss and tell"


def test_other_languages_are_read_by_their_spelling() -> None:
    text = "Die Stadt liegt am Main. Dort schrieb Johann Wolfgang von Goethe „Faust“."

    [graph] = read(document("goethe", text, language="de"))

    assert entity(graph, "Johann Wolfgang von Goethe").type is EntityType.OTHER
    assert entity(graph, "Faust").type is EntityType.OTHER
    assert entity(graph, "Main").type is EntityType.CONCEPT


def test_without_a_parser_english_is_read_by_its_spelling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installed, "reads_english", lambda: False)

    [graph] = read(document("ada", *BIOGRAPHY))

    assert entity(graph, "Charles Babbage").type is EntityType.OTHER
    assert graph.relations == ()


def test_a_document_is_read_the_same_beside_any_other() -> None:
    ada, other = document("ada", *BIOGRAPHY), document("other", *SENTENCES, title="Lovelace")

    together = read(other, ada, other)

    assert together[1] == read(ada)[0]
    assert together[0] == together[2] == read(other)[0]


def test_reading_stops_when_it_must() -> None:
    with pytest.raises(LeaseLostError):
        list(document_graphs([document("ada", *BIOGRAPHY)], Stopped()))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(SENTENCES), max_size=4).map(" ".join), max_size=3),
    st.sampled_from(["en", "de", "zh"]),
    st.sampled_from([None, "Main", "Ada Lovelace", "MRI scanner"]),
)
def test_mentions_and_evidence_stand_where_they_say(
    texts: list[str], language: str, title: str | None
) -> None:
    material = document("d", *texts, title=title, language=language)
    by_id = texts_of(material)

    [graph] = read(material)

    for each in graph.entities:
        assert each.key
        for mention in each.mentions:
            sentence = graph.sentences[mention.sentence]
            assert sentence.start <= mention.start < mention.end <= sentence.end
            written = by_id[sentence.chunk_id][mention.start : mention.end]
            assert " ".join(written.split()) in each.aliases
    for relation in graph.relations:
        assert relation.source != relation.target
        for place in relation.sentences:
            for end in (relation.source, relation.target):
                assert place in {mention.sentence for mention in graph.entities[end].mentions}
    assert len({each.key for each in graph.entities}) == len(graph.entities)


def test_a_text_of_any_length_is_read() -> None:
    text = "Ada Lovelace met Charles Babbage. " * 400

    [graph] = read(document("long", text))

    assert len(entity(graph, "Ada Lovelace").mentions) == 400


def test_chunks_of_a_document_are_read_in_their_order() -> None:
    material = document("d", *(f"Ada Lovelace wrote letter {place}." for place in range(70)))

    [graph] = read(material)

    assert [sentence.chunk_id for sentence in graph.sentences] == [
        chunk.chunk_id for chunk in material.chunks
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Requests go to Acme Corp. | self-service portal | Monday\nLeave | the portal | Friday",
        "- **Travel policy** is kept by the *Finance Team*.\n* Annual report of Acme Corp.",
        "# Annual report of Acme Corp.\n> Acme Corp. | Berlin\n\u2022 Office hours \u2022 Munich",
    ],
)
def test_marks_of_tables_and_lists_are_no_part_of_names(text: str) -> None:
    [graph] = read(document("d", text))

    written = [alias for entity in graph.entities for alias in entity.aliases]
    assert written
    assert not any(mark in alias for alias in written for mark in "|*#>\u2022")


def test_nothing_is_stated_from_one_cell_to_another() -> None:
    [graph] = read(document("d", "Ada Lovelace | met Bob Dylan | in Paris"))

    assert {entity.key for entity in graph.entities} >= {"ada lovelace", "bob dylan", "paris"}
    assert stated(graph) == set()
