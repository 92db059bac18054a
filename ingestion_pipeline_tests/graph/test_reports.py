from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.graph.reports import (
    FEWEST,
    MOST,
    PROMPT,
    TOP,
    Material,
    Sentence,
    quoted,
    reports,
    sentences,
)
from ingestion_pipeline.model.graph import (
    Community,
    DocumentEntity,
    DocumentGraph,
    Entity,
    EntityType,
    ExtractionMethod,
    KnowledgeGraph,
    Mention,
    Relation,
    RelationKind,
    Report,
)
from ingestion_pipeline.model.summaries import Citation, SummaryMethod
from ingestion_pipeline.summarising.abstractive import write as asked
from ingestion_pipeline.summarising.text import Written
from ingestion_pipeline.summarising.titles import titles
from ingestion_pipeline_tests.llm.endpoints import Reply, replies, serving
from ingestion_pipeline_tests.summarising.writing import TOOLS

TEXTS = {
    "c1": (
        "The ferry Nordlys belongs to Fjord Lines. It was built in Bergen in 1994. "
        "The weather was fine."
    ),
    "c2": "Fjord Lines sold the ferry Nordlys to Sample Shipping in 2007. Bergen is rainy.",
    "c3": "Ada Example paints sheep. Ada Example lives near the Old Mill with many sheep.",
}
NAMES = {
    "nordlys": "Nordlys",
    "fjord": "Fjord Lines",
    "bergen": "Bergen",
    "sample": "Sample Shipping",
    "ada": "Ada Example",
    "mill": "Old Mill",
}
FERRIES = Community("ferries", 0, None, ("bergen", "fjord", "nordlys", "sample"))
PAINTING = Community("painting", 0, None, ("ada", "mill"))


def said() -> list[Sentence]:
    found = []
    for chunk_id, text in TEXTS.items():
        start = 0
        for each in text.split(". "):
            end = start + len(each)
            keys = frozenset(key for key, name in NAMES.items() if name in each)
            if keys:
                citation = Citation(chunk_id, start, end)
                found.append(Sentence(f"d-{chunk_id}", citation, text[start:end], keys))
            start = end + 2
    return found


def tie(source: str, target: str, count: int, predicate: str = "") -> Relation:
    kind = RelationKind.STATED if predicate else RelationKind.TOGETHER
    return Relation(
        f"{source}-{target}", source, target, kind, predicate, False, 1.0, count, (), ()
    )


def graph() -> KnowledgeGraph:
    entities = tuple(
        Entity(key, key, name, EntityType.OTHER, (name,), 2, (), (), rank=1.0)
        for key, name in sorted(NAMES.items())
    )
    relations = (
        tie("ada", "mill", 1),
        tie("fjord", "nordlys", 2, "sell"),
        tie("nordlys", "sample", 1),
    )
    return KnowledgeGraph(entities, relations)


def write(materials: Iterable[Material]) -> list[Written]:
    return [quoted(material, TOOLS) for material in materials]


def entitled(groups: Sequence[Sequence[str]]) -> list[str]:
    return titles(groups, TOOLS)


def made(**changes: Any) -> list[Report]:
    arguments: dict[str, Any] = {
        "graph": graph(),
        "communities": [FERRIES, PAINTING],
        "said": said(),
        "write": write,
        "titles": entitled,
        "recipe": "tests",
        "control": NoControl(),
    }
    return reports(**{**arguments, **changes})


def test_a_report_quotes_sentences_about_its_entities_and_cites_each() -> None:
    ferries, painting = made()
    for report in (ferries, painting):
        lines = report.text.split("\n")
        assert lines == [TEXTS[c.chunk_id][c.start : c.end] for c in report.citations]
    assert {each.chunk_id for each in ferries.citations} == {"c1", "c2"}
    assert {each.chunk_id for each in painting.citations} == {"c3"}
    assert "The weather was fine" not in ferries.text


def test_a_report_says_what_matters_most_where_and_when() -> None:
    ferries, painting = made()
    assert ferries.entity_ids[0] == "nordlys"
    assert ferries.relation_ids == ("fjord-nordlys", "nordlys-sample")
    assert ferries.document_ids == ("d-c1", "d-c2")
    assert ferries.period == (1994, 2007)
    assert painting.period is None
    assert ferries.rating == 10
    assert 0 < painting.rating < 10


def test_a_number_that_looks_like_a_year_among_many_years_is_none() -> None:
    many = [
        Sentence(
            "d", Citation(f"c{year}-{each}", 0, 9), f"Nordlys, {year}.", frozenset({"nordlys"})
        )
        for year in range(1950, 1990)
        for each in range(8)
    ]
    odd = Sentence("d", Citation("odd", 0, 9), "Nordlys has 1100 seats.", frozenset({"nordlys"}))
    (report,) = made(said=[*many, odd], communities=[FERRIES])
    assert report.period == (1950, 1989)
    (report,) = made(said=[odd], communities=[FERRIES])
    assert report.period == (1100, 1100)


def test_two_entities_are_their_own_title_and_more_have_one_that_tells_them_apart() -> None:
    ferries, painting = made()
    assert set(painting.title.split(" and ")) == {"Ada Example", "Old Mill"}
    assert ferries.title
    assert ferries.title != painting.title


def test_the_most_telling_sentences_are_few_and_do_not_repeat_each_other() -> None:
    goods = ["coal", "salt", "timber", "herring", "wool", "iron", "apples", "stone", "glass"]
    many = [
        Sentence(
            "d",
            Citation(f"c-{cargo}", 0, 10),
            f"Nordlys of Fjord Lines sailed from Bergen with {cargo} in its hold.",
            frozenset({"nordlys", "fjord", "bergen"}),
        )
        for cargo in goods
    ]
    (report,) = made(said=[*many, *many], communities=[FERRIES])
    assert FEWEST <= len(report.citations) <= MOST
    assert len(set(report.text.split("\n"))) == len(report.citations)
    assert len(report.entity_ids) <= TOP


def test_a_community_that_nothing_is_said_of_has_an_empty_report() -> None:
    (report,) = made(said=[], communities=[PAINTING])
    assert (report.text, report.citations, report.document_ids) == ("", (), ())
    assert report.title == "Ada Example and Old Mill"


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_reports_depend_on_no_order(chance: random.Random) -> None:
    expected = made()
    whole, sentences_ = graph(), said()
    chance.shuffle(sentences_)
    shuffled = KnowledgeGraph(
        tuple(chance.sample(whole.entities, len(whole.entities))),
        tuple(chance.sample(whole.relations, len(whole.relations))),
    )
    assert made(graph=shuffled, said=sentences_) == expected


def test_only_what_changed_is_written_again() -> None:
    before = made()
    asked_for: list[Material] = []

    def noting(materials: Iterable[Material]) -> list[Written]:
        asked_for.extend(materials)
        return write(asked_for)

    assert made(write=noting, previous=before) == before
    assert asked_for == []
    changed = [
        replace(each, text=each.text.replace("sheep", "goats")) if "sheep" in each.text else each
        for each in said()
    ]
    after = made(said=changed, write=noting, previous=before)
    assert [each.names["ada"] for each in asked_for] == ["Ada Example"]
    assert after == made(said=changed)
    assert after[0] == before[0]
    assert after[1].inputs != before[1].inputs


def test_what_changes_in_all_the_collection_does_not_change_a_report() -> None:
    whole = graph()
    reweighed = KnowledgeGraph(
        tuple(replace(each, rank=each.rank * 1.01) for each in whole.entities),
        tuple(replace(each, weight=each.weight * 0.9) for each in whole.relations),
    )
    assert made(graph=reweighed) == made()


def test_with_another_recipe_all_is_written_again() -> None:
    assert {each.inputs for each in made(recipe="other")}.isdisjoint(each.inputs for each in made())


def test_a_language_model_reads_the_same_material() -> None:
    with serving(replies(Reply("Ferries of the fjord."), Reply("Sheep."))) as endpoint:
        model = endpoint.model()

        def by_model(materials: Iterable[Material]) -> list[Written]:
            return [
                asked(each.texts, each.citations, 60, PROMPT, TOOLS, model, NoControl())[0]
                for each in materials
            ]

        ferries, painting = made(write=by_model)
        question = endpoint.asked[0].user
    assert ferries.text == "Ferries of the fjord."
    assert painting.text == "Sheep."
    assert ferries.method is SummaryMethod.ABSTRACTIVE
    assert ferries.citations
    assert "Fjord Lines sell Nordlys" in question
    assert "It was built in Bergen in 1994" in question


@pytest.mark.parametrize("length", [50, 5000])
def test_sentences_name_the_entities_that_were_resolved(length: int) -> None:
    text = f"Nordlys {'sails on ' * (length // 9)}with Ada"
    extracted = DocumentGraph(
        "d",
        ExtractionMethod.LINGUISTIC,
        sentences=(Citation("c", 0, len(text)), Citation("c", 0, 3)),
        entities=(
            DocumentEntity("nordlys", "Nordlys", EntityType.OTHER, (), (Mention(0, 0, 7),)),
            DocumentEntity("with", "with", EntityType.OTHER, (), (Mention(1, 0, 3),)),
        ),
    )
    (found,) = sentences([extracted], {"d": ("id", None)}, {"c": text})
    assert found.entity_ids == {"id"}
    assert found.text == text[: found.citation.end].strip()
    assert len(found.text) <= 400
    assert found.document_id == "d"
